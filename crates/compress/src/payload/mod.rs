//! What is sent: the decoded form in memory, and its bytes.

mod apply;
mod entropy;
mod index;
mod levels;
mod values;
pub mod wire;

pub(crate) use apply::{Prepared, Stretch, within};
use levels::power;
pub use levels::{Levels, Powers};
pub use values::{Format, Values};

use crate::sweep;

/// A compressed vector of `len` coordinates.
///
/// In memory it is what a receiver decodes; [`wire`] describes its bytes. Applying it to a vector
/// goes through [`axpy`](Self::axpy) on both sides, so sender and receiver cannot disagree.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Every coordinate.
    Dense(Values),
    /// One bit a coordinate: `high` where it is set, `low` where not.
    Signs {
        /// Coordinates.
        len: usize,
        /// ⌈len/64⌉ words, the first coordinate in the lowest bit; bits beyond `len` are 0.
        words: Vec<u64>,
        /// The value of a clear bit.
        low: f32,
        /// The value of a set bit.
        high: f32,
    },
    /// A few coordinates, all others 0.
    Sparse {
        /// Coordinates.
        len: usize,
        /// Places, strictly ascending.
        indices: Vec<u32>,
        /// A value a place.
        values: Values,
    },
    /// A few coordinates at places that the receiver redraws (random-k).
    Drawn {
        /// Coordinates.
        len: usize,
        /// Names the draw: the places are [`random::subset`](crate::random::subset)`(draw, len, values.len())`.
        draw: u64,
        /// A value a place, in ascending order of places.
        values: Values,
    },
    /// A matrix P·Qᵀ, row by row.
    LowRank {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of P and of Q.
        rank: usize,
        /// P, rows × rank.
        p: Vec<f32>,
        /// Qᵀ, rank × columns of the matrix.
        q: Vec<f32>,
    },
    /// A count-sketch: it adds coordinate by coordinate to others of the same draw and shape, and decodes to the
    /// median estimate of every coordinate.
    Sketch {
        /// Coordinates.
        len: usize,
        /// Independent rows of cells.
        rows: usize,
        /// Names the hash functions.
        draw: u64,
        /// The cells, rows × columns.
        cells: Vec<f32>,
    },
    /// The sum of its parts, at least one and at most [`wire::MAX_PARTS`], all of one length and none itself a sum.
    Sum(Vec<Payload>),
}

impl Payload {
    /// An explicit zero of `len` coordinates: no places, no values.
    pub fn zero(len: usize) -> Self {
        Self::Sparse { len, indices: Vec::new(), values: Values::F32(Vec::new()) }
    }

    /// The parts of a sum, or the payload itself.
    pub(crate) fn parts(&self) -> &[Payload] {
        match self {
            Self::Sum(parts) => parts,
            one => std::slice::from_ref(one),
        }
    }

    /// Places and values, where it is sparse.
    pub(crate) fn as_sparse(&self) -> Option<(&[u32], &Values)> {
        match self {
            Self::Sparse { indices, values, .. } => Some((indices, values)),
            _ => None,
        }
    }

    /// The coordinates it decodes to.
    pub fn len(&self) -> usize {
        match self {
            Self::Dense(values) => values.len(),
            Self::Signs { len, .. } | Self::Sparse { len, .. } | Self::Drawn { len, .. } | Self::Sketch { len, .. } => {
                *len
            }
            Self::LowRank { rows, rank, q, .. } => rows * (q.len() / rank),
            Self::Sum(parts) => parts[0].len(),
        }
    }

    /// Whether it decodes to no coordinates.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many coordinates it names, zeros included.
    pub fn sent(&self) -> usize {
        match self {
            Self::Sparse { values, .. } | Self::Drawn { values, .. } => values.len(),
            Self::Sum(parts) => parts.iter().map(Self::sent).sum::<usize>().min(self.len()),
            _ => self.len(),
        }
    }

    /// y ← y + a·decode; part by part for a sum. With a = −1 this is exactly y − decode.
    pub fn axpy(&self, a: f32, y: &mut [f32]) {
        assert_eq!(y.len(), self.len(), "a payload applies to a vector of its own length");
        sweep::apply(&Prepared::new(self), a, y);
    }

    /// The vector that a receiver sees.
    pub fn decode(&self) -> Vec<f32> {
        let mut y = vec![0.0; self.len()];
        self.axpy(1.0, &mut y);
        y
    }

    /// Its exact size on the wire, in bytes, without encoding it and without the message's header.
    pub fn num_bytes(&self) -> usize {
        wire::payload_bytes(self)
    }
}
