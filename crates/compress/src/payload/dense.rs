use super::bytes::Reader;
use super::kind::{Head, Kind};
use super::prepared::Part;
use super::values::Values;
use crate::error::WireError;

/// Every coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// A value a coordinate.
    pub values: Values,
}

impl Kind for Dense {
    const CODES: std::ops::RangeInclusive<u8> = 0..=0;
    const HAS_VALUES: bool = true;

    fn len(&self) -> usize {
        self.values.len()
    }

    fn values(&self) -> Option<&Values> {
        Some(&self.values)
    }

    fn bound(&self) -> f64 {
        self.values.bound()
    }

    fn prepare<'a>(&'a self, parts: &mut Vec<Part<'a>>) {
        parts.push(Part::Dense(&self.values));
    }

    fn num_bytes(&self) -> usize {
        self.values.num_bytes()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.values.encode(out);
    }

    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { values: Values::decode(head.format, head.len, reader)? })
    }
}
