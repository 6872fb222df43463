//! Stochastic rounding to levels and to powers of two.

use super::sums;
use super::sweep::{BLOCK, Sweep, task};
use crate::random::{GROUP, words};
use crate::room;
use crate::simd::dispatch;

/// Which norm of a bucket stands for the largest level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// ‖x‖₂.
    #[default]
    L2,
    /// max |x_j|.
    Max,
}

/// How a vector is rounded to levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiser {
    /// s, levels on each side of zero: 1 … 127.
    pub most: u8,
    /// b ≥ 1, coordinates to a norm.
    pub bucket: usize,
    /// Which norm of a bucket.
    pub norm: Norm,
    /// What the decoded values are multiplied by.
    pub factor: f64,
    /// Names the stream of the rounding.
    pub draw: u64,
}

impl Quantiser {
    /// Rounds everything to a step a bucket and a level a coordinate, in one pass where a bucket fits into the cache.
    pub(crate) fn quantise(&self, source: &mut impl Sweep) -> (Vec<f32>, Vec<i8>) {
        assert!((1..=127).contains(&self.most) && self.bucket > 0, "1 … 127 levels of buckets of some size");
        let len = source.len();
        let block = self.bucket * (BLOCK / self.bucket).max(1);
        let mut steps = vec![0.0; len.div_ceil(self.bucket)];
        let mut levels = room::take(len);
        let outputs = steps.chunks_mut(task(block) / self.bucket).zip(levels.chunks_mut(task(block)));
        source.sweep(block, &mut outputs.collect::<Vec<_>>(), |(steps, levels), start, x| {
            let at = start % task(block);
            self.block(start, x, &mut steps[at / self.bucket..], &mut levels[at..at + x.len()]);
        });
        (steps, levels)
    }

    /// Rounds the coordinates from `start`, a multiple of the bucket size, on.
    fn block(&self, start: usize, x: &[f32], steps: &mut [f32], levels: &mut [i8]) {
        const SIZE: usize = 1024;
        let mut buffer = [0u32; SIZE];
        let (chunks, most) = (x.chunks(self.bucket).zip(levels.chunks_mut(self.bucket)), f64::from(self.most));
        for ((i, (x, levels)), sent) in chunks.enumerate().zip(steps) {
            let norm = match self.norm {
                Norm::L2 => sums::squares(x).sqrt(),
                Norm::Max => f64::from(sums::largest(x)),
            };
            let step = ((norm / most) as f32).min(f32::MAX);
            *sent = ((norm / most * self.factor) as f32).min(f32::MAX);
            let mut at = start + i * self.bucket;
            for (x, levels) in x.chunks(SIZE - GROUP).zip(levels.chunks_mut(SIZE - GROUP)) {
                // The stream comes in groups of 128; a bucket may begin within one.
                let skip = at % GROUP;
                words(self.draw, at - skip, &mut buffer[..skip + x.len()]);
                round(x, &buffer[skip..][..x.len()], Scale::new(step), f32::from(self.most), levels);
                at += x.len();
            }
        }
    }
}

/// By what magnitudes are divided to become levels.
#[derive(Clone, Copy)]
enum Scale {
    /// By nothing: all are zero.
    Zero,
    /// By way of the reciprocal.
    Times(f32),
    /// By a number so small that its reciprocal is infinite.
    Over(f32),
}

impl Scale {
    fn new(step: f32) -> Self {
        match 1.0 / step {
            _ if step == 0.0 => Self::Zero,
            over if over.is_finite() => Self::Times(over),
            _ => Self::Over(step),
        }
    }
}

/// Every ratio to one of its neighbours: to the upper one where its fraction is the larger of it and 24 random digits.
fn round(x: &[f32], words: &[u32], scale: Scale, most: f32, levels: &mut [i8]) {
    match scale {
        Scale::Zero => levels.fill(0),
        Scale::Times(over) => round_times(x, words, over, most, levels),
        Scale::Over(step) => round_over(x, words, step, most, levels),
    }
}

#[inline(always)]
fn round_by(x: &[f32], words: &[u32], ratio: impl Fn(f32) -> f32, most: f32, levels: &mut [i8]) {
    for ((x, word), level) in x.iter().zip(words).zip(levels) {
        let ratio = ratio(x.abs());
        let ratio = if ratio < most { ratio } else { most };
        // SAFETY: `ratio` lies in 0 … 127, and is 127 at most for NaN too.
        let whole = unsafe { ratio.to_int_unchecked::<i32>() };
        let up = ((word >> 8) as i32 as f32) < (ratio - whole as f32) * (1 << 24) as f32;
        let magnitude = whole + i32::from(up);
        *level = (if x.is_sign_negative() { -magnitude } else { magnitude }) as i8;
    }
}

dispatch! {
    fn round_times(x: &[f32], words: &[u32], over: f32, most: f32, levels: &mut [i8]) {
        round_by(x, words, |x| x * over, most, levels);
    }
}

dispatch! {
    fn round_over(x: &[f32], words: &[u32], step: f32, most: f32, levels: &mut [i8]) {
        round_by(x, words, |x| x / step, most, levels);
    }
}

dispatch! {
    /// Rounds the coordinates from `start`, a multiple of 128, on, to powers of two: the mantissa is the chance
    /// of the next exponent.
    fn powers(draw: u64, start: usize, x: &[f32], codes: &mut [u16]) {
        let mut buffer = [0u32; 256];
        for (i, (x, codes)) in x.chunks(256).zip(codes.chunks_mut(256)).enumerate() {
            let words_of = &mut buffer[..x.len()];
            words(draw, start + 256 * i, words_of);
            for ((x, word), code) in x.iter().zip(words_of).zip(codes) {
                let exponent = ((x.to_bits() & 0x7fff_ffff) + (*word >> 9)) >> 23;
                // Beyond 2^127 there is only infinity.
                let exponent = exponent.min(254);
                let negative = u32::from(x.is_sign_negative() && exponent > 0);
                *code = (exponent << 1 | negative) as u16;
            }
        }
    }
}

/// Rounds everything to powers of two, in one pass.
pub(crate) fn to_powers(draw: u64, source: &mut impl Sweep) -> Vec<u16> {
    let mut codes = room::take(source.len());
    let mut outputs: Vec<_> = codes.chunks_mut(task(BLOCK)).collect();
    source.sweep(BLOCK, &mut outputs, |codes, start, x| {
        powers(draw, start, x, &mut codes[start % task(BLOCK)..][..x.len()]);
    });
    codes
}

/// −1, 0 or 1: whether a coordinate reaches −λ or λ.
pub(crate) fn to_ternary(lambda: f32, source: &mut impl Sweep) -> Vec<i8> {
    let mut levels = room::take(source.len());
    let mut outputs: Vec<_> = levels.chunks_mut(task(BLOCK)).collect();
    source.sweep(BLOCK, &mut outputs, |levels, start, x| {
        ternary(lambda, x, &mut levels[start % task(BLOCK)..][..x.len()]);
    });
    levels
}

dispatch! {
    fn ternary(lambda: f32, x: &[f32], levels: &mut [i8]) {
        let level = |x: f32| i8::from(x >= lambda) - i8::from(x <= -lambda);
        x.iter().zip(levels).for_each(|(x, l)| *l = level(*x));
    }
}
