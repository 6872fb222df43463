//! Ascending indices in few bits: Golomb coded gaps.
//!
//! A gap is the number of places skipped since the last index. A divisor M (LEB128) comes first; ⌊gap/M⌋ is
//! written in unary, the remainder in truncated binary, ⌊log₂M⌋ or ⌈log₂M⌉ bits with the high ones first.
//! Where more than half of all places are taken, the places that are not are coded instead; nothing
//! is written where there is nothing to say.
//!
//! M may be any number: powers of two alone (Rice) lose 4 % at some densities. With the best M, random supports
//! cost within 1 % of log₂ C(d,k) up to a third of all places. M = 1 is a bitmap, and M = mean gap is never
//! longer than Elias–Fano's 2 + log₂(d/k) bits, so neither needs a code of its own.

use super::bytes::{BitReader, BitWriter, Reader, put_varint, varint_bytes};
use crate::error::WireError;

/// Bytes of the code of these indices, all below `len`.
pub fn num_bytes(indices: &[u32], len: usize) -> usize {
    let indices = &*fewer(indices, len);
    if indices.is_empty() {
        return 0;
    }
    let (divisor, bits) = best(indices);
    varint_bytes(u64::from(divisor)) + bits.div_ceil(8) as usize
}

/// Appends the code to `out`.
pub fn encode(indices: &[u32], len: usize, out: &mut Vec<u8>) {
    let indices = &*fewer(indices, len);
    if indices.is_empty() {
        return;
    }
    let divisor = best(indices).0;
    put_varint(u64::from(divisor), out);
    let code = Truncated::new(divisor);
    let mut writer = BitWriter::new(out);
    for gap in gaps(indices) {
        writer.put_unary(gap / divisor);
        code.put(gap % divisor, &mut writer);
    }
    writer.finish();
}

/// Takes `count` ascending indices below `len`.
pub fn decode(reader: &mut Reader<'_>, count: usize, len: usize) -> Result<Vec<u32>, WireError> {
    let coded = count.min(len - count);
    // Every index takes a bit at least: no allocation that the bytes do not back.
    if coded as u64 > 8 * reader.bytes.len() as u64 {
        let (needed, left) = ((coded as u64).div_ceil(8), reader.bytes.len() as u64);
        return Err(WireError::Short { what: "indices", needed, left });
    }
    if coded == 0 {
        return Ok((0..count as u32).collect());
    }
    let divisor = match reader.varint("an index code's divisor")? {
        m @ 1..=0xffff_ffff => m as u32,
        _ => return Err(WireError::Malformed { what: "index code", why: "its divisor is not in 1 … 2^32 − 1" }),
    };
    let code = Truncated::new(divisor);
    let mut bits = BitReader::new(reader.bytes);
    let mut indices = Vec::with_capacity(coded);
    let mut next = 0u64;
    for _ in 0..coded {
        let (Some(quotient), Some(remainder)) = (bits.get_unary(), code.get(&mut bits)) else {
            return Err(WireError::Short {
                what: "indices",
                needed: reader.bytes.len() as u64 + 1,
                left: reader.bytes.len() as u64,
            });
        };
        let index = next + u64::from(quotient) * u64::from(divisor) + u64::from(remainder);
        if index >= len as u64 {
            return Err(WireError::Malformed { what: "indices", why: "an index lies beyond the vector" });
        }
        indices.push(index as u32);
        next = index + 1;
    }
    reader.take(bits.bytes_read(), "indices")?;
    Ok(if coded < count { complement(&indices, len) } else { indices })
}

/// What is coded: the indices, or the places that are not among them.
fn fewer(indices: &[u32], len: usize) -> std::borrow::Cow<'_, [u32]> {
    if indices.len() > len / 2 { complement(indices, len).into() } else { indices.into() }
}

fn complement(indices: &[u32], len: usize) -> Vec<u32> {
    let mut rest = Vec::with_capacity(len - indices.len());
    let mut next = 0;
    for i in indices.iter().copied().chain([len as u32]) {
        rest.extend(next..i);
        next = i.saturating_add(1);
    }
    rest
}

fn gaps(indices: &[u32]) -> impl Iterator<Item = u32> + '_ {
    let mut next = 0;
    indices.iter().map(move |i| {
        let gap = i - next;
        next = i.wrapping_add(1);
        gap
    })
}

/// Truncated binary numbers below M.
#[derive(Clone, Copy)]
struct Truncated {
    /// Bits of the shorter code.
    short: u32,
    /// Numbers below this take the shorter code.
    cutoff: u32,
}

