//! Some of the ascending places of a vector.

use std::ops::Range;

use super::values::Values;

/// A few places of a vector, ascending, and their values.
pub(crate) struct Stretch<'a> {
    pub indices: &'a [u32],
    first: usize,
    values: &'a Values,
}

impl<'a> Stretch<'a> {
    /// Those within `len` coordinates from `start` on.
    pub fn new(indices: &'a [u32], values: &'a Values, start: usize, len: usize) -> Self {
        let range = within(indices, start, len);
        Self { indices: &indices[range.clone()], first: range.start, values }
    }

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
