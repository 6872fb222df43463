//! What steps need of vectors beside their algebra: second moments, signs, orthogonal matrices.

use rayon::prelude::*;

use crate::kernels::newton_schulz::newton_schulz;
use crate::kernels::tasks;
use crate::layout::Unit;
use crate::simd::dispatch;
use crate::vector::Vector;

/// Coordinates that a thread works on at a time.
const TASK: usize = 1 << 16;

impl Vector {
    /// y ← a·y + b·x², coordinate by coordinate.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn blend_square(&mut self, a: f32, b: f32, x: &Self) {
        each(self, x, |y, x| blend_square(a, b, x, y));
    }

    /// y ← y/(√v + ε); 0 where v is.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn divide_by_root(&mut self, v: &Self, eps: f32) {
        each(self, v, |y, v| divide_by_root(eps, v, y));
    }

    /// y ← 0 where v is 0.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn keep_where(&mut self, v: &Self) {
        each(self, v, |y, v| keep_where(v, y));
    }

    /// y ← sign(y), with sign(0) = 0.
    pub fn sign(&mut self) {
        tasks::each_of(self.len(), self.as_mut_slice().par_chunks_mut(TASK), sign);
    }

    /// y ← 0 outside of these units.
    pub fn keep_units<'a>(&mut self, units: impl IntoIterator<Item = &'a Unit>) {
        let mut end = 0;
        for unit in units {
            self.as_mut_slice()[end..unit.range.start].fill(0.0);
            end = unit.range.end;
        }
        self.as_mut_slice()[end..].fill(0.0);
    }

    /// A unit, as the matrix M of `rows` rows, ← about U·Vᵀ of its singular value decomposition, by five steps of Newton
    /// and Schulz's iteration; a matrix of zeros stays one.
    pub fn orthogonalise(&mut self, unit: &Unit, rows: usize) {
        let place = &mut self.as_mut_slice()[unit.range.clone()];
        let orthogonal = newton_schulz(place, rows);
        place.copy_from_slice(&orthogonal);
    }
}

fn each(y: &mut Vector, x: &Vector, with: impl Fn(&mut [f32], &[f32]) + Sync) {
    assert_eq!(y.len(), x.len(), "vectors of one length");
    let pieces = y.as_mut_slice().par_chunks_mut(TASK).zip(x.as_slice().par_chunks(TASK));
    tasks::each_of(x.len(), pieces, |(y, x)| with(y, x));
}

dispatch! {
    fn blend_square(a: f32, b: f32, x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = a * *y + b * (*x * *x));
    }
}

dispatch! {
    fn divide_by_root(eps: f32, v: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(v).for_each(|(y, v)| *y = if *v > 0.0 { *y / (v.sqrt() + eps) } else { 0.0 });
    }
}

dispatch! {
    fn keep_where(v: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(v).for_each(|(y, v)| *y = if *v == 0.0 { 0.0 } else { *y });
    }
}

dispatch! {
    fn sign(y: &mut [f32]) {
        y.iter_mut().for_each(|y| *y = f32::from(u8::from(*y > 0.0)) - f32::from(u8::from(*y < 0.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Layout, Scope};
    use crate::random::Philox;

    #[test]
    fn operations_are_the_naive_loops() {
        for len in [0, 1, 15, 33, TASK + 1] {
            let mut random = Philox::new(len as u64);
            let mut draw = || (0..len).map(|i| if i % 7 == 3 { 0.0 } else { random.normal() }).collect::<Vector>();
            let (x, y) = (draw(), draw());
            let pairs = || y.as_slice().iter().zip(x.as_slice());
            let mut got = y.clone();
            got.blend_square(0.9, 0.3, &x);
            assert_eq!(got.as_slice(), pairs().map(|(y, x)| 0.9 * y + 0.3 * (x * x)).collect::<Vec<_>>());
            let mut got = y.clone();
            got.divide_by_root(&x, 0.1);
            let naive = |y: f32, v: f32| if v > 0.0 { y / (v.sqrt() + 0.1) } else { 0.0 };
            assert_eq!(got.as_slice(), pairs().map(|(y, v)| naive(*y, *v)).collect::<Vec<_>>());
            let mut got = y.clone();
            got.keep_where(&x);
            assert_eq!(got.as_slice(), pairs().map(|(y, v)| if *v == 0.0 { 0.0 } else { *y }).collect::<Vec<_>>());
            let mut got = y.clone();
            got.sign();
            let naive = |y: &f32| if *y == 0.0 { 0.0 } else { y.signum() };
            assert_eq!(got.as_slice(), y.as_slice().iter().map(naive).collect::<Vec<_>>());
        }
    }

    #[test]
    fn units_are_kept_and_orthogonalised_by_themselves() {
        let shapes = vec![("a".into(), vec![2, 2]), ("b".into(), vec![2]), ("c".into(), vec![1, 2])];
        let layout = Layout::new(shapes, Scope::Parameter, 0).unwrap();
        let mut x: Vector = (1..=8).map(|i| i as f32).collect();
        x.keep_units(layout.units().iter().filter(|u| u.shape.len() == 2));
        assert_eq!(x.as_slice(), [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 7.0, 8.0]);
        x.orthogonalise(&layout.units()[2], 1);
        assert_eq!(x.as_slice()[..6], [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
        let norm = x.as_slice()[6..].iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((0.6..1.3).contains(&norm) && (x.as_slice()[6] / x.as_slice()[7] - 7.0 / 8.0).abs() < 1e-5);
    }
}
