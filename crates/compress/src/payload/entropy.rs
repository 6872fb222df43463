//! Symbols of a small alphabet, at their exact width or by a static range coder, whichever is
//! shorter.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | code: 0 fixed width, 1 rANS |
//!
//! Code 0 continues with ⌈log₂ alphabet⌉ bits a symbol.
//!
//! Code 1 is rANS (Duda 2013) with a 64-bit state that is renormalised by 32 bits, over frequencies
//! that sum to 2¹⁴: the first symbol that occurs and how many follow up to the last one (two LEB128 numbers),
//! their frequencies (a LEB128 number each), the number of words (LEB128), the final state (8
//! bytes), the words (4 bytes each) in the order in which they are read. Words that the coder left
//! unused are zero and stand at the end: their number is fixed beforehand from the histogram, so that
//! the size is known without encoding.

use super::bytes::{BitReader, BitWriter, Reader, put_varint, varint_bytes};
use crate::error::WireError;

/// Bits of a frequency.
const PRECISION: u32 = 14;
const TOTAL: u32 = 1 << PRECISION;
/// The state's lower bound between symbols.
const LOWER: u64 = 1 << 31;

/// How a sequence is written.
#[derive(Debug)]
pub(super) struct Plan {
    len: usize,
    alphabet: usize,
    coded: Option<Coded>,
}

#[derive(Debug)]
struct Coded {
    model: Model,
    words: u64,
}

impl Plan {
    /// The shorter code for a sequence of this histogram.
    pub fn new(histogram: &[u64]) -> Self {
        let len: u64 = histogram.iter().sum();
        let mut plan = Self { len: len as usize, alphabet: histogram.len(), coded: None };
        if len > 0 {
            let model = Model::new(histogram, len);
            let words = model.words(histogram);
            let fixed = plan.num_bytes();
            plan.coded = Some(Coded { model, words });
            if plan.num_bytes() >= fixed {
                plan.coded = None;
            }
        }
        plan
    }

    /// The exact size of the code.
    pub fn num_bytes(&self) -> usize {
        1 + match &self.coded {
            None => (self.len as u64 * u64::from(width(self.alphabet))).div_ceil(8) as usize,
            Some(Coded { model, words }) => {
                let table: usize = model.used().iter().map(|f| varint_bytes(u64::from(*f))).sum();
                let range = varint_bytes(model.first as u64) + varint_bytes(model.used().len() as u64 - 1);
                range + table + varint_bytes(*words) + 8 + 4 * *words as usize
            }
        }
    }

    /// Appends the code of these symbols, which must have the histogram of the plan.
    pub fn encode<S: Copy>(&self, symbols: &[S], symbol: impl Fn(S) -> usize, out: &mut Vec<u8>) {
        let Some(Coded { model, words }) = &self.coded else {
            out.push(0);
            let width = width(self.alphabet);
            let mut writer = BitWriter::new(out);
            symbols.iter().for_each(|s| writer.put(symbol(*s) as u32, width));
            return writer.finish();
        };
        out.push(1);
        put_varint(model.first as u64, out);
        put_varint(model.used().len() as u64 - 1, out);
        model.used().iter().for_each(|f| put_varint(u64::from(*f), out));
        put_varint(*words, out);
        let start = out.len();
        out.resize(start + 8 + 4 * *words as usize, 0);
        let starts = model.starts();
        let mut state = LOWER;
        let mut stack: Vec<u32> = Vec::with_capacity(*words as usize);
        for s in symbols.iter().rev() {
            let s = symbol(*s) - model.first;
            let (frequency, start) = (u64::from(model.frequencies[s]), u64::from(starts[s]));
            if state >= (LOWER >> PRECISION << 32) * frequency {
                stack.push(state as u32);
                state >>= 32;
            }
            state = ((state / frequency) << PRECISION) + state % frequency + start;
        }
        out[start..start + 8].copy_from_slice(&state.to_le_bytes());
        let places = out[start + 8..].chunks_exact_mut(4);
        stack.iter().rev().zip(places).for_each(|(word, place)| place.copy_from_slice(&word.to_le_bytes()));
    }
}

