//! The states of a range coder (rANS, Duda 2013) and the frequencies that drive them.
//!
//! <https://arxiv.org/abs/1311.2540>

use super::bytes::Reader;
use crate::error::WireError;

/// Bits of a frequency.
const PRECISION: u32 = 14;
const TOTAL: u32 = 1 << PRECISION;
/// The state's lower bound between symbols.
const LOWER: u64 = 1 << 31;
/// No alphabet is larger.
pub(super) const MOST: usize = 512;

pub(super) fn malformed(why: &'static str) -> WireError {
    WireError::Malformed { what: "symbols", why }
}

/// What the coder does to a state for one symbol.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
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
pub(super) fn write<const L: usize, S: Copy>(
    symbols: &[S],
    index: impl Fn(S) -> usize,
    steps: &[Step; MOST],
    out: &mut [u8],
) {
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
pub(super) struct Table<S> {
    /// The frequency less one, and in the low half the place among as many.
    slots: Box<[u32; TOTAL as usize]>,
    symbols: Box<[S; TOTAL as usize]>,
}

/// Reads a chunk.
pub(super) fn read<const L: usize, S: Copy>(
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

/// Frequencies of a run of symbols, which sum to [`TOTAL`].
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub first: usize,
    pub frequencies: Vec<u32>,
}

impl Model {
    pub fn new(histogram: &[u64], len: u64) -> Self {
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
    pub fn steps(&self) -> [Step; MOST] {
        let mut steps = [Step::default(); MOST];
        let places = steps[self.first..].iter_mut().zip(&self.frequencies).zip(self.starts());
        places.for_each(|((step, f), start)| *step = Step::new(start, *f));
        steps
    }

    /// What the decoder reads off a state.
    pub fn table<S: Copy + Default>(&self, symbol: impl Fn(usize) -> S) -> Table<S> {
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
    pub fn words(&self, histogram: &[u64]) -> u64 {
        let cost = |f: u32| ((f64::from(TOTAL) / f64::from(f)).log2() * 65536.0).ceil() as u64 + 2;
        let counts = histogram[self.first..].iter().zip(&self.frequencies).filter(|(c, _)| **c > 0);
        counts.map(|(c, f)| c * cost(*f)).sum::<u64>() >> 21
    }

    pub fn read(reader: &mut Reader<'_>, alphabet: usize) -> Result<Self, WireError> {
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
    use super::*;

    /// The reciprocals divide exactly wherever a state may be.
    #[test]
    fn steps_are_those_of_plain_division() {
        let mut random = crate::random::Philox::new(5);
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
}
