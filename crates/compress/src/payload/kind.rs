//! What every payload kind says for itself.

use std::ops::RangeInclusive;

use super::bytes::Reader;
use super::prepared::Part;
use super::values::Values;
use crate::error::WireError;

/// A payload kind: a file of its own, and a word in the list of [`Payload`](super::Payload).
pub(crate) trait Kind: Sized {
    /// Its codes on the wire.
    const CODES: RangeInclusive<u8>;
    /// Whether it has values, whose format then stands beside its code.
    const HAS_VALUES: bool = false;

    /// The coordinates it decodes to.
    fn len(&self) -> usize;

    /// How many coordinates it names, zeros included.
    fn sent(&self) -> usize {
        self.len()
    }

    /// Its values, where it has any.
    fn values(&self) -> Option<&Values> {
        None
    }

    /// A bound on the magnitudes it decodes to, not finite where one of its numbers is not.
    fn bound(&self) -> f64;

    /// Its parts, ready to be added to any stretch of a vector.
    fn prepare<'a>(&'a self, parts: &mut Vec<Part<'a>>);

    /// Its code on the wire.
    fn code(&self) -> u8 {
        *Self::CODES.start()
    }

    /// The exact size of what [`encode`](Self::encode) writes.
    fn num_bytes(&self) -> usize;

    /// Writes everything but code and length.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads it back.
    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError>;
}

/// What stands before a payload's own bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The code of its kind.
    pub code: u8,
    /// The code of the format of its values.
    pub format: u8,
    /// Its coordinates.
    pub len: usize,
}
