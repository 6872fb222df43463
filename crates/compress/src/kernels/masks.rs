//! A bit a coordinate, by comparison: explicit vector code, since compilers pack bits badly.

/// The bits of a magnitude, which order as magnitudes do.
#[inline(always)]
pub(crate) fn magnitude(x: f32) -> u32 {
    x.to_bits() & 0x7fff_ffff
}

/// A set bit where the coordinate is not negative; −0 is not, NaN counts as negative. `words` has one for
/// every 64 coordinates; bits beyond the end are 0.
pub(crate) fn not_negative(x: &[f32], words: &mut [u64]) {
    #[cfg(target_arch = "x86_64")]
    match crate::simd::level() {
        // SAFETY: `level` has found these features on this processor.
        crate::simd::Level::Avx512 => return unsafe { avx512::not_negative(x, words) },
        // SAFETY: as above.
        crate::simd::Level::Avx2 => return unsafe { avx2::not_negative(x, words) },
        crate::simd::Level::Baseline => {}
    }
    each(x, words, |x| x >= 0.0);
}

/// A set bit where the magnitude's bits are at least `least`.
pub(crate) fn at_least(x: &[f32], least: u32, words: &mut [u64]) {
    #[cfg(target_arch = "x86_64")]
    match crate::simd::level() {
        // SAFETY: `level` has found these features on this processor.
        crate::simd::Level::Avx512 => return unsafe { avx512::at_least(x, least, words) },
        // SAFETY: as above.
        crate::simd::Level::Avx2 => return unsafe { avx2::at_least(x, least, words) },
        crate::simd::Level::Baseline => {}
    }
    each(x, words, |x| magnitude(x) >= least);
}

#[inline(always)]
fn each(x: &[f32], words: &mut [u64], bit: impl Fn(f32) -> bool) {
    for (x, word) in x.chunks(64).zip(words) {
        *word = x.iter().enumerate().fold(0, |w, (j, x)| w | u64::from(bit(*x)) << j);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{each, magnitude};

    #[target_feature(enable = "avx512f")]
    pub fn not_negative(x: &[f32], words: &mut [u64]) {
        let (whole, rest) = x.as_chunks::<64>();
        let (words, last) = words.split_at_mut(whole.len());
        for (x, word) in whole.iter().zip(words) {
            *word = 0;
            for (q, x) in x.as_chunks::<16>().0.iter().enumerate() {
                // SAFETY: `x` is sixteen floats.
                let v = unsafe { _mm512_loadu_ps(x.as_ptr()) };
                *word |= u64::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(v, _mm512_setzero_ps())) << (16 * q);
            }
        }
        each(rest, last, |x| x >= 0.0);
    }

    #[target_feature(enable = "avx512f")]
    pub fn at_least(x: &[f32], least: u32, words: &mut [u64]) {
        let (whole, rest) = x.as_chunks::<64>();
        let (words, last) = words.split_at_mut(whole.len());
        let (bits, bound) = (_mm512_set1_epi32(0x7fff_ffff), _mm512_set1_epi32(least as i32));
        for (x, word) in whole.iter().zip(words) {
            *word = 0;
            for (q, x) in x.as_chunks::<16>().0.iter().enumerate() {
                // SAFETY: `x` is sixteen floats.
                let v = _mm512_and_si512(bits, unsafe { _mm512_loadu_si512(x.as_ptr().cast()) });
                *word |= u64::from(_mm512_cmpge_epu32_mask(v, bound)) << (16 * q);
            }
        }
        each(rest, last, |x| magnitude(x) >= least);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{each, magnitude};

    #[target_feature(enable = "avx2")]
    pub fn not_negative(x: &[f32], words: &mut [u64]) {
        let (whole, rest) = x.as_chunks::<64>();
        let (words, last) = words.split_at_mut(whole.len());
        for (x, word) in whole.iter().zip(words) {
            *word = 0;
            for (o, x) in x.as_chunks::<8>().0.iter().enumerate() {
                // SAFETY: `x` is eight floats.
                let v = unsafe { _mm256_loadu_ps(x.as_ptr()) };
                let mask = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(v, _mm256_setzero_ps()));
                *word |= u64::from(mask as u32) << (8 * o);
            }
        }
        each(rest, last, |x| x >= 0.0);
    }

    #[target_feature(enable = "avx2")]
    pub fn at_least(x: &[f32], least: u32, words: &mut [u64]) {
        let (whole, rest) = x.as_chunks::<64>();
        let (words, last) = words.split_at_mut(whole.len());
        // The maximum equals the magnitude exactly where that is at least the bound.
        let (bits, bound) = (_mm256_set1_epi32(0x7fff_ffff), _mm256_set1_epi32(least as i32));
        for (x, word) in whole.iter().zip(words) {
            *word = 0;
            for (o, x) in x.as_chunks::<8>().0.iter().enumerate() {
                // SAFETY: `x` is eight floats.
                let v = _mm256_and_si256(bits, unsafe { _mm256_loadu_si256(x.as_ptr().cast()) });
                let mask = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(v, bound), v)));
                *word |= u64::from(mask as u32) << (8 * o);
            }
        }
        each(rest, last, |x| magnitude(x) >= least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_those_of_the_plain_comparison() {
        let mut x: Vec<f32> = (0..300).map(|i| (i as f32 * 0.7).sin()).collect();
        (x[0], x[1], x[2], x[3], x[4]) = (0.0, -0.0, f32::NAN, f32::from_bits(1), -f32::NAN);
        for len in [0usize, 1, 63, 64, 65, 300] {
            let mut words = vec![7u64; len.div_ceil(64)];
            let bit = |words: &[u64], i: usize| words[i / 64] >> (i % 64) & 1 == 1;
            not_negative(&x[..len], &mut words);
            assert!((0..64 * words.len()).all(|i| bit(&words, i) == (i < len && x[i] >= 0.0)));
            for least in [0, 1, 0.5f32.to_bits(), 0x7fc0_0000, u32::MAX] {
                at_least(&x[..len], least, &mut words);
                assert!((0..64 * words.len()).all(|i| bit(&words, i) == (i < len && magnitude(x[i]) >= least)));
            }
        }
    }
}
