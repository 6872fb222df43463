//! The k largest magnitudes, exactly: ties go to the lowest index.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::masks::{at_least, magnitude};
use super::sweep::{BLOCK, Sweep, task};
use super::tasks;
use crate::room;
use crate::simd::dispatch;

/// Some coordinates of a vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// Their places, ascending.
    pub indices: Vec<u32>,
    /// Their values.
    pub values: Vec<f32>,
}

impl Kept {
    fn with_capacity(n: usize) -> Self {
        Self { indices: Vec::with_capacity(n), values: Vec::with_capacity(n) }
    }

    /// With room for so many, of those that were given back.
    fn with_room(n: usize) -> Self {
        Self { indices: room::empty(n), values: room::empty(n) }
    }

    /// Leaves its room to others.
    fn give(self) {
        room::put(self.indices);
        room::put(self.values);
    }

    fn concat(parts: &[Self]) -> Self {
        let mut whole = Self::with_capacity(parts.iter().map(|p| p.indices.len()).sum());
        for part in parts {
            whole.indices.extend_from_slice(&part.indices);
            whole.values.extend_from_slice(&part.values);
        }
        whole
    }

    /// Adds these at their places.
    fn merge(&mut self, others: &[(u32, f32)]) {
        let mut merged = Self::with_capacity(self.indices.len() + others.len());
        let mut own = self.indices.iter().copied().zip(self.values.iter().copied()).peekable();
        let mut others = others.iter().copied().peekable();
        loop {
            let first = match (own.peek(), others.peek()) {
                (Some(a), Some(b)) if a.0 < b.0 => own.next(),
                (_, Some(_)) => others.next(),
                (_, None) => own.next(),
            };
            let Some((i, v)) = first else { break };
            merged.indices.push(i);
            merged.values.push(v);
        }
        *self = merged;
    }

    /// Adds what reaches `least` of the block that begins at coordinate `start`.
    fn collect(&mut self, start: usize, x: &[f32], least: u32) {
        let mut words = [0u64; BLOCK / 64];
        let words = &mut words[..x.len().div_ceil(64)];
        at_least(x, least, words);
        for (w, word) in words.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let j = 64 * w + word.trailing_zeros() as usize;
                self.indices.push((start + j) as u32);
                self.values.push(x[j]);
                word &= word - 1;
            }
        }
    }
}

/// All coordinates whose magnitude is at least `lambda`.
pub(crate) fn above(source: &mut impl Sweep, lambda: f32) -> Kept {
    let mut outputs = vec![Kept::default(); source.len().div_ceil(task(BLOCK))];
    let least = lambda.to_bits();
    source.sweep(BLOCK, &mut outputs, |kept, start, x| kept.collect(start, x, least));
    match outputs.as_mut_slice() {
        [one] => std::mem::take(one),
        many => Kept::concat(many),
    }
}

/// The `k` coordinates of largest magnitude.
///
/// `memo` holds a guess from the last step, of which nothing but the time depends: the magnitude that a few more than
/// k coordinates are expected to reach. Candidates above it are collected in the same pass that moves the vector
/// on. Where they are fewer than k, or far more, the magnitudes are counted by their leading bits instead, which takes
/// more passes.
pub(crate) fn largest(source: &mut impl Sweep, k: usize, memo: &mut Vec<u32>) -> Kept {
    let len = source.len();
    let tasks = len.div_ceil(task(BLOCK));
    if k == 0 || len == 0 {
        source.pass();
        return Kept::default();
    }
    let guess = match memo.as_slice() {
        [guess] if k <= len / 4 => *guess,
        _ => u32::MAX,
    };
    let aim = wanted(k);
    let most = 4 * aim;
    // Of a task, were they spread evenly.
    let own = (aim * task(BLOCK)).div_ceil(len).min(task(BLOCK));
    let found = AtomicUsize::new(0);
    let mut outputs: Vec<Kept> = match guess {
        u32::MAX => vec![Kept::default(); tasks],
        _ => (0..tasks).map(|_| Kept::with_room(own + own / 4)).collect(),
    };
    let x = source.sweep(BLOCK, &mut outputs, |kept, start, x| {
        if guess != u32::MAX && found.load(Ordering::Relaxed) <= most {
            let before = kept.indices.len();
            kept.collect(start, x, guess);
            found.fetch_add(kept.indices.len() - before, Ordering::Relaxed);
        }
    });
    // Over `most` the count may have stopped anywhere: it says no more than that.
    if (k..=most).contains(&found.into_inner()) {
        return narrow(outputs, k, memo);
    }
    outputs.into_iter().for_each(Kept::give);
    let (least, n) = reach(x, if k <= len / 4 { aim.min(len) } else { k }, most);
    let collect = |least: u32| {
        let each = |(t, x): (usize, &[f32])| {
            let mut kept = Kept::with_room(own + own / 4);
            let blocks = x.chunks(BLOCK).enumerate();
            blocks.for_each(|(b, x)| kept.collect(t * task(BLOCK) + b * BLOCK, x, least));
            kept
        };
        tasks::map_of(x.len(), x.par_chunks(task(BLOCK)).enumerate(), each)
    };
    if n <= most {
        return narrow(collect(least), k, memo);
    }
    // A great many of exactly this magnitude: only the first of them are wanted.
    let mut kept = Kept::concat(&collect(least + 1));
    let ties = x.iter().enumerate().filter(|(_, x)| magnitude(**x) == least);
    let ties: Vec<(u32, f32)> = ties.take(k.saturating_sub(kept.indices.len())).map(|(i, x)| (i as u32, *x)).collect();
    kept.merge(&ties);
    narrow(vec![kept], k, memo)
}