/// Reads `len` symbols below `alphabet`, and hands on each.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    len: usize,
    alphabet: usize,
    mut emit: impl FnMut(usize),
) -> Result<(), WireError> {
    let malformed = |why| WireError::Malformed { what: "symbols", why };
    match reader.take(1, "a symbol code")?[0] {
        0 => {
            let width = width(alphabet);
            let size = (len as u64 * u64::from(width)).div_ceil(8) as usize;
            let mut bits = BitReader::new(reader.take(size, "symbols")?);
            for _ in 0..len {
                match bits.get(width).expect("enough bytes were taken") as usize {
                    s if s < alphabet => emit(s),
                    _ => return Err(malformed("a symbol is beyond its alphabet")),
                }
            }
            Ok(())
        }
        1 => {
            let model = Model::read(reader, alphabet)?;
            let words = reader.varint("a number of words")?;
            let mut state = u64::from_le_bytes(reader.take(8, "a coder's state")?.try_into().expect("eight bytes"));
            let size = usize::try_from(words).unwrap_or(usize::MAX).saturating_mul(4);
            let mut words = reader.take(size, "coded symbols")?.chunks_exact(4);
            if state < LOWER {
                return Err(malformed("the coder's state is below its bound"));
            }
            let starts = model.starts();
            let mut table = Vec::with_capacity(TOTAL as usize);
            for (s, frequency) in model.frequencies.iter().enumerate() {
                table.resize(table.len() + *frequency as usize, s as u16);
            }
            for _ in 0..len {
                let slot = state as u32 % TOTAL;
                let s = usize::from(table[slot as usize]);
                state = u64::from(model.frequencies[s]) * (state >> PRECISION) + u64::from(slot - starts[s]);
                if state < LOWER {
                    let word = words.next().ok_or(malformed("the coder runs dry"))?;
                    state = state << 32 | u64::from(u32::from_le_bytes(word.try_into().expect("four bytes")));
                    if state < LOWER {
                        return Err(malformed("the coder's state is below its bound"));
                    }
                }
                emit(model.first + s);
            }
            if state != LOWER || words.any(|w| w != [0; 4]) {
                return Err(malformed("the coder does not end where it began"));
            }
            Ok(())
        }
        kind => Err(WireError::Kind { what: "symbol code", kind }),
    }
}

fn width(alphabet: usize) -> u32 {
    usize::BITS - (alphabet - 1).leading_zeros()
}

/// Frequencies of a run of symbols, which sum to [`TOTAL`].
#[derive(Debug)]
struct Model {
    first: usize,
    frequencies: Vec<u32>,
}

impl Model {
    fn new(histogram: &[u64], len: u64) -> Self {
        let first = histogram.iter().position(|c| *c > 0).expect("some symbols");
        let last = histogram.iter().rposition(|c| *c > 0).expect("some symbols");
        let scaled =
            |c: u64| if c == 0 { 0 } else { (u128::from(c) * u128::from(TOTAL) / u128::from(len)).max(1) as u32 };
        let mut frequencies: Vec<u32> = histogram[first..=last].iter().map(|c| scaled(*c)).collect();
        // What rounding left over or took too much is settled with the most frequent ones.
        let mut sum: u32 = frequencies.iter().sum();
        while sum != TOTAL {
            let most = (0..frequencies.len()).max_by_key(|s| (frequencies[*s], *s)).expect("some symbols");
            let change = if sum < TOTAL { TOTAL - sum } else { (sum - TOTAL).min(frequencies[most] / 2).max(1) };
            if sum < TOTAL {
                frequencies[most] += change;
                sum += change;
            } else {
                frequencies[most] -= change;
                sum -= change;
            }
        }
        Self { first, frequencies }
    }

    fn used(&self) -> &[u32] {
        &self.frequencies
    }

    fn starts(&self) -> Vec<u32> {
        let add = |sum: &mut u32, f: &u32| {
            *sum += f;
            Some(*sum - f)
        };
        self.frequencies.iter().scan(0, add).collect()
    }

