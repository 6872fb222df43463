//! Random words for every coordinate of a vector, wherever one begins.
//!
//! A word serves two coordinates: the first gets it turned by sixteen bits, so that the digits that decide almost always
//! are the other's last. Coordinate j takes word (j mod 128) div 32 of block 16·(j div 128) + j mod 16, turned where
//! j div 16 is even: sixteen blocks are computed side by side. They are of Philox4x32-7, the fewest rounds of which
//! Salmon et al. report that BigCrush finds no fault.

use super::philox::rounds;

/// Coordinates that share sixteen blocks.
pub(crate) const GROUP: usize = 128;
/// Rounds of the generator.
const ROUNDS: usize = 7;

/// The words of the stream `draw` for the coordinates from `start`, a multiple of 128, on.
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
        for (w, word) in rounds::<ROUNDS>(draw, first + l as u64).into_iter().enumerate() {
            (group[32 * w + l], group[32 * w + 16 + l]) = (word.rotate_left(16), word);
        }
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
        for _ in 0..ROUNDS {
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
        for (out, c) in group.as_chunks_mut::<32>().0.iter_mut().zip(c) {
            // SAFETY: `out` is twice sixteen words.
            unsafe {
                _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_rol_epi32::<16>(c));
                _mm512_storeu_si512(out.as_mut_ptr().add(16).cast(), c);
            }
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
            for _ in 0..ROUNDS {
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
                let turned = _mm256_or_si256(_mm256_slli_epi32::<16>(c), _mm256_srli_epi32::<16>(c));
                for (row, c) in [turned, c].into_iter().enumerate() {
                    let place = &mut group[32 * w + 16 * row + 8 * half..];
                    let out: &mut [u32; 8] = place.first_chunk_mut().expect("eight words");
                    // SAFETY: `out` is eight words.
                    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), c) };
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_draws_the_same() {
        for (draw, start) in [(1, 0), (0xdead_beef_0bad_cafe, GROUP * 12_345), (7, (1 << 36) + GROUP)] {
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
    fn the_stream_is_stable() {
        let mut got = [0; GROUP];
        words(0, 0, &mut got);
        // Block 0 of key 0 is Random123's test vector for seven rounds.
        assert_eq!([got[16], got[48], got[80], got[112]], [0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48]);
        assert_eq!(got[0], 0xb709_5f6f);
    }

    /// Bytes of all four digits are uniform, and say nothing of those of the partner, of the neighbours in a row, in a
    /// column and in the next group, nor of another stream's: χ² of 256 and of 65536 cells within six deviations.
    #[test]
    fn words_are_independent() {
        const N: usize = 1 << 20;
        let stream = |draw: u64| {
            let mut words = vec![0; N];
            super::words(draw, 0, &mut words);
            words
        };
        let (a, b) = (stream(0x1234_5678), stream(0x1234_5679));
        let chi = |cells: &[u32]| {
            let mean = cells.iter().map(|c| f64::from(*c)).sum::<f64>() / cells.len() as f64;
            let chi = cells.iter().map(|c| (f64::from(*c) - mean).powi(2) / mean).sum::<f64>();
            let freedom = cells.len() as f64 - 1.0;
            (chi - freedom) / (2.0 * freedom).sqrt()
        };
        for shift in [0, 8, 16, 24] {
            let mut cells = vec![0; 256];
            a.iter().for_each(|w| cells[(w >> shift) as usize & 255] += 1);
            assert!(chi(&cells).abs() < 6.0, "byte {shift}: {}", chi(&cells));
        }
        // A word and its turn share bytes by design, but not their first ones.
        for (what, other) in [("partner", 16), ("neighbour", 1), ("column", 32), ("group", GROUP), ("stream", 0)] {
            let mut cells = vec![0; 1 << 16];
            for j in 0..N - GROUP {
                let second = if other == 0 { b[j] } else { a[j + other] };
                cells[(a[j] >> 24 << 8 | second >> 24) as usize] += 1;
            }
            assert!(chi(&cells).abs() < 6.0, "{what}: {}", chi(&cells));
        }
    }
}
