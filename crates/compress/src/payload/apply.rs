//! A payload applied to a stretch of a vector.

use std::borrow::Cow;
use std::ops::Range;

use super::{Levels, Payload, Powers, Values, power};
use crate::simd::dispatch;
use crate::{low_rank, random, sketch};

/// A payload with all that has to be known once before it applies to any stretch of a vector.
pub(crate) struct Prepared<'a>(Vec<Part<'a>>);

enum Part<'a> {
    Whole(&'a Payload),
    Places(Cow<'a, [u32]>, &'a Values),
}

impl<'a> Prepared<'a> {
    /// Redraws places where they were not sent.
    pub fn new(payload: &'a Payload) -> Self {
        Self(match payload {
            Payload::Sum(parts) => parts.iter().flat_map(|p| Self::new(p).0).collect(),
            Payload::Sparse { indices, values, .. } => vec![Part::Places(indices.into(), values)],
            Payload::Drawn { len, draw, values } => {
                vec![Part::Places(random::subset(*draw, *len, values.len()).into(), values)]
            }
            whole => vec![Part::Whole(whole)],
        })
    }

    /// These values at these places.
    pub fn places(indices: &'a [u32], values: &'a Values) -> Self {
        Self(vec![Part::Places(indices.into(), values)])
    }

    /// Words, low and high, if it is signs and nothing else.
    pub fn signs(&self) -> Option<(&'a [u64], f32, f32)> {
        match *self.0.as_slice() {
            [Part::Whole(Payload::Signs { words, low, high, .. })] => Some((words, *low, *high)),
            _ => None,
        }
    }

    /// The places from `start` on within `len` coordinates, if it is places and nothing else.
    pub fn stretch(&self, start: usize, len: usize) -> Option<Stretch<'_>> {
        match self.0.as_slice() {
            [Part::Places(indices, values)] => {
                let range = within(indices, start, len);
                Some(Stretch { indices: &indices[range.clone()], first: range.start, values })
            }
            _ => None,
        }
    }

    /// y ← y + a·decode, for the stretch that begins at coordinate `start`.
    pub fn add(&self, a: f32, start: usize, y: &mut [f32]) {
        for part in &self.0 {
            match part {
                Part::Places(indices, values) => add_places(a, indices, values, start, y),
                Part::Whole(Payload::Dense(values)) => add_values(a, values, start..start + y.len(), y),
                Part::Whole(Payload::Signs { words, low, high, .. }) => {
                    add_signs(words, start, a * low, a * high, y);
                }
                Part::Whole(Payload::LowRank { rows, rank, p, q }) => low_rank::add(a, *rows, *rank, p, q, start, y),
                Part::Whole(Payload::Sketch { rows, draw, cells, .. }) => {
                    sketch::add(a, cells, *rows, *draw, start, y);
                }
                Part::Whole(_) => unreachable!("sums and sparse payloads come in parts"),
            }
        }
    }
}

/// A few places of a vector, ascending, and their values.
pub(crate) struct Stretch<'a> {
    pub indices: &'a [u32],
    first: usize,
    values: &'a Values,
}

impl<'a> Stretch<'a> {
    /// Splits off the places before coordinate `end`.
    #[inline]
    pub fn before(&mut self, end: usize) -> Stretch<'a> {
        let count = self.indices.iter().take_while(|i| (**i as usize) < end).count();
        let (indices, rest) = self.indices.split_at(count);
        let own = Stretch { indices, first: self.first, values: self.values };
        (self.indices, self.first) = (rest, self.first + count);
        own
    }

    /// Every place with its value.
    #[inline]
    pub fn each(&self, mut visit: impl FnMut(usize, f32)) {
        match self.values {
            Values::F32(v) => {
                self.indices.iter().zip(&v[self.first..]).for_each(|(i, v)| visit(*i as usize, *v));
            }
            other => self.indices.iter().zip(self.first..).for_each(|(i, j)| visit(*i as usize, other.get(j))),
        }
    }
}

/// Which of the ascending `indices` lie within `len` coordinates from `start` on.
pub(crate) fn within(indices: &[u32], start: usize, len: usize) -> Range<usize> {
    let from = indices.partition_point(|i| (*i as usize) < start);
    from..from + indices[from..].partition_point(|i| (*i as usize) < start + len)
}

fn add_places(a: f32, indices: &[u32], values: &Values, start: usize, y: &mut [f32]) {
    let range = within(indices, start, y.len());
    let indices = indices[range.clone()].iter().map(|i| *i as usize - start);
    match values {
        Values::F32(v) => indices.zip(&v[range]).for_each(|(i, v)| y[i] += a * v),
        _ => indices.zip(range).for_each(|(i, j)| y[i] += a * values.get(j)),
    }
}

fn add_values(a: f32, values: &Values, range: Range<usize>, y: &mut [f32]) {
    match values {
        Values::F32(v) => add_floats(a, &v[range], y),
        Values::F16(v) => y.iter_mut().zip(&v[range]).for_each(|(y, v)| *y += a * v.to_f32()),
        Values::Bf16(v) => y.iter_mut().zip(&v[range]).for_each(|(y, v)| *y += a * v.to_f32()),
        Values::Levels(v) => add_levels(a, v, range.start, y),
        Values::Powers(v) => add_powers(a, v, range.start, y),
    }
}

dispatch! {
    fn add_floats(a: f32, v: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(v).for_each(|(y, v)| *y += a * *v);
    }
}

dispatch! {
    fn add_levels(a: f32, v: &Levels, start: usize, y: &mut [f32]) {
        let mut at = start;
        let mut rest = y;
        while !rest.is_empty() {
            let bucket = at / v.bucket;
            let end = (bucket.saturating_add(1)).saturating_mul(v.bucket);
            let (y, more) = rest.split_at_mut((end - at).min(rest.len()));
            let step = v.steps[bucket];
            let levels = &v.levels[at..at + y.len()];
            y.iter_mut().zip(levels).for_each(|(y, l)| *y += a * (f32::from(*l) * step));
            at += y.len();
            rest = more;
        }
    }
}

dispatch! {
    fn add_powers(a: f32, v: &Powers, start: usize, y: &mut [f32]) {
        let codes = &v.codes[start..start + y.len()];
        y.iter_mut().zip(codes).for_each(|(y, c)| *y += a * (power(*c) * v.scale));
    }
}

dispatch! {
    fn add_signs(words: &[u64], start: usize, low: f32, high: f32, y: &mut [f32]) {
        let (first, shift) = (start / 64, start % 64);
        for (i, y) in y.chunks_mut(64).enumerate() {
            let mut word = words[first + i] >> shift;
            if shift > 0 && let Some(next) = words.get(first + i + 1) {
                word |= next << (64 - shift);
            }
            for (half, y) in y.chunks_mut(32).enumerate() {
                let bits = (word >> (32 * half)) as u32;
                y.iter_mut().enumerate().for_each(|(l, y)| *y += if bits & 1 << l != 0 { high } else { low });
            }
        }
    }
}
