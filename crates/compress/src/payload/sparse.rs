use super::bytes::{Reader, put_varint, varint_bytes};
use super::index;
use super::kind::{Head, Kind};
use super::prepared::Part;
use super::values::Values;
use crate::error::WireError;

/// A few coordinates, all others 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparse {
    /// Coordinates.
    pub len: usize,
    /// Places, strictly ascending.
    pub indices: Vec<u32>,
    /// A value a place.
    pub values: Values,
}

impl Kind for Sparse {
    const CODES: std::ops::RangeInclusive<u8> = 4..=4;
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
        parts.push(Part::Places(self.indices.as_slice().into(), &self.values));
    }

    fn num_bytes(&self) -> usize {
        varint_bytes(self.indices.len() as u64) + index::num_bytes(&self.indices, self.len) + self.values.num_bytes()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.indices.len() as u64, out);
        index::encode(&self.indices, self.len, out);
        self.values.encode(out);
    }

    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let count = reader.count(head.len)?;
        let indices = index::decode(reader, count, head.len)?;
        Ok(Self { len: head.len, indices, values: Values::decode(head.format, count, reader)? })
    }
}
