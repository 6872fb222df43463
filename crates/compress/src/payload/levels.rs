//! Values as small whole multiples of a step, and as signed powers of two.

use super::bytes::{Reader, put_floats, put_varint, varint_bytes};
use super::entropy;
use crate::error::WireError;
use crate::kernels::finite;
use crate::simd::dispatch;

/// Quantised values: value i is `levels[i]`·`steps[i / bucket]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// The largest magnitude of a level, s in the papers: 1 … 127.
    pub most: u8,
    /// Values to a step.
    pub bucket: usize,
    /// ⌈len/bucket⌉ steps.
    pub steps: Vec<f32>,
    /// A level a value, −most … most.
    pub levels: Vec<i8>,
}

impl Levels {
    /// Value `i`.
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        f32::from(self.levels[i]) * self.steps[i / self.bucket]
    }

    /// A bound on all magnitudes.
    pub(super) fn bound(&self) -> f64 {
        f64::from(self.most) * f64::from(finite::largest(&self.steps))
    }

    /// y ← y + a·values, from value `start` on.
    pub(super) fn add(&self, a: f32, start: usize, y: &mut [f32]) {
        add_levels(a, self, start, y);
    }

    /// The levels from value `start` on, `len` of them: those of each step by themselves, with the first one's place.
    #[inline(always)]
    pub(crate) fn steps_on(&self, start: usize, len: usize, mut visit: impl FnMut(f32, &[i8], usize)) {
        let (mut at, end) = (start, start + len);
        while at < end {
            let bucket = at / self.bucket;
            let next = (bucket.saturating_add(1)).saturating_mul(self.bucket).min(end);
            visit(self.steps[bucket], &self.levels[at..next], at);
            at = next;
        }
    }

    pub(super) fn num_bytes(&self) -> usize {
        1 + varint_bytes(self.bucket as u64) + 4 * self.steps.len() + self.plan().num_bytes()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.most);
        put_varint(self.bucket as u64, out);
        put_floats(&self.steps, out);
        self.plan().encode(&self.levels, self.index(), out);
    }

    pub(super) fn decode(count: usize, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let malformed = |why| WireError::Malformed { what: "levels", why };
        let most = reader.byte("a largest level")?;
        if !(1..=127).contains(&most) {
            return Err(malformed("the largest is not in 1 … 127"));
        }
        let bucket = match reader.varint("a bucket size")? {
            b @ 1..=0xffff_ffff => b as usize,
            _ => return Err(malformed("the bucket size is not in 1 … 2^32 − 1")),
        };
        let steps = reader.floats(count.div_ceil(bucket) as u64)?;
        let levels = entropy::decode(reader, count, alphabet(most), |s| (s as u8).wrapping_sub(most) as i8)?;
        Ok(Self { most, bucket, steps, levels })
    }

    fn plan(&self) -> entropy::Plan {
        entropy::Plan::new(&self.levels, alphabet(self.most), self.index())
    }

    /// The symbol of a level.
    fn index(&self) -> impl Fn(i8) -> usize + Sync {
        let most = self.most;
        move |level| usize::from((level as u8).wrapping_add(most))
    }
}

/// The number of levels, zero among them.
fn alphabet(most: u8) -> usize {
    2 * usize::from(most) + 1
}

/// Signed powers of two, all times one scale: nine bits of information each.
#[derive(Clone, Debug, PartialEq)]
pub struct Powers {
    /// The factor on every value.
    pub scale: f32,
    /// A code a value: twice the biased binary32 exponent (0 for zero, at most 254), plus one where
    /// negative.
    pub codes: Vec<u16>,
}

impl Powers {
    /// Codes are below this.
    pub const CODES: usize = 510;

