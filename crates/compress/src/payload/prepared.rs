//! A payload that is ready to be applied to any stretch of a vector.

use std::borrow::Cow;

use super::stretch::{Stretch, within};
use super::values::Values;
use crate::kernels::signs::Bits;
use crate::simd::dispatch;

/// Adds itself to a stretch of a vector.
pub(crate) trait Add: Sync {
    /// y ← y + a·decode, for the stretch that begins at coordinate `start`.
    fn add(&self, a: f32, start: usize, y: &mut [f32]);
}

/// A payload with all that has to be known once before it applies to any stretch of a vector.
pub(crate) struct Prepared<'a>(Vec<Part<'a>>);

/// A summand of a payload.
pub(crate) enum Part<'a> {
    /// Values at a few places.
    Places(Cow<'a, [u32]>, &'a Values),
    /// A bit a coordinate.
    Bits(Bits<'a>),
    /// A value a coordinate.
    Dense(&'a Values),
    /// A value a coordinate, made of what was sent.
    Made(Vec<f32>),
    /// Anything else that speaks of every coordinate.
    Whole(&'a dyn Add),
}

impl Part<'_> {
    fn stretch(&self, start: usize, len: usize) -> Option<Stretch<'_>> {
        match self {
            Self::Places(indices, values) => Some(Stretch::new(indices, values, start, len)),
            Self::Bits(_) | Self::Dense(_) | Self::Made(_) | Self::Whole(_) => None,
        }
    }
}

impl<'a> Prepared<'a> {
    /// Of all that these summands say.
    pub fn new(parts: Vec<Part<'a>>) -> Self {
        Self(parts)
    }

    /// These values at these places.
    pub fn places(indices: &'a [u32], values: &'a Values) -> Self {
        Self(vec![Part::Places(indices.into(), values)])
    }

    /// The bits, if it is bits and nothing else.
    pub fn bits(&self) -> Option<Bits<'a>> {
        match *self.0.as_slice() {
            [Part::Bits(bits)] => Some(bits),
            _ => None,
        }
    }

    /// The values, if it is a value a coordinate and nothing else.
    pub fn dense(&self) -> Option<&'a Values> {
        match *self.0.as_slice() {
            [Part::Dense(values)] => Some(values),
            _ => None,
        }
    }

    /// The places of every part from `start` on within `len` coordinates; nothing unless all are places.
    pub fn stretches(&self, start: usize, len: usize) -> Vec<Stretch<'_>> {
        if !self.0.iter().all(|part| matches!(part, Part::Places(..))) {
            return Vec::new();
        }
        self.0.iter().filter_map(|part| part.stretch(start, len)).collect()
    }

    /// y ← 0 at every coordinate that it names.
    pub fn mask(&self, y: &mut [f32]) {
        for part in &self.0 {
            match part {
                Part::Places(indices, _) => indices.iter().for_each(|i| y[*i as usize] = 0.0),
                Part::Bits(_) | Part::Made(_) | Part::Dense(_) | Part::Whole(_) => y.fill(0.0),
            }
        }
    }
}

impl Add for Prepared<'_> {
    fn add(&self, a: f32, start: usize, y: &mut [f32]) {
        for part in &self.0 {
            match part {
                Part::Places(indices, values) => add_places(a, indices, values, start, y),
                Part::Bits(Bits { words, low, high }) => add_bits(words, start, a * low, a * high, y),
                Part::Dense(values) => values.add(a, start, y),
                Part::Made(x) => y.iter_mut().zip(&x[start..]).for_each(|(y, x)| *y += a * x),
                Part::Whole(whole) => whole.add(a, start, y),
            }
        }
    }
}

fn add_places(a: f32, indices: &[u32], values: &Values, start: usize, y: &mut [f32]) {
    let range = within(indices, start, y.len());
    let indices = indices[range.clone()].iter().map(|i| *i as usize - start);
    match values {
        Values::F32(v) => indices.zip(&v[range]).for_each(|(i, v)| y[i] += a * v),
        _ => indices.zip(range).for_each(|(i, j)| y[i] += a * values.get(j)),
    }
}

dispatch! {
    fn add_bits(words: &[u64], start: usize, low: f32, high: f32, y: &mut [f32]) {
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
