//! Random subsets, drawn from a 64-bit name.

use crate::Philox;

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
    let k = k.min(len);
    let complement = k > len / 2;
    let wanted = if complement { len - k } else { k };
    let mut taken = vec![0u64; len.div_ceil(64)];
    let mut random = Philox::new(draw);
    let mut distinct = 0;
    while distinct < wanted {
        let j = random.below(len as u32) as usize;
        let bit = 1u64 << (j % 64);
        distinct += usize::from(taken[j / 64] & bit == 0);
        taken[j / 64] |= bit;
    }
    indices.reserve(k);
    for (w, word) in taken.iter().enumerate() {
        let mut word = if complement { !word } else { *word };
        while word != 0 {
            let j = w * 64 + word.trailing_zeros() as usize;
            if j < len {
                indices.push(j as u32);
            }
            word &= word - 1;
        }
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
