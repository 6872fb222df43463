//! Flat vectors, wherever they live, and the algebra by which methods touch them.

use std::ops::Range;

use rayon::prelude::*;

use crate::kernels::{finite, sums, tasks};
use crate::room;
use crate::simd::dispatch;

/// Coordinates that a thread works on at a time.
const TASK: usize = 1 << 16;

/// A flat vector of f32, as long as a model; empty before its first use.
///
/// Methods touch it by the operations here and nothing else, so that it may live where the gradient was
/// born. Every operation rounds once for each + and ·, in the order written, without fused multiply-add:
/// every home and every number of threads gives the same bits.
#[derive(Debug, Default)]
pub struct Vector {
    /// The only home so far.
    host: Vec<f32>,
    /// Whether its memory goes back to where vectors like it come from.
    lent: bool,
}

impl Clone for Vector {
    fn clone(&self) -> Self {
        self.host.clone().into()
    }

    fn clone_from(&mut self, x: &Self) {
        self.host.clone_from(&x.host);
    }
}

impl PartialEq for Vector {
    fn eq(&self, other: &Self) -> bool {
        self.host == other.host
    }
}

impl Drop for Vector {
    fn drop(&mut self) {
        if self.lent {
            room::put(std::mem::take(&mut self.host));
        }
    }
}

impl Vector {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        vec![0.0; len].into()
    }

    /// `len` numbers of any value, all of which are to be written, in the memory of one that is no more: for those that
    /// come and go with every step.
    pub fn lent(len: usize) -> Self {
        Self { host: room::take(len), lent: true }
    }

    /// Its number of coordinates.
    pub fn len(&self) -> usize {
        self.host.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.host.is_empty()
    }

    /// Its coordinates, on the host.
    pub fn as_slice(&self) -> &[f32] {
        &self.host
    }

    /// Its coordinates, on the host, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.host
    }

    /// Its coordinates, on the host.
    pub fn into_vec(mut self) -> Vec<f32> {
        std::mem::take(&mut self.host)
    }

    /// x ← 0.
    pub fn clear(&mut self) {
        tasks::each_of(self.len(), self.host.par_chunks_mut(TASK), |x| x.fill(0.0));
    }

    /// Zeros where it was empty.
    pub fn or_zeros(&mut self, len: usize) -> &mut Self {
        self.host.resize(len, 0.0);
        self
    }

    /// y ← y + a·x.
    pub fn axpy(&mut self, a: f32, x: &Self) {
        self.each(x, |y, x| axpy(a, x, y));
    }

    /// y ← a·y.
    pub fn scale(&mut self, a: f32) {
        tasks::each_of(self.len(), self.host.par_chunks_mut(TASK), |y| scale(a, y));
    }

    /// y ← a·y + b·x.
    pub fn blend(&mut self, a: f32, b: f32, x: &Self) {
        self.each(x, |y, x| blend(a, b, x, y));
    }

    /// y ← a·y + x.
    pub fn scale_add(&mut self, a: f32, x: &Self) {
        self.each(x, |y, x| scale_add(a, x, y));
    }

    /// y ← y − x.
    pub fn subtract(&mut self, x: &Self) {
        self.each(x, subtract);
    }

    /// a·x + b·y, a new vector.
    pub fn sum(a: f32, x: &Self, b: f32, y: &Self) -> Self {
        let mut sum = x.clone();
        sum.blend(a, b, y);
        sum
    }

    /// ‖x‖², summed in f64 in an order that depends on the length alone.
    pub fn square(&self) -> f64 {
        tasks::map_of(self.len(), self.host.par_chunks(TASK), sums::squares).into_iter().sum()
    }

    /// Whether every coordinate is finite.
    pub fn is_finite(&self) -> bool {
        finite::all_finite(&self.host)
    }

    /// The first coordinate that is not finite.
    pub fn first_non_finite(&self) -> Option<usize> {
        finite::first_non_finite(&self.host)
    }

    /// max |x|; infinite or NaN where some coordinate is.
    pub fn peak(&self) -> f32 {
        finite::largest(&self.host)
    }

    /// x ← 0 on these coordinates.
    pub fn clear_range(&mut self, range: Range<usize>) {
        self.host[range].fill(0.0);
    }

    /// y ← x on these coordinates.
    pub fn copy_range(&mut self, range: Range<usize>, x: &Self) {
        self.host[range.clone()].copy_from_slice(&x.host[range]);
    }

    fn each(&mut self, x: &Self, with: impl Fn(&mut [f32], &[f32]) + Sync) {
        assert_eq!(self.len(), x.len(), "vectors of one length");
        tasks::each_of(self.len(), self.host.par_chunks_mut(TASK).zip(x.host.par_chunks(TASK)), |(y, x)| with(y, x));
    }
}