/// Candidates that are aimed at: chance fluctuations around it, and a change of scale by some per cent, still leave k.
fn wanted(k: usize) -> usize {
    k + k / 4 + 4 * k.isqrt()
}

/// The k largest of the candidates, which are at least k; and the next guess.
fn narrow(parts: Vec<Kept>, k: usize, memo: &mut Vec<u32>) -> Kept {
    let counted = Counted::new(&parts);
    let (bin, above) = counted.bin_of(k).expect("there are k candidates");
    memo.clear();
    for part in &parts {
        memo.extend(part.values.iter().map(|v| magnitude(*v)).filter(|m| counted.bin(*m) == bin));
    }
    let (over, least, _) = memo.select_nth_unstable_by(k - above - 1, |a, b| b.cmp(a));
    let least = *least;
    let mut ties = k - above - over.iter().filter(|m| **m > least).count();
    // The next guess reaches as far down as the candidates do, or by a tenth.
    let tenth = magnitude(f32::from_bits(least) * 0.9);
    let guess = counted.bin_of(wanted(k)).map_or(counted.floor.min(tenth), |(bin, _)| counted.edge(bin));
    memo.clear();
    memo.push(guess);

    // Every candidate is written, and counts or does not: the processor need not guess which.
    let mut kept = Kept { indices: room::take(k + 1), values: room::take(k + 1) };
    let mut n = 0;
    for part in &parts {
        for (i, v) in part.indices.iter().zip(&part.values) {
            let m = magnitude(*v);
            let tie = (m == least) & (ties > 0);
            ties -= usize::from(tie);
            (kept.indices[n], kept.values[n]) = (*i, *v);
            n += usize::from((m > least) | tie);
        }
    }
    kept.indices.truncate(k);
    kept.values.truncate(k);
    parts.into_iter().for_each(Kept::give);
    kept
}

dispatch! {
    /// The least and the greatest magnitude.
    fn extremes(x: &[f32]) -> (u32, u32) {
        x.iter().fold((u32::MAX, 0), |(low, high), x| (low.min(magnitude(*x)), high.max(magnitude(*x))))
    }
}

/// Candidates counted by magnitude, in bins of equal width.
struct Counted {
    floor: u32,
    shift: u32,
    counts: Vec<u32>,
}

impl Counted {
    const BINS: u32 = 1 << 12;

    fn new(parts: &[Kept]) -> Self {
        let (mut floor, mut top) = (u32::MAX, 0);
        for part in parts {
            let (low, high) = extremes(&part.values);
            (floor, top) = (floor.min(low), top.max(high));
        }
        let bits = u32::BITS - (top - floor).leading_zeros();
        let shift = bits.saturating_sub(Self::BINS.ilog2());
        let mut counted = Self { floor, shift, counts: vec![0; Self::BINS as usize] };
        for part in parts {
            for v in &part.values {
                let bin = counted.bin(magnitude(*v));
                counted.counts[bin as usize] += 1;
            }
        }
        counted
    }

    fn bin(&self, m: u32) -> u32 {
        (m - self.floor) >> self.shift
    }

    /// The least magnitude of a bin.
    fn edge(&self, bin: u32) -> u32 {
        self.floor + (bin << self.shift)
    }

    /// The bin of the k-th largest, and how many lie above it; `None` where there are fewer.
    fn bin_of(&self, k: usize) -> Option<(u32, usize)> {
        let mut above = 0;
        for (bin, n) in self.counts.iter().enumerate().rev() {
            if above + *n as usize >= k {
                return Some((bin as u32, above));
            }
            above += *n as usize;
        }
        None
    }
}

/// A bound on the bits of magnitudes that at least `k` ≤ len coordinates reach, and how many do: no more than `most`,
/// or else it is the k-th magnitude itself.
fn reach(x: &[f32], k: usize, most: usize) -> (u32, usize) {
    let mut range = 0..=u32::MAX >> 1;
    let mut above = 0;
    for shift in [19, 9, 0] {
        let (bin, over, within) = bin(x, k - above, range, shift);
        above += over;
        let least = bin << shift;
        if above + within <= most || shift == 0 {
            return (least, above + within);
        }
        range = least..=least + ((1 << shift) - 1);
    }
    unreachable!("the last shift is 0")
}

/// Among magnitudes whose bits lie in `range`, counted by their bits above `shift`: the highest bin that, with those
/// above it, holds `k`; how many lie above it, and how many in it.
fn bin(x: &[f32], k: usize, range: std::ops::RangeInclusive<u32>, shift: u32) -> (u32, usize, usize) {
    const BINS: usize = 1 << 12;
    let base = range.start() >> shift;
    let count = |x: &[f32]| {
        let mut counts = vec![0u32; BINS];
        for x in x {
            let m = magnitude(*x);
            if range.contains(&m) {
                counts[((m >> shift) - base) as usize % BINS] += 1;
            }
        }
        counts
    };
    let mut counts = vec![0; BINS];
    for own in tasks::map_of(x.len(), x.par_chunks(task(BLOCK)), count) {
        counts.iter_mut().zip(own).for_each(|(all, own)| *all += own);
    }
    let mut above = 0;
    for (i, n) in counts.iter().enumerate().rev() {
        if above + *n as usize >= k {
            return (base + i as u32, above, *n as usize);
        }
        above += *n as usize;
    }
    (base, above, 0)
}
