//! Random words for every coordinate of a vector, wherever one begins.
//!
//! Coordinate j takes word (j mod 64) div 16 of Philox block 16·(j div 64) + j mod 16, so that sixteen blocks are
//! computed side by side. Where half a word is enough, every row of sixteen words serves two rows of coordinates, first
//! with its low halves, then with its high ones.

use super::Philox;
use crate::simd::dispatch;

/// Coordinates that share sixteen blocks.
pub(crate) const GROUP: usize = 64;

/// The words of the stream `draw` for the coordinates from `start`, a multiple of 64, on.
pub(crate) fn words(draw: u64, start: usize, out: &mut [u32]) {
    debug_assert_eq!(start % GROUP, 0);
    let first = 16 * (start / GROUP) as u64;
    #[cfg(target_arch = "x86_64")]
    match crate::simd::level() {
        // SAFETY: `level` has found these features on this processor.
        crate::simd::Level::Avx512 => return unsafe { avx512(draw, first, out) },
        // SAFETY: as above.
        crate::simd::Level::Avx2 => return unsafe { avx2(draw, first, out) },
        crate::simd::Level::Baseline => {}
    }
    groups(out, |i, group| plain(draw, first + 16 * i, group));
}

/// Coordinates that share sixteen blocks of halves.
pub(crate) const HALVES: usize = 2 * GROUP;

/// The half words of the stream `draw` for the coordinates from `start`, a multiple of 128, on.
pub(crate) fn halves(draw: u64, start: usize, out: &mut [u16]) {
    debug_assert_eq!(start % HALVES, 0);
    let mut buffer = [0u32; 4 * GROUP];
    for (i, out) in out.chunks_mut(8 * GROUP).enumerate() {
        let buffer = &mut buffer[..out.len().div_ceil(HALVES) * GROUP];
        words(draw, start / 2 + 4 * GROUP * i, buffer);
        split(buffer, out);
    }
}

dispatch! {
    fn split(words: &[u32], out: &mut [u16]) {
        let words = words.as_chunks::<16>().0;
        let (whole, rest) = out.as_chunks_mut::<32>();
        for (words, out) in words.iter().zip(&mut *whole) {
            for l in 0..16 {
                out[l] = words[l] as u16;
                out[16 + l] = (words[l] >> 16) as u16;
            }
        }
        for (l, out) in rest.iter_mut().enumerate() {
            *out = (words[whole.len()][l % 16] >> (l / 16 * 16)) as u16;
        }
    }
}

#[inline(always)]
fn groups(out: &mut [u32], fill: impl Fn(u64, &mut [u32; GROUP])) {
    let (whole, rest) = out.as_chunks_mut::<GROUP>();
    let n = whole.len() as u64;
    whole.iter_mut().enumerate().for_each(|(i, group)| fill(i as u64, group));
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        fill(n, &mut group);
        rest.copy_from_slice(&group[..rest.len()]);
    }
}

fn plain(draw: u64, first: u64, group: &mut [u32; GROUP]) {
    for l in 0..16 {
        let block = Philox::block(draw, first + l as u64);
        block.iter().enumerate().for_each(|(w, word)| group[16 * w + l] = *word);
    }
}

