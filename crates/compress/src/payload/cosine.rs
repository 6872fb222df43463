use super::Payload;
use super::bytes::{Reader, put_varint, varint_bytes};
use super::kind::{Head, Kind};
use super::prepared::Part;
use crate::error::WireError;
use crate::kernels::tiles::Tiling;

/// The longest side of a tile: a coordinate costs as many products.
pub const MAX_SIDE: usize = 256;

/// The cosine transform of every tile, in any other form but a sum or another transform.
#[derive(Clone, Debug, PartialEq)]
pub struct Cosine {
    tiling: Tiling,
    of: Box<Payload>,
}

impl Cosine {
    pub(crate) fn new(tiling: Tiling, of: Payload) -> Self {
        Self { tiling, of: Box::new(of) }
    }

    /// The coefficients, each where a coordinate of its tile stands.
    pub fn coefficients(&self) -> &Payload {
        &self.of
    }

    pub(crate) fn into_coefficients(self) -> Payload {
        *self.of
    }

    /// The same tiles with other coefficients.
    pub(super) fn with(&self, of: Payload) -> Self {
        Self::new(self.tiling, of)
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.tiling == other.tiling && self.of.len() == other.of.len()
    }
}

impl Kind for Cosine {
    const CODES: std::ops::RangeInclusive<u8> = 9..=9;

    fn len(&self) -> usize {
        self.of.len()
    }

    fn sent(&self) -> usize {
        self.of.sent()
    }

    fn bound(&self) -> f64 {
        // No entry of the transform is over 2/√(m·n), and m·n coefficients make a coordinate.
        let tile = (self.tiling.tall * self.tiling.wide.min(self.tiling.columns.max(1))) as f64;
        2.0 * tile.sqrt() * self.of.bound()
    }

    fn prepare<'a>(&'a self, parts: &mut Vec<Part<'a>>) {
        let mut x = self.of.decode();
        self.tiling.cosine(&mut x, true);
        parts.push(Part::Made(x));
    }

    fn num_bytes(&self) -> usize {
        let Tiling { rows, tall, wide, .. } = self.tiling;
        [rows, tall, wide].iter().map(|n| varint_bytes(*n as u64)).sum::<usize>() + self.of.num_bytes()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Tiling { rows, tall, wide, .. } = self.tiling;
        [rows, tall, wide].iter().for_each(|n| put_varint(*n as u64, out));
        self.of.encode(out);
    }

    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let malformed = |why| WireError::Malformed { what: "a cosine transform", why };
        let mut number = |what| Ok::<_, WireError>(reader.varint(what)?.min(u64::from(u32::MAX)) as usize);
        let (rows, tall, wide) = (number("rows")?, number("a tile's rows")?, number("a tile's columns")?);
        if rows == 0 || !head.len.is_multiple_of(rows) {
            return Err(malformed("its rows do not divide its length"));
        }
        if !(1..=MAX_SIDE).contains(&tall) || !(1..=MAX_SIDE).contains(&wide) || !rows.is_multiple_of(tall) {
            return Err(malformed("its tiles do not fit"));
        }
        if reader.bytes.first().is_some_and(|b| [8, 9].contains(&(b & 15))) {
            return Err(malformed("its coefficients are a sum or transformed themselves"));
        }
        let of = Payload::decode_from(reader, &mut 0, head.len as u64)?;
        if of.len() != head.len {
            return Err(malformed("its coefficients have another length"));
        }
        Ok(Self::new(Tiling { rows, columns: head.len / rows, tall, wide }, of))
    }
}
