//! Symbols of a small alphabet, at their exact width or by a static range coder, whichever is
//! shorter.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | code: 0 fixed width, 1 rANS, 2 rANS of many symbols |
//!
//! Code 0 continues with ⌈log₂ alphabet⌉ bits a symbol.
//!
//! Codes 1 and 2 are rANS (Duda 2013) with 64-bit states that are renormalised by 32 bits, over frequencies
//! that sum to 2¹⁴: the first symbol that occurs and how many follow up to the last one (two LEB128 numbers),
//! their frequencies (a LEB128 number each), and the chunks. Code 1 has one chunk of all symbols and one state; code 2,
//! which is written from 2¹⁶ symbols on, has chunks of 2¹⁸ symbols that know nothing of each other, and in each four
//! states that take the symbols in turn, so that the coder need not wait for its own multiplications. A chunk is its
//! number of words (LEB128), the final states (8 bytes each) and the words (4 bytes each) in the order in which they
//! are read. Words that the coder left unused are zero and stand at the end: their number is fixed beforehand from the
//! histogram, so that the size is known without encoding.

use rayon::prelude::*;

use super::bytes::{Reader, put_varint, varint_bytes};
use super::packed;
use super::rans::{MOST, Model, malformed, read, write};
use crate::error::WireError;
use crate::kernels::tasks;
use crate::room::{self, Room};

/// Symbols from which on they are many.
const MANY: usize = 1 << 16;
/// Of many symbols, those of a chunk.
const CHUNK: usize = 1 << 18;
/// Of many symbols, states that take turns.
const LANES: usize = 4;

type Histogram = [u32; MOST];

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
    /// The number of words of every chunk.
    words: Vec<u64>,
    lanes: usize,
}

impl Plan {
    /// The shorter code of these symbols, of which `index` says which of the alphabet each is.
    pub fn new<S: Copy + Sync>(symbols: &[S], alphabet: usize, index: impl Fn(S) -> usize + Sync) -> Self {
        assert!(alphabet <= MOST, "alphabets of 512 at most");
        let len = symbols.len();
        let mut plan = Self { len, alphabet, coded: None };
        if len > 0 {
            let chunks: Vec<Histogram> = tasks::map(symbols.par_chunks(CHUNK), |chunk| histogram(chunk, &index));
            let whole = (0..alphabet).map(|s| chunks.iter().map(|c| u64::from(c[s])).sum()).collect::<Vec<u64>>();
            let model = Model::new(&whole, len as u64);
            let fixed = plan.num_bytes();
            let one = Coded { words: vec![model.words(&whole)], lanes: 1, model };
            let coded = if len < MANY {
                one
            } else {
                let words = chunks.iter().map(|c| one.model.words(&c.map(u64::from))).collect();
                let many = Coded { words, lanes: LANES, model: one.model.clone() };
                // Many states in many chunks cost some hundred bytes, which almost constant symbols may not be worth.
                if many.num_bytes() <= one.num_bytes() + one.num_bytes() / 100 { many } else { one }
            };
            if 1 + coded.num_bytes() < fixed {
                plan.coded = Some(coded);
            }
        }
        plan
    }

    /// The exact size of the code.
    pub fn num_bytes(&self) -> usize {
        1 + match &self.coded {
            None => packed::num_bytes(self.len, width(self.alphabet)),
            Some(coded) => coded.num_bytes(),
        }
    }

    /// Appends the code of the symbols that it was made for.
    pub fn encode<S: Copy + Sync>(&self, symbols: &[S], index: impl Fn(S) -> usize + Sync, out: &mut Vec<u8>) {
        out.reserve(self.num_bytes());
        let Some(coded @ Coded { model, words, lanes }) = &self.coded else {
            out.push(0);
            return packed::put(symbols, width(self.alphabet), |s| index(s) as u16, out);
        };
        out.push(if *lanes == 1 { 1 } else { 2 });
        put_varint(model.first as u64, out);
        put_varint(model.frequencies.len() as u64 - 1, out);
        model.frequencies.iter().for_each(|f| put_varint(u64::from(*f), out));
        let steps = model.steps();
        let start = out.len();
        out.resize(start + coded.sizes().sum::<usize>(), 0);
        let mut rest = &mut out[start..];
        let mut chunks = Vec::with_capacity(words.len());
        for (size, symbols) in coded.sizes().zip(symbols.chunks(if *lanes == 1 { symbols.len() } else { CHUNK })) {
            let (own, more) = rest.split_at_mut(size);
            chunks.push((symbols, own));
            rest = more;
        }
        chunks.into_par_iter().zip(words).for_each(|((symbols, out), words)| {
            let mut number = Vec::new();
            put_varint(*words, &mut number);
            let (head, out) = out.split_at_mut(number.len());
            head.copy_from_slice(&number);
            match lanes {
                1 => write::<1, S>(symbols, &index, &steps, out),
                _ => write::<LANES, S>(symbols, &index, &steps, out),
            }
        });
    }
}

impl Coded {
    /// Of the model and all chunks.
    fn num_bytes(&self) -> usize {
        let Model { first, frequencies } = &self.model;
        let table: usize = frequencies.iter().map(|f| varint_bytes(u64::from(*f))).sum();
        let range = varint_bytes(*first as u64) + varint_bytes(frequencies.len() as u64 - 1);
        range + table + self.sizes().sum::<usize>()
    }

    /// The bytes of every chunk.
    fn sizes(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().map(|words| varint_bytes(*words) + 8 * self.lanes + 4 * *words as usize)
    }
}

