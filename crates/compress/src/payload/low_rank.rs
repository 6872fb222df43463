use super::bytes::{Reader, put_floats, put_varint, varint_bytes};
use super::kind::{Head, Kind};
use super::prepared::{Add, Part};
use crate::error::WireError;
use crate::kernels::{finite, low_rank};

/// A matrix P·Qᵀ, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of P and of Q.
    pub rank: usize,
    /// P, rows × rank.
    pub p: Vec<f32>,
    /// Qᵀ, rank × columns of the matrix.
    pub q: Vec<f32>,
}

impl Kind for LowRank {
    const CODES: std::ops::RangeInclusive<u8> = 6..=6;

    fn len(&self) -> usize {
        self.rows * (self.q.len() / self.rank)
    }

    fn bound(&self) -> f64 {
        let (p, q) = (finite::largest(&self.p), finite::largest(&self.q));
        if p.is_finite() && q.is_finite() { self.rank as f64 * f64::from(p) * f64::from(q) } else { f64::NAN }
    }

    fn prepare<'a>(&'a self, parts: &mut Vec<Part<'a>>) {
        parts.push(Part::Whole(self));
    }

    fn num_bytes(&self) -> usize {
        varint_bytes(self.rows as u64) + varint_bytes(self.rank as u64) + 4 * (self.p.len() + self.q.len())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.rows as u64, out);
        put_varint(self.rank as u64, out);
        put_floats(&self.p, out);
        put_floats(&self.q, out);
    }

    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let rows = reader.varint("a number of rows")?;
        let rank = reader.varint("a rank")?;
        let len = head.len as u64;
        let malformed = |why| Err(WireError::Malformed { what: "a low-rank payload", why });
        // Rows and rank below len, below 2^32, keep all products within 64 bits.
        if rows == 0 || !len.is_multiple_of(rows) || len == 0 {
            return malformed("its rows do not divide its length");
        }
        let columns = len / rows;
        if rank == 0 || rank > rows.min(columns) {
            return malformed("its rank is not in 1 … the shorter side");
        }
        let p = reader.floats(rows * rank)?;
        let q = reader.floats(columns * rank)?;
        Ok(Self { rows: rows as usize, rank: rank as usize, p, q })
    }
}

impl Add for LowRank {
    fn add(&self, a: f32, start: usize, y: &mut [f32]) {
        low_rank::add(a, self.rows, self.rank, &self.p, &self.q, start, y);
    }
}