dispatch! {
    fn axpy(a: f32, x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += a * *x);
    }
}

dispatch! {
    fn scale(a: f32, y: &mut [f32]) {
        y.iter_mut().for_each(|y| *y *= a);
    }
}

dispatch! {
    fn blend(a: f32, b: f32, x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = a * *y + b * *x);
    }
}

dispatch! {
    fn scale_add(a: f32, x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = a * *y + *x);
    }
}

dispatch! {
    fn subtract(y: &mut [f32], x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y -= *x);
    }
}

impl From<Vec<f32>> for Vector {
    fn from(host: Vec<f32>) -> Self {
        Self { host, lent: false }
    }
}

impl From<&[f32]> for Vector {
    fn from(x: &[f32]) -> Self {
        x.to_vec().into()
    }
}

impl FromIterator<f32> for Vector {
    fn from_iter<I: IntoIterator<Item = f32>>(x: I) -> Self {
        x.into_iter().collect::<Vec<_>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    fn vector(len: usize, seed: u64) -> Vector {
        let mut random = Philox::new(seed);
        (0..len).map(|_| random.normal()).collect()
    }

    /// Every operation is the naive loop of f32, at lengths about a block of lanes and about a task.
    #[test]
    fn operations_are_the_naive_loops() {
        type Operation = (fn(&mut Vector, &Vector), fn(f32, f32) -> f32);
        let (a, b) = (0.3f32, -1.7f32);
        let operations: [Operation; 7] = [
            (|y, x| y.axpy(0.3, x), |y, x| y + 0.3 * x),
            (|y, _| y.scale(0.3), |y, _| 0.3 * y),
            (|y, x| y.blend(0.3, -1.7, x), |y, x| 0.3 * y + -1.7 * x),
            (|y, x| y.scale_add(0.3, x), |y, x| 0.3 * y + x),
            (Vector::subtract, |y, x| y - x),
            (|y, _| y.clear(), |_, _| 0.0),
            (|y, x| *y = Vector::sum(0.3, x, -1.7, y), |y, x| 0.3 * x + -1.7 * y),
        ];
        for len in [0, 1, 7, 15, 16, 17, 31, 33, 1000, TASK - 1, TASK, TASK + 1, 2 * TASK + 5] {
            let (x, y) = (vector(len, 1), vector(len, 2));
            for (i, (operation, naive)) in operations.iter().enumerate() {
                let mut got = y.clone();
                operation(&mut got, &x);
                let expected: Vec<f32> = y.as_slice().iter().zip(x.as_slice()).map(|(y, x)| naive(*y, *x)).collect();
                assert_eq!(got.as_slice(), expected, "operation {i} on {len}");
            }
            let square: f64 = x.as_slice().iter().map(|x| f64::from(*x).powi(2)).sum();
            assert!((x.square() - square).abs() <= 1e-12 * square);
            assert!(x.is_finite());
            let mut grown = Vector::new();
            grown.or_zeros(len).blend(a, b, &x);
            assert_eq!(grown.as_slice(), x.as_slice().iter().map(|x| a * 0.0 + b * x).collect::<Vec<_>>());
        }
        for (bad, peak) in [(f32::NAN, f32::NAN), (f32::NEG_INFINITY, f32::INFINITY)] {
            let mut x = Vector::zeros(TASK + 3);
            x.as_mut_slice()[TASK + 1] = bad;
            assert!(!x.is_finite());
            assert_eq!(x.first_non_finite(), Some(TASK + 1));
            assert_eq!(x.peak().total_cmp(&peak), std::cmp::Ordering::Equal);
            x.clear_range(TASK..TASK + 2);
            assert_eq!((x.first_non_finite(), x.peak()), (None, 0.0));
            x.copy_range(TASK + 2..TASK + 3, &vec![-2.0; TASK + 3].into());
            assert_eq!((x.peak(), x.square()), (2.0, 4.0));
        }
    }

    #[test]
    fn squares_do_not_depend_on_the_number_of_threads() {
        let x = vector(3 * TASK + 11, 5);
        let on = |threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| x.square().to_bits())
        };
        assert_eq!(on(1), on(3));
    }
}