/// Reads `len` symbols below `alphabet`, of which `symbol` says what each is.
pub(super) fn decode<S: Room + Send + Sync>(
    reader: &mut Reader<'_>,
    len: usize,
    alphabet: usize,
    symbol: impl Fn(usize) -> S + Sync,
) -> Result<Vec<S>, WireError> {
    let code = reader.byte("a symbol code")?;
    let (chunk, lanes) = match code {
        0 => {
            let bytes = reader.take(packed::num_bytes(len, width(alphabet)), "symbols")?;
            return packed::get(bytes, len, width(alphabet), alphabet, |s| symbol(usize::from(s)));
        }
        1 => (len.max(1), 1),
        2 if len >= MANY => (CHUNK, LANES),
        2 => return Err(malformed("a code for many has few")),
        kind => return Err(WireError::Kind { what: "symbol code", kind }),
    };
    let model = Model::read(reader, alphabet)?;
    let mut chunks = Vec::new();
    for _ in 0..len.div_ceil(chunk).max(1) {
        let words = reader.varint("a number of words")?;
        let size = usize::try_from(words).unwrap_or(usize::MAX).saturating_mul(4);
        chunks.push((reader.take(8 * lanes, "a coder's states")?, reader.take(size, "coded symbols")?));
    }
    let table = model.table(symbol);
    let mut symbols = room::take::<S>(len);
    let read = |(symbols, (states, words)): (&mut [S], (&[u8], &[u8]))| match lanes {
        1 => read::<1, S>(states, words, &table, symbols),
        _ => read::<LANES, S>(states, words, &table, symbols),
    };
    if len == 0 {
        read((&mut [], chunks[0]))?;
    }
    symbols.par_chunks_mut(chunk).zip(chunks).map(read).collect::<Result<(), _>>()?;
    Ok(symbols)
}

fn histogram<S: Copy>(symbols: &[S], index: impl Fn(S) -> usize) -> Histogram {
    // Four tables, so that runs of one symbol do not wait for each other.
    let mut counts = [[0u32; MOST]; 4];
    let (groups, rest) = symbols.as_chunks::<4>();
    for group in groups {
        for (symbol, counts) in group.iter().zip(&mut counts) {
            counts[index(*symbol) % MOST] += 1;
        }
    }
    rest.iter().for_each(|symbol| counts[0][index(*symbol) % MOST] += 1);
    std::array::from_fn(|s| counts.iter().map(|c| c[s]).sum())
}

fn width(alphabet: usize) -> u32 {
    usize::BITS - (alphabet - 1).leading_zeros()
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
        let plan = Plan::new(symbols, alphabet, usize::from);
        let mut bytes = Vec::new();
        plan.encode(symbols, usize::from, &mut bytes);
        assert_eq!(bytes.len(), plan.num_bytes());
        let mut reader = Reader { bytes: &bytes };
        let got = decode(&mut reader, symbols.len(), alphabet, |s| s as u16).unwrap();
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
        let mut random = crate::random::Philox::new(1);
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
            assert!(bytes * 8.0 <= 1.01 * entropy, "{alphabet} {skew}: {} of {}", bytes * 8.0, entropy);
        }
    }

    fn skewed(len: usize, alphabet: usize, skew: i32) -> Vec<u16> {
        let mut random = crate::random::Philox::new(len as u64);
        (0..len).map(|_| (f64::from(random.uniform()).powi(skew) * alphabet as f64) as u16).collect()
    }

    /// About the lengths at which codes and chunks change; and what is cut off or altered is refused or is some other
    /// sequence, but never a panic.
    #[test]
    fn many_symbols_are_coded_in_chunks() {
        for len in [MANY - 1, MANY, MANY + 1, MANY + 6, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3] {
            let symbols = skewed(len, 31, 3);
            round_trip(&symbols, 31);
            let mut bytes = Vec::new();
            Plan::new(&symbols, 31, usize::from).encode(&symbols, usize::from, &mut bytes);
            assert_eq!(bytes[0], if len < MANY { 1 } else { 2 });
            let read = |bytes: &[u8]| decode(&mut Reader { bytes }, len, 31, |s| s as u16);
            for cut in [0, 1, 2, 20, 40, 60, bytes.len() / 2, bytes.len() - 1] {
                assert!(read(&bytes[..cut]).is_err(), "{len} symbols, {cut} bytes");
            }
            for place in (0..80).chain(bytes.len() - 40..bytes.len()) {
                let mut bytes = bytes.clone();
                bytes[place] ^= 0x41;
                assert!(read(&bytes).map_or(true, |got| got.len() == len && got.iter().all(|s| *s < 31)));
            }
            // A code for many does not take few.
            assert!(decode(&mut Reader { bytes: &bytes }, 100, 31, |s| s as u16).is_err());
        }
    }

    /// Format version 1 wrote any number of symbols as one chunk of one state.
    #[test]
    fn one_state_is_read_whatever_the_number() {
        let symbols = skewed(CHUNK + 77, 255, 4);
        let mut plan = Plan::new(&symbols, 255, usize::from);
        let coded = plan.coded.as_mut().unwrap();
        let mut whole = vec![0; 255];
        symbols.iter().for_each(|s| whole[usize::from(*s)] += 1);
        (coded.words, coded.lanes) = (vec![coded.model.words(&whole)], 1);
        let mut bytes = Vec::new();
        plan.encode(&symbols, usize::from, &mut bytes);
        assert_eq!((bytes[0], bytes.len()), (1, plan.num_bytes()));
        assert_eq!(decode(&mut Reader { bytes: &bytes }, symbols.len(), 255, |s| s as u16).unwrap(), symbols);
    }

    #[test]
    fn a_constant_sequence_is_almost_free() {
        assert!(round_trip(&[7; 100_000], 31) < 32);
        assert_eq!(round_trip(&[], 31), 1);
        assert_eq!(round_trip(&[3], 31), 2);
    }
}
