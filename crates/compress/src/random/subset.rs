//! Random subsets, drawn from a 64-bit name.

use std::cell::RefCell;

use super::philox;
use crate::simd::dispatch;

/// A uniformly drawn set of `k` of the numbers 0 … len − 1, in ascending order: a pure function of
/// the three arguments, so a receiver can redraw it.
///
/// Draws with replacement until `k` numbers are distinct, which makes every subset equally likely;
/// where `k` is over half of `len` it draws the complement.
pub fn subset(draw: u64, len: usize, k: usize) -> Vec<u32> {
    let mut indices = Vec::with_capacity(k.min(len));
    extend_subset(draw, len, k, &mut indices);
    indices
}

/// Appends the [`subset`] to `indices`.
pub(crate) fn extend_subset(draw: u64, len: usize, k: usize, indices: &mut Vec<u32>) {
    thread_local! {
        /// A bit a coordinate, all zero between calls.
        static TAKEN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }
    let k = k.min(len);
    let complement = k > len / 2;
    let words = len.div_ceil(64);
    TAKEN.with_borrow_mut(|all| {
        if all.len() < words {
            all.resize(words, 0);
        }
        let taken = &mut all[..words];
        take(draw, len, if complement { len - k } else { k }, taken);
        indices.reserve(k + 1);
        if complement {
            taken.iter_mut().for_each(|word| *word = !*word);
            let beyond = words * 64 - len;
            if let Some(last) = taken.last_mut() {
                *last = *last << beyond >> beyond;
            }
        }
        drain(taken, indices);
        if words > KEPT {
            *all = Vec::new();
        }
    });
}

/// Words of the bits that a thread keeps: 8 MiB, 67 million coordinates.
const KEPT: usize = 1 << 20;

/// Sets `wanted` bits, drawing until so many are distinct; the numbers are those of
/// [`Philox::below`](super::Philox::below).
fn take(draw: u64, len: usize, wanted: usize, taken: &mut [u64]) {
    const WORDS: usize = 256;
    if wanted == 0 {
        return;
    }
    let bound = len as u32;
    // Words of a smaller remainder would favour some numbers (Lemire 2019).
    let threshold = bound.wrapping_neg() % bound;
    let mut words = [0u32; WORDS];
    let (mut block, mut used, mut distinct) = (0, WORDS, 0);
    while distinct < wanted {
        if used == WORDS {
            philox::fill(draw, block, &mut words);
            block += WORDS as u64 / 4;
            used = 0;
        }
        // So many at least are still to come: no need to look up in between.
        let next = WORDS.min(used + wanted - distinct);
        for word in &words[used..next] {
            let product = u64::from(*word) * u64::from(bound);
            if product as u32 >= threshold {
                let j = (product >> 32) as usize;
                let (word, bit) = (&mut taken[j / 64], 1u64 << (j % 64));
                distinct += usize::from(*word & bit == 0);
                *word |= bit;
            }
        }
        used = next;
    }
}

dispatch! {
    /// Appends the places of all bits that are set, and clears them.
    fn drain(taken: &mut [u64], indices: &mut Vec<u32>) {
        let first = indices.len();
        let bits: u32 = taken.iter().map(|word| word.count_ones()).sum();
        let end = first + bits as usize;
        // One more, for the second bit of a word that has only one.
        indices.resize(end + 1, 0);
        let mut next = first;
        for (group, words) in taken.chunks_mut(64).enumerate() {
            // First which words have any, so that the processor need not guess at each of them.
            let mut any = (words.iter().enumerate()).fold(0u64, |any, (w, word)| any | u64::from(*word != 0) << w);
            while any != 0 {
                let w = any.trailing_zeros() as usize;
                let start = (group * 4096 + w * 64) as u32;
                let mut word = std::mem::take(&mut words[w]);
                // Nor whether there is a second: it is written, and then counts or does not.
                indices[next] = start + word.trailing_zeros();
                word &= word - 1;
                indices[next + 1] = start + word.trailing_zeros();
                next += 1 + usize::from(word != 0);
                word &= word.wrapping_sub(1);
                while word != 0 {
                    indices[next] = start + word.trailing_zeros();
                    next += 1;
                    word &= word - 1;
                }
                any &= any - 1;
            }
        }
        indices.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_k_distinct_members_in_order() {
        for (len, k) in [(1, 1), (10, 0), (10, 3), (10, 9), (10, 10), (1000, 10), (65, 64)] {
            let set = subset(5, len, k);
            assert_eq!(set.len(), k);
            assert!(set.windows(2).all(|w| w[0] < w[1]) && set.iter().all(|i| (*i as usize) < len));
        }
    }

    #[test]
    fn is_the_plain_algorithm_s() {
        for (draw, len, k) in [(1, 1, 1), (2, 64, 40), (3, 5000, 50), (4, 5000, 2501), (5, 100_000, 30_000)] {
            let complement = k > len / 2;
            let mut random = super::super::Philox::new(draw);
            let mut drawn = std::collections::BTreeSet::new();
            while drawn.len() < if complement { len - k } else { k } {
                drawn.insert(random.below(len as u32));
            }
            let expected: Vec<u32> = (0..len as u32).filter(|j| drawn.contains(j) != complement).collect();
            assert_eq!(subset(draw, len, k), expected);
        }
    }

    #[test]
    fn every_place_is_equally_likely() {
        for k in [3, 7] {
            let mut counts = [0u32; 10];
            (0..20_000).for_each(|draw| subset(draw, 10, k).iter().for_each(|i| counts[*i as usize] += 1));
            let mean = 2_000 * k as u32;
            assert!(counts.iter().all(|c| c.abs_diff(mean) < 320), "{counts:?}");
        }
    }

    #[test]
    fn draws_are_stable() {
        assert_eq!(subset(42, 100, 5), subset(42, 100, 5));
        assert_ne!(subset(42, 100, 5), subset(43, 100, 5));
    }
}