    /// Value `i`.
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        power(self.codes[i]) * self.scale
    }

    /// A bound on all magnitudes.
    pub(super) fn bound(&self) -> f64 {
        let most = self.codes.iter().fold(0, |most, code| most.max(code >> 1));
        f64::from(power(most << 1)) * f64::from(self.scale.abs())
    }

    /// y ← y + a·values, from value `start` on.
    pub(super) fn add(&self, a: f32, start: usize, y: &mut [f32]) {
        add_powers(a, self, start, y);
    }

    pub(super) fn num_bytes(&self) -> usize {
        4 + self.plan().num_bytes()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.scale.to_le_bytes());
        self.plan().encode(&self.codes, usize::from, out);
    }

    pub(super) fn decode(count: usize, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let scale = reader.float("a scale")?;
        Ok(Self { scale, codes: entropy::decode(reader, count, Self::CODES, |s| s as u16)? })
    }

    fn plan(&self) -> entropy::Plan {
        entropy::Plan::new(&self.codes, Self::CODES, usize::from)
    }
}

/// The power of two that a code stands for.
#[inline]
fn power(code: u16) -> f32 {
    f32::from_bits(u32::from(code >> 1) << 23 | u32::from(code & 1) << 31)
}

dispatch! {
    fn add_levels(a: f32, v: &Levels, start: usize, y: &mut [f32]) {
        v.steps_on(start, y.len(), |step, levels, at| {
            y[at - start..].iter_mut().zip(levels).for_each(|(y, l)| *y += a * (f32::from(*l) * step));
        });
    }
}

dispatch! {
    fn add_powers(a: f32, v: &Powers, start: usize, y: &mut [f32]) {
        let codes = &v.codes[start..start + y.len()];
        y.iter_mut().zip(codes).for_each(|(y, c)| *y += a * (power(*c) * v.scale));
    }
}

/// Whether all have their steps at the same places, every one for whole groups of 64 values, or for all of them.
pub(super) fn share_steps(all: &[&Levels]) -> bool {
    all.first().is_some_and(|first| {
        (first.bucket.is_multiple_of(64) || first.bucket >= first.levels.len())
            && all.iter().all(|v| v.bucket == first.bucket)
    })
}

/// The mean over n of such levels, from value `start`, a multiple of 64, on: what each says is added in order to zero.
pub(super) fn mean(all: &[&Levels], n: usize, start: usize, mean: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if crate::simd::level() == crate::simd::Level::Avx512 {
        // SAFETY: `level` has found it on this processor.
        return unsafe { avx512(all, n as f32, start, mean) };
    }
    groups_mean(all, n as f32, start, mean);
}

dispatch! {
    fn groups_mean(all: &[&Levels], n: f32, start: usize, mean: &mut [f32]) {
        for (g, mean) in mean.chunks_mut(64).enumerate() {
            let at = start + 64 * g;
            let mut sums = [0.0f32; 64];
            for v in all {
                let step = v.steps[at / v.bucket];
                let levels = &v.levels[at..at + mean.len()];
                sums.iter_mut().zip(levels).for_each(|(s, l)| *s += f32::from(*l) * step);
            }
            mean.iter_mut().zip(sums).for_each(|(m, s)| *m = s / n);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(all: &[&Levels], n: f32, start: usize, mean: &mut [f32]) {
    use std::arch::x86_64::*;

    let (whole, rest) = mean.as_chunks_mut::<64>();
    // By a power of two a product is the quotient.
    let over = (n.to_bits() & 0x7f_ffff == 0).then(|| _mm512_set1_ps(1.0 / n));
    let divisor = _mm512_set1_ps(n);
    let bucket = all[0].bucket;
    let (mut step, mut left) = (start / bucket, bucket - start % bucket);
    for (g, mean) in whole.iter_mut().enumerate() {
        let mut sums = [_mm512_setzero_ps(); 4];
        for v in all {
            let of = _mm512_set1_ps(v.steps[step]);
            let levels: &[i8; 64] = v.levels[start + 64 * g..].first_chunk().expect("as long as the mean");
            for (sum, levels) in sums.iter_mut().zip(levels.as_chunks::<16>().0) {
                // SAFETY: `levels` is sixteen bytes.
                let levels = unsafe { _mm_loadu_si128(levels.as_ptr().cast()) };
                let levels = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(levels));
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(levels, of));
            }
        }
        left -= 64;
        if left == 0 {
            (step, left) = (step + 1, bucket);
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
    groups_mean(all, n, start + 64 * whole.len(), rest);
}