    /// At least as many words as the coder emits. With f of 2¹⁴ for a symbol its state grows by a factor of
    /// at most (2¹⁴/f)(1 + 2⁻¹⁷), a word takes 32 bits of it, and it ends no lower than it began. In units
    /// of 2⁻¹⁶ bits, two of which make up for the bracket and for rounding.
    fn words(&self, histogram: &[u64]) -> u64 {
        let cost = |f: u32| ((f64::from(TOTAL) / f64::from(f)).log2() * 65536.0).ceil() as u64 + 2;
        let counts = histogram[self.first..].iter().zip(&self.frequencies).filter(|(c, _)| **c > 0);
        counts.map(|(c, f)| c * cost(*f)).sum::<u64>() >> 21
    }

    fn read(reader: &mut Reader<'_>, alphabet: usize) -> Result<Self, WireError> {
        let malformed = |why| WireError::Malformed { what: "symbol frequencies", why };
        let first = reader.varint("the first symbol")?;
        let follow = reader.varint("a number of symbols")?;
        if first.saturating_add(follow) >= alphabet as u64 {
            return Err(malformed("a symbol is beyond its alphabet"));
        }
        let mut sum = 0;
        let mut frequencies = Vec::with_capacity(follow as usize + 1);
        for _ in 0..=follow {
            let f = reader.varint("a frequency")?;
            sum += f.min(u64::from(TOTAL) + 1);
            frequencies.push(f as u32);
        }
        if sum == u64::from(TOTAL) {
            Ok(Self { first: first as usize, frequencies })
        } else {
            Err(malformed("they do not sum to 2^14"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(symbols: &[u16], alphabet: usize) -> Vec<u64> {
        let mut histogram = vec![0; alphabet];
        symbols.iter().for_each(|s| histogram[usize::from(*s)] += 1);
        histogram
    }

    fn round_trip(symbols: &[u16], alphabet: usize) -> usize {
        let plan = Plan::new(&histogram(symbols, alphabet));
        let mut bytes = Vec::new();
        plan.encode(symbols, usize::from, &mut bytes);
        assert_eq!(bytes.len(), plan.num_bytes());
        let mut reader = Reader { bytes: &bytes };
        let mut got = Vec::new();
        decode(&mut reader, symbols.len(), alphabet, |s| got.push(s as u16)).unwrap();
        assert_eq!(got, symbols);
        assert!(reader.bytes.is_empty());
        bytes.len()
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(raw in prop::collection::vec(0u32..1000, 0..3000), alphabet in 2usize..510, skew in 1i32..8) {
            let symbols: Vec<u16> = raw.iter().map(|r| ((f64::from(*r) / 1000.0).powi(skew) * alphabet as f64) as u16).collect();
            round_trip(&symbols, alphabet);
        }
    }

    #[test]
    fn close_to_the_entropy() {
        let mut random = crate::Philox::new(1);
        for (alphabet, skew) in [(3, 1), (3, 6), (31, 1), (31, 3), (31, 8), (255, 1), (255, 5), (510, 9)] {
            let symbols: Vec<u16> =
                (0..200_000).map(|_| (f64::from(random.uniform()).powi(skew) * alphabet as f64) as u16).collect();
            let bytes = round_trip(&symbols, alphabet) as f64;
            let n = symbols.len() as f64;
            let entropy: f64 = histogram(&symbols, alphabet)
                .into_iter()
                .filter(|c| *c > 0)
                .map(|c| c as f64 * (n / c as f64).log2())
                .sum();
            assert!(bytes * 8.0 <= 1.03 * entropy, "{alphabet} {skew}: {} of {}", bytes * 8.0, entropy);
        }
    }

    #[test]
    fn a_constant_sequence_is_almost_free() {
        assert!(round_trip(&[7; 100_000], 31) < 32);
        assert_eq!(round_trip(&[], 31), 1);
        assert_eq!(round_trip(&[3], 31), 2);
    }
}
