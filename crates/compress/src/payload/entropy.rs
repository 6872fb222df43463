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
use crate::error::WireError;
use crate::kernels::tasks;
use crate::room::{self, Room};

/// Bits of a frequency.
const PRECISION: u32 = 14;
const TOTAL: u32 = 1 << PRECISION;
/// The state's lower bound between symbols.
const LOWER: u64 = 1 << 31;
/// Symbols from which on they are many.
const MANY: usize = 1 << 16;
/// Of many symbols, those of a chunk.
const CHUNK: usize = 1 << 18;
/// Of many symbols, states that take turns.
const LANES: usize = 4;
/// No alphabet is larger.
const MOST: usize = 512;

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

fn malformed(why: &'static str) -> WireError {
    WireError::Malformed { what: "symbols", why }
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

/// What the coder does to a state for one symbol.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    /// ⌈2^(64 + shift)/f⌉, by which it divides: exact below 2⁶³ (Alverson 1991).
    reciprocal: u64,
    /// States from here on lose a word first.
    most: u64,
    bias: u32,
    /// 2¹⁴ − f.
    rest: u32,
    shift: u32,
}

impl Step {
    fn new(start: u32, f: u32) -> Self {
        let most = (LOWER >> PRECISION << 32) * u64::from(f);
        match f {
            0 => Self::default(),
            // ⌊x/1⌋ as ⌊x·(2⁶⁴ − 1)/2⁶⁴⌋ = x − 1, and the bias makes up for it.
            1 => Self { reciprocal: u64::MAX, most, bias: start + TOTAL - 1, rest: TOTAL - 1, shift: 0 },
            _ => {
                let bits = u32::BITS - (f - 1).leading_zeros();
                let reciprocal = ((1u128 << (bits + 63)).div_ceil(u128::from(f))) as u64;
                Self { reciprocal, most, bias: start, rest: TOTAL - f, shift: bits - 1 }
            }
        }
    }

    /// The state behind a symbol: ⌊x/f⌋·2¹⁴ + x mod f + start = x + start + ⌊x/f⌋·(2¹⁴ − f).
    #[inline(always)]
    fn apply(&self, x: u64) -> u64 {
        let quotient = ((u128::from(x) * u128::from(self.reciprocal)) >> 64) as u64 >> self.shift;
        x + u64::from(self.bias) + quotient * u64::from(self.rest)
    }
}

/// The final states and the words of a chunk.
fn write<const L: usize, S: Copy>(symbols: &[S], index: impl Fn(S) -> usize, steps: &[Step; MOST], out: &mut [u8]) {
    /// With multiplications and shifts that leave the flags alone.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "bmi1,bmi2")]
    fn bmi2<const L: usize, S: Copy>(symbols: &[S], index: impl Fn(S) -> usize, steps: &[Step; MOST], out: &mut [u8]) {
        write_plain::<L, S>(symbols, index, steps, out);
    }

    #[cfg(target_arch = "x86_64")]
    if crate::simd::level() != crate::simd::Level::Baseline {
        // SAFETY: both levels above the baseline have BMI2.
        return unsafe { bmi2::<L, S>(symbols, index, steps, out) };
    }
    write_plain::<L, S>(symbols, index, steps, out);
}

#[inline(always)]
fn write_plain<const L: usize, S: Copy>(
    symbols: &[S],
    index: impl Fn(S) -> usize,
    steps: &[Step; MOST],
    out: &mut [u8],
) {
    let mut states = [LOWER; L];
    let mut at = out.len();
    let mut put = |state: &mut u64, symbol: S| {
        let step = &steps[index(symbol) % MOST];
        // A word is written in any case, and counts or does not: the processor need not guess.
        out[at - 4..at].copy_from_slice(&(*state as u32).to_le_bytes());
        let over = *state >= step.most;
        at -= 4 * usize::from(over);
        let x = if over { *state >> 32 } else { *state };
        *state = step.apply(x);
    };
    let (groups, rest) = symbols.as_chunks::<L>();
    rest.iter().zip(&mut states).rev().for_each(|(symbol, state)| put(state, *symbol));
    for group in groups.iter().rev() {
        for lane in (0..L).rev() {
            put(&mut states[lane], group[lane]);
        }
    }
    // What was written last is read first, and what was not needed stands at the end.
    let used = out.len() - at;
    out.copy_within(at.., 8 * L);
    out[8 * L + used..].fill(0);
    out.chunks_exact_mut(8).zip(states).for_each(|(place, state)| place.copy_from_slice(&state.to_le_bytes()));
}

/// What a state's lowest bits say.
struct Table<S> {
    /// The frequency less one, and in the low half the place among as many.
    slots: Box<[u32; TOTAL as usize]>,
    symbols: Box<[S; TOTAL as usize]>,
}

/// Reads a chunk.
fn read<const L: usize, S: Copy>(
    states: &[u8],
    words: &[u8],
    table: &Table<S>,
    symbols: &mut [S],
) -> Result<(), WireError> {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "bmi1,bmi2")]
    fn bmi2<const L: usize, S: Copy>(
        states: &[u8],
        words: &[u8],
        table: &Table<S>,
        symbols: &mut [S],
    ) -> Result<(), WireError> {
        read_plain::<L, S>(states, words, table, symbols)
    }

    #[cfg(target_arch = "x86_64")]
    if crate::simd::level() != crate::simd::Level::Baseline {
        // SAFETY: both levels above the baseline have BMI2.
        return unsafe { bmi2::<L, S>(states, words, table, symbols) };
    }
    read_plain::<L, S>(states, words, table, symbols)
}

