use super::Payload;
use super::bytes::Reader;
use super::kind::{Head, Kind};
use super::prepared::Part;
use crate::error::WireError;

/// The sum of its parts, at least one and at most [`MAX_PARTS`], all of one length and none itself a sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// The parts, in the order in which they are added.
    pub parts: Vec<Payload>,
}

/// Parts of a sum, at most.
pub const MAX_PARTS: usize = 64;

impl Kind for Sum {
    const CODES: std::ops::RangeInclusive<u8> = 8..=8;

    fn len(&self) -> usize {
        self.parts.first().map_or(0, Payload::len)
    }

    fn sent(&self) -> usize {
        self.parts.iter().map(Payload::sent).sum::<usize>().min(self.len())
    }

    fn bound(&self) -> f64 {
        self.parts.iter().map(Payload::bound).sum()
    }

    fn prepare<'a>(&'a self, parts: &mut Vec<Part<'a>>) {
        self.parts.iter().for_each(|part| part.prepare(parts));
    }

    fn num_bytes(&self) -> usize {
        1 + self.parts.iter().map(Payload::num_bytes).sum::<usize>()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.parts.len() as u8);
        self.parts.iter().for_each(|part| part.encode(out));
    }

    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let malformed = |why| WireError::Malformed { what: "a sum", why };
        let count = reader.byte("a number of parts")?;
        if !(1..=MAX_PARTS).contains(&usize::from(count)) {
            return Err(malformed("its number of parts is not in 1 … 64"));
        }
        let mut parts = Vec::new();
        for _ in 0..count {
            if reader.bytes.first().is_some_and(|b| Self::CODES.contains(&(b & 15))) {
                return Err(malformed("a part is itself a sum"));
            }
            let part = Payload::decode_from(reader, &mut 0, head.len as u64)?;
            if part.len() != head.len {
                return Err(malformed("a part has another length"));
            }
            parts.push(part);
        }
        Ok(Self { parts })
    }
}