/// The multipliers and key increments of Philox4x32.
#[cfg(target_arch = "x86_64")]
const M: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
#[cfg(target_arch = "x86_64")]
const W: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(draw: u64, first: u64, out: &mut [u32]) {
    use std::arch::x86_64::*;

    let multipliers = [_mm512_set1_epi32(M[0] as i32), _mm512_set1_epi32(M[1] as i32)];
    let ramp = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    groups(out, |i, group| {
        let index = first + 16 * i;
        // A multiple of 16: the lanes do not carry.
        let mut c = [
            _mm512_add_epi32(_mm512_set1_epi32(index as i32), ramp),
            _mm512_set1_epi32((index >> 32) as i32),
            _mm512_setzero_si512(),
            _mm512_setzero_si512(),
        ];
        let mut k = [draw as u32, (draw >> 32) as u32];
        for _ in 0..10 {
            let mut low = [_mm512_setzero_si512(); 2];
            let mut high = low;
            for h in 0..2 {
                let even = _mm512_mul_epu32(c[2 * h], multipliers[h]);
                let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(c[2 * h]), multipliers[h]);
                low[h] = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd));
                high[h] = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd);
            }
            let keys = [_mm512_set1_epi32(k[0] as i32), _mm512_set1_epi32(k[1] as i32)];
            c = [
                _mm512_ternarylogic_epi32::<0x96>(high[1], c[1], keys[0]),
                low[1],
                _mm512_ternarylogic_epi32::<0x96>(high[0], c[3], keys[1]),
                low[0],
            ];
            k = [k[0].wrapping_add(W[0]), k[1].wrapping_add(W[1])];
        }
        for (out, c) in group.as_chunks_mut::<16>().0.iter_mut().zip(c) {
            // SAFETY: `out` is sixteen words.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), c) };
        }
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(draw: u64, first: u64, out: &mut [u32]) {
    use std::arch::x86_64::*;

    let multipliers = [_mm256_set1_epi32(M[0] as i32), _mm256_set1_epi32(M[1] as i32)];
    let ramp = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    groups(out, |i, group| {
        for half in 0..2 {
            let index = first + 16 * i + 8 * half as u64;
            // A multiple of 8: the lanes do not carry.
            let mut c = [
                _mm256_add_epi32(_mm256_set1_epi32(index as i32), ramp),
                _mm256_set1_epi32((index >> 32) as i32),
                _mm256_setzero_si256(),
                _mm256_setzero_si256(),
            ];
            let mut k = [draw as u32, (draw >> 32) as u32];
            for _ in 0..10 {
                let mut low = [_mm256_setzero_si256(); 2];
                let mut high = low;
                for h in 0..2 {
                    let even = _mm256_mul_epu32(c[2 * h], multipliers[h]);
                    let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(c[2 * h]), multipliers[h]);
                    low[h] = _mm256_blend_epi32::<0xaa>(even, _mm256_slli_epi64::<32>(odd));
                    high[h] = _mm256_blend_epi32::<0xaa>(_mm256_srli_epi64::<32>(even), odd);
                }
                let keys = [_mm256_set1_epi32(k[0] as i32), _mm256_set1_epi32(k[1] as i32)];
                c = [
                    _mm256_xor_si256(_mm256_xor_si256(high[1], c[1]), keys[0]),
                    low[1],
                    _mm256_xor_si256(_mm256_xor_si256(high[0], c[3]), keys[1]),
                    low[0],
                ];
                k = [k[0].wrapping_add(W[0]), k[1].wrapping_add(W[1])];
            }
            for (w, c) in c.into_iter().enumerate() {
                let out: &mut [u32; 8] = group[16 * w + 8 * half..].first_chunk_mut().expect("eight words");
                // SAFETY: `out` is eight words.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), c) };
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_draws_the_same() {
        for (draw, start) in [(1, 0), (0xdead_beef_0bad_cafe, 64 * 12_345), (7, (1 << 36) + 64)] {
            let mut expected = vec![0; 300];
            let first = 16 * (start / GROUP) as u64;
            groups(&mut expected, |i, group| plain(draw, first + 16 * i, group));
            let mut got = vec![0; 300];
            words(draw, start, &mut got);
            assert_eq!(got, expected);
            #[cfg(target_arch = "x86_64")]
            if crate::simd::level() != crate::simd::Level::Baseline {
                got.fill(0);
                // SAFETY: both levels above the baseline have AVX2.
                unsafe { avx2(draw, first, &mut got) };
                assert_eq!(got, expected);
            }
        }
    }

    #[test]
    fn halves_are_those_of_the_words() {
        for start in [0, 128, 128 * 999] {
            for len in [1, 15, 17, 31, 32, 33, 128, 500, 1024, 1300] {
                let mut got = vec![0; len];
                halves(9, start, &mut got);
                for (j, got) in (start..).zip(got) {
                    let block = Philox::block(9, (16 * (j / 128) + j % 16) as u64);
                    assert_eq!(got, (block[j % 128 / 32] >> (j / 16 % 2 * 16)) as u16, "coordinate {j}");
                }
            }
        }
    }

    #[test]
    fn the_stream_is_stable() {
        let mut got = [0; 64];
        words(0, 0, &mut got);
        // Block 0 of key 0 is Random123's test vector.
        assert_eq!([got[0], got[16], got[32], got[48]], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    }
}
