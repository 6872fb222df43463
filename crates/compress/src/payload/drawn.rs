use super::bytes::{Reader, put_varint, varint_bytes};
use super::kind::{Head, Kind};
use super::prepared::Part;
use super::values::Values;
use crate::error::WireError;
use crate::random;

/// A few coordinates at places that the receiver redraws (random-k), all others 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Coordinates.
    pub len: usize,
    /// Names the draw.
    pub draw: u64,
    /// A value a place, in ascending order of places.
    pub values: Values,
}

impl Drawn {
    /// The places: [`random::subset`]`(draw, len, values.len())`.
    pub fn places(&self) -> Vec<u32> {
        random::subset(self.draw, self.len, self.values.len())
    }
}

impl Kind for Drawn {
    const CODES: std::ops::RangeInclusive<u8> = 5..=5;
    const HAS_VALUES: bool = true;

    fn len(&self) -> usize {
        self.len
    }

    fn sent(&self) -> usize {
        self.values.len()
    }

    fn values(&self) -> Option<&Values> {
        Some(&self.values)
    }

    fn bound(&self) -> f64 {
        self.values.bound()
    }

    fn prepare<'a>(&'a self, parts: &mut Vec<Part<'a>>) {
        parts.push(Part::Places(self.places().into(), &self.values));
    }

    fn num_bytes(&self) -> usize {
        varint_bytes(self.values.len() as u64) + 8 + self.values.num_bytes()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.values.len() as u64, out);
        out.extend_from_slice(&self.draw.to_le_bytes());
        self.values.encode(out);
    }

    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let count = reader.count(head.len)?;
        let draw = reader.draw()?;
        Ok(Self { len: head.len, draw, values: Values::decode(head.format, count, reader)? })
    }
}