impl Truncated {
    fn new(divisor: u32) -> Self {
        let short = divisor.ilog2();
        Self { short, cutoff: ((2u64 << short) - u64::from(divisor)) as u32 }
    }

    #[inline]
    fn bits(self, number: u32) -> u32 {
        self.short + u32::from(number >= self.cutoff)
    }

    #[inline]
    fn put(self, number: u32, writer: &mut BitWriter<'_>) {
        if number < self.cutoff {
            writer.put(number, self.short);
        } else {
            let long = number + self.cutoff;
            writer.put(long >> 1, self.short);
            writer.put(long & 1, 1);
        }
    }

    #[inline]
    fn get(self, reader: &mut BitReader<'_>) -> Option<u32> {
        let high = reader.get(self.short)?;
        if high < self.cutoff { Some(high) } else { Some((high << 1 | reader.get(1)?) - self.cutoff) }
    }
}

/// The divisor with the shortest code, among those that are worth a trial, and its bits.
fn best(indices: &[u32]) -> (u32, u64) {
    let bits = |divisor: u32| {
        let code = Truncated::new(divisor);
        gaps(indices).map(|g| u64::from(g / divisor) + 1 + u64::from(code.bits(g % divisor))).sum::<u64>()
    };
    // Gallager and van Voorhis 1975 for geometric gaps; gaps in clusters want less.
    let span = f64::from(*indices.last().expect("some indices")) + 1.0;
    let density = (indices.len() as f64 / span).min(1.0);
    let ideal =
        if density < 1.0 { ((1.0 + (1.0 - density)).ln() / -(-density).ln_1p()).ceil().max(1.0) as u32 } else { 1 };
    let mut best = (ideal, bits(ideal));
    while best.0 > 1 {
        let smaller = best.0 - best.0.div_ceil(4);
        match bits(smaller) {
            cost if cost < best.1 => best = (smaller, cost),
            _ => break,
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(indices: &[u32], len: usize) -> usize {
        let mut bytes = Vec::new();
        encode(indices, len, &mut bytes);
        assert_eq!(bytes.len(), num_bytes(indices, len));
        let size = bytes.len();
        bytes.push(0xa5);
        let mut reader = Reader { bytes: &bytes };
        assert_eq!(decode(&mut reader, indices.len(), len).unwrap(), indices);
        assert_eq!(reader.bytes, [0xa5]);
        size
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(set in prop::collection::btree_set(0u32..5000, 0..400), more in 0usize..100_000) {
            let indices: Vec<u32> = set.into_iter().collect();
            round_trip(&indices, indices.last().map_or(0, |i| *i as usize + 1) + more);
        }

        #[test]
        fn dense_sets_too(set in prop::collection::btree_set(0u32..200, 0..200)) {
            let indices: Vec<u32> = set.into_iter().collect();
            round_trip(&indices, 200);
        }
    }

    #[test]
    fn the_largest_indices() {
        round_trip(&[0, u32::MAX - 1], u32::MAX as usize);
        round_trip(&[u32::MAX - 1], u32::MAX as usize);
    }

    #[test]
    fn within_three_percent_of_the_entropy() {
        for ratio in [1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3] {
            for len in [1_000_000usize, 3_000_000] {
                let k = (ratio * len as f64) as usize;
                let bits = 8.0 * round_trip(&crate::random::subset(k as u64, len, k), len) as f64;
                let bound = log2_choose(len, k);
                assert!(bits <= 1.03 * bound, "{ratio}: {}", bits / bound);
                println!("{ratio} {len}: {:.4}", bits / bound);
            }
        }
    }

    /// log₂ C(d,k), by Stirling's series.
    fn log2_choose(d: usize, k: usize) -> f64 {
        let ln_factorial = |n: usize| {
            let n = n as f64;
            n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + 1.0 / (12.0 * n)
        };
        (ln_factorial(d) - ln_factorial(k) - ln_factorial(d - k)) / std::f64::consts::LN_2
    }

    #[test]
    fn hostile_divisors_do_no_harm() {
        for bytes in [vec![0, 0xff], vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff], vec![1]] {
            assert!(decode(&mut Reader { bytes: &bytes }, 3, 10).is_err());
        }
        assert!(decode(&mut Reader { bytes: &[1, 0] }, 1 << 30, u32::MAX as usize).is_err());
    }
}