#[inline(always)]
fn read_plain<const L: usize, S: Copy>(
    states: &[u8],
    words: &[u8],
    table: &Table<S>,
    symbols: &mut [S],
) -> Result<(), WireError> {
    let (bytes, words) = (states.as_chunks::<8>().0, words.as_chunks::<4>().0);
    let mut states: [u64; L] = std::array::from_fn(|lane| u64::from_le_bytes(bytes[lane]));
    let mut sound = states.iter().all(|state| *state >= LOWER);
    let mut at = 0;
    let (groups, rest) = symbols.as_chunks_mut::<L>();
    let mut groups = groups.iter_mut();
    // While there are words enough for a whole group, nothing is asked but whether a state wants one.
    while at + L <= words.len() {
        let Some(group) = groups.next() else { break };
        for (state, symbol) in states.iter_mut().zip(group) {
            let x = table.step(*state, symbol);
            let low = x < LOWER;
            let fed = x << 32 | u64::from(u32::from_le_bytes(words[at]));
            *state = if low { fed } else { x };
            at += usize::from(low);
            sound &= *state >= LOWER;
        }
    }
    let mut one = |state: &mut u64, symbol: &mut S| {
        *state = table.step(*state, symbol);
        if *state < LOWER {
            let word = words.get(at).ok_or(malformed("the coder runs dry"))?;
            *state = *state << 32 | u64::from(u32::from_le_bytes(*word));
            at += 1;
            sound &= *state >= LOWER;
        }
        Ok(())
    };
    for group in groups {
        states.iter_mut().zip(group).try_for_each(|(state, symbol)| one(state, symbol))?;
    }
    states.iter_mut().zip(rest).try_for_each(|(state, symbol)| one(state, symbol))?;
    if !sound {
        return Err(malformed("the coder's state is below its bound"));
    }
    if states != [LOWER; L] || words[at..].iter().any(|w| *w != [0; 4]) {
        return Err(malformed("the coder does not end where it began"));
    }
    Ok(())
}

impl<S: Copy> Table<S> {
    #[inline(always)]
    fn step(&self, state: u64, symbol: &mut S) -> u64 {
        let slot = state as usize % TOTAL as usize;
        let said = self.slots[slot];
        *symbol = self.symbols[slot];
        u64::from((said >> 16) + 1) * (state >> PRECISION) + u64::from(said & 0xffff)
    }
}

fn width(alphabet: usize) -> u32 {
    usize::BITS - (alphabet - 1).leading_zeros()
}

/// Frequencies of a run of symbols, which sum to [`TOTAL`].
#[derive(Clone, Debug)]
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

    /// The sum of the frequencies before each.
    fn starts(&self) -> impl Iterator<Item = u32> + '_ {
        self.frequencies.iter().scan(0, |sum, f| {
            *sum += f;
            Some(*sum - f)
        })
    }

    /// What the coder does for every symbol of the alphabet.
    fn steps(&self) -> [Step; MOST] {
        let mut steps = [Step::default(); MOST];
        let places = steps[self.first..].iter_mut().zip(&self.frequencies).zip(self.starts());
        places.for_each(|((step, f), start)| *step = Step::new(start, *f));
        steps
    }

    /// What the decoder reads off a state.
    fn table<S: Copy + Default>(&self, symbol: impl Fn(usize) -> S) -> Table<S> {
        let mut slots = Box::new([0; TOTAL as usize]);
        let mut symbols = Box::new([S::default(); TOTAL as usize]);
        for (s, (f, start)) in self.frequencies.iter().zip(self.starts()).enumerate() {
            for place in 0..*f {
                slots[(start + place) as usize] = (f - 1) << 16 | place;
            }
            symbols[start as usize..(start + f) as usize].fill(symbol(self.first + s));
        }
        Table { slots, symbols }
    }

    /// At least as many words as the coder emits for symbols of this histogram. With f of 2¹⁴ for a symbol its state grows by a factor of
    /// at most (2¹⁴/f)(1 + 2⁻¹⁷), a word takes 32 bits of it, and it ends no lower than it began; so do several states together. In units
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
            assert!(bytes * 8.0 <= 1.01 * entropy, "{alphabet} {skew}: {} of {}", bytes * 8.0, entropy);
        }
    }

    fn skewed(len: usize, alphabet: usize, skew: i32) -> Vec<u16> {
        let mut random = crate::Philox::new(len as u64);
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

    /// The reciprocals divide exactly wherever a state may be.
    #[test]
    fn steps_are_those_of_plain_division() {
        let mut random = crate::Philox::new(5);
        for f in (1..200).chain([1023, 1024, 1025, 8191, TOTAL - 1, TOTAL]) {
            let step = Step::new(0, f);
            let most = (LOWER >> PRECISION << 32) * u64::from(f);
            assert_eq!(step.most, most);
            let wide = (0..50).map(|_| u64::from(random.next_u32()) << 31 | u64::from(random.next_u32()));
            // From the least state that a word leaves behind, to the greatest that needs to lose none.
            let least = most >> 32;
            for x in wide.map(|x| least + x % (most - least)).chain([least, least + 1, most - 2, most - 1]) {
                let f = u64::from(f);
                let expected = ((x / f) << PRECISION) + x % f;
                assert_eq!(step.apply(x), expected, "{x} by {f}");
            }
        }
    }

    #[test]
    fn a_constant_sequence_is_almost_free() {
        assert!(round_trip(&[7; 100_000], 31) < 32);
        assert_eq!(round_trip(&[], 31), 1);
        assert_eq!(round_trip(&[3], 31), 2);
    }
}
