//! A bit a coordinate, and what goes with it, in one pass.

use super::masks::not_negative;
use super::sums;
use super::sweep::{BLOCK, Sweep, task};
use crate::room;
use crate::simd::dispatch;

/// A bit a coordinate, and the values of either.
#[derive(Clone, Copy)]
pub(crate) struct Bits<'a> {
    pub words: &'a [u64],
    pub low: f32,
    pub high: f32,
}

impl Bits<'_> {
    /// The larger magnitude of both values; not finite where one is not.
    pub fn bound(&self) -> f64 {
        let (low, high) = (f64::from(self.low.abs()), f64::from(self.high.abs()));
        if low.is_nan() { low } else { low.max(high) + 0.0 * high }
    }
}

/// Signs, a set bit where a coordinate is not negative.
pub(crate) fn alone(source: &mut impl Sweep) -> Vec<u64> {
    with(source, |_| ()).0
}

/// Signs, and Σ|x_j|.
pub(crate) fn and_magnitudes(source: &mut impl Sweep) -> (Vec<u64>, f64) {
    let (words, blocks) = with(source, sums::absolute);
    (words, blocks.iter().sum())
}

/// Signs, the sum of the negative coordinates and that of the others.
pub(crate) fn and_sides(source: &mut impl Sweep) -> (Vec<u64>, [f64; 2]) {
    let (words, blocks) = with(source, sums::sides);
    (words, [0, 1].map(|side| blocks.iter().map(|b: &[f64; 2]| b[side]).sum()))
}

/// Signs, and what is said of every block.
fn with<T: Clone + Default + Send>(source: &mut impl Sweep, of: impl Fn(&[f32]) -> T + Sync) -> (Vec<u64>, Vec<T>) {
    let len = source.len();
    let mut words = room::take(len.div_ceil(64));
    let mut blocks = vec![T::default(); len.div_ceil(BLOCK)];
    let outputs = words.chunks_mut(task(BLOCK) / 64).zip(blocks.chunks_mut(task(BLOCK) / BLOCK));
    source.sweep(BLOCK, &mut outputs.collect::<Vec<_>>(), |(words, blocks), start, x| {
        let at = start % task(BLOCK);
        not_negative(x, &mut words[at / 64..(at + x.len()).div_ceil(64)]);
        blocks[at / BLOCK] = of(x);
    });
    (words, blocks)
}

/// The mean over n of vectors of a bit a coordinate, from coordinate `start`, a multiple of 64, on: what each says is
/// added in order to zero.
pub(crate) fn mean(parts: &[Bits<'_>], n: usize, start: usize, mean: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if crate::simd::level() == crate::simd::Level::Avx512 {
        // SAFETY: `level` has found it on this processor.
        return unsafe { avx512(parts, n as f32, start / 64, mean) };
    }
    words_mean(parts, n as f32, start / 64, mean);
}

dispatch! {
    fn words_mean(parts: &[Bits<'_>], n: f32, first: usize, mean: &mut [f32]) {
        for (w, mean) in mean.chunks_mut(64).enumerate() {
            let mut sums = [0.0f32; 64];
            for Bits { words, low, high } in parts {
                let word = words[first + w];
                for (half, sums) in sums.chunks_exact_mut(32).enumerate() {
                    let bits = (word >> (32 * half)) as u32;
                    sums.iter_mut().enumerate().for_each(|(l, s)| *s += if bits & 1 << l != 0 { *high } else { *low });
                }
            }
            mean.iter_mut().zip(sums).for_each(|(m, s)| *m = s / n);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(parts: &[Bits<'_>], n: f32, first: usize, mean: &mut [f32]) {
    use std::arch::x86_64::*;

    let (whole, rest) = mean.as_chunks_mut::<64>();
    // By a power of two a product is the quotient.
    let over = (n.to_bits() & 0x7f_ffff == 0).then(|| _mm512_set1_ps(1.0 / n));
    let divisor = _mm512_set1_ps(n);
    for (w, mean) in whole.iter_mut().enumerate() {
        let mut sums = [_mm512_setzero_ps(); 4];
        for Bits { words, low, high } in parts {
            let word = words[first + w];
            let (low, high) = (_mm512_set1_ps(*low), _mm512_set1_ps(*high));
            for (q, sum) in sums.iter_mut().enumerate() {
                *sum = _mm512_add_ps(*sum, _mm512_mask_blend_ps((word >> (16 * q)) as u16, low, high));
            }
        }
        for (mean, sum) in mean.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
            let quotient = match over {
                Some(over) => _mm512_mul_ps(sum, over),
                None => _mm512_div_ps(sum, divisor),
            };
            // SAFETY: `mean` is sixteen floats.
            unsafe { _mm512_storeu_ps(mean.as_mut_ptr(), quotient) };
        }
    }
    words_mean(parts, n, first + whole.len(), rest);
}
