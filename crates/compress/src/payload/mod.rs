//! What is sent: the decoded form in memory, and its bytes.
//!
//! One file a payload kind. Each applies itself, writes and reads itself and knows its exact size; the list below makes
//! them one type, and the compiler makes a new kind complete. [`wire`] describes the bytes.

mod bytes;
mod codebook;
mod cosine;
mod dense;
mod drawn;
mod entropy;
mod halves;
mod index;
mod kind;
mod levels;
mod low_rank;
mod mean;
mod packed;
mod prepared;
mod rans;
mod signs;
mod sketch;
mod sparse;
mod stretch;
mod sum;
mod values;
pub mod wire;

pub use codebook::Codebook;
pub use cosine::Cosine;
pub use dense::Dense;
pub use drawn::Drawn;
pub use halves::Halves;
pub use levels::{Levels, Powers};
pub use low_rank::LowRank;
pub use signs::Signs;
pub use sketch::Sketch;
pub use sparse::Sparse;
pub use sum::Sum;
pub use values::{Format, Values};

use bytes::{Reader, put_varint, varint_bytes};
use kind::{Head, Kind};
pub(crate) use mean::{mean_of, mean_over_senders};
pub(crate) use prepared::{Add, Prepared};
pub(crate) use stretch::Stretch;

use crate::error::WireError;
use crate::kernels::{finite, sweep};
use crate::room;

/// Coordinates that are made before they are added.
const STRETCH: usize = 1024;

/// Every kind, once.
macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident,)*) => {
        /// A compressed vector of `len` coordinates.
        ///
        /// In memory it is what a receiver decodes; [`wire`] describes its bytes. Applying it to a vector
        /// goes through [`axpy`](Self::axpy) on both sides, so sender and receiver cannot disagree.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Payload {
            $($(#[$meta])* $kind($kind),)*
        }

        $(impl From<$kind> for Payload {
            fn from(kind: $kind) -> Self {
                Self::$kind(kind)
            }
        })*

        /// What the kind says.
        macro_rules! of {
            ($payload:expr, $it:ident => $say:expr) => {
                match $payload {
                    $(Payload::$kind($it) => $say,)*
                }
            };
        }

        impl Payload {
            /// The kind of this code reads itself.
            fn decode_kind(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
                $(if $kind::CODES.contains(&head.code) {
                    if head.format > 0 && !$kind::HAS_VALUES {
                        return Err(WireError::Kind { what: "value format", kind: head.format });
                    }
                    return $kind::decode(head, reader).map(Self::$kind);
                })*
                Err(WireError::Kind { what: "payload", kind: head.code })
            }

            /// The codes of every kind.
            #[cfg(test)]
            fn codes() -> Vec<u8> {
                [$($kind::CODES),*].into_iter().flatten().collect()
            }
        }
    };
}

kinds! {
    /// Every coordinate.
    Dense,
    /// One bit a coordinate.
    Signs,
    /// A few coordinates, all others 0.
    Sparse,
    /// A few coordinates at places that the receiver redraws.
    Drawn,
    /// A matrix of low rank.
    LowRank,
    /// A count-sketch.
    Sketch,
    /// The sum of several.
    Sum,
    /// The cosine transform of tiles.
    Cosine,
}

impl Payload {
    /// Every coordinate.
    pub fn dense(values: Values) -> Self {
        Dense { values }.into()
    }

    /// Floats as they are.
    pub fn floats(x: Vec<f32>) -> Self {
        Self::dense(Values::F32(x))
    }

    /// An explicit zero of `len` coordinates: no places, no values.
    pub fn zero(len: usize) -> Self {
        Sparse { len, indices: Vec::new(), values: Values::F32(Vec::new()) }.into()
    }

    /// The parts of a sum, or the payload itself.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Sum(sum) => &sum.parts,
            one => std::slice::from_ref(one),
        }
    }

    /// The coordinates it decodes to.
    pub fn len(&self) -> usize {
        of!(self, kind => kind.len())
    }

    /// Whether it decodes to no coordinates.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many coordinates it names, zeros included.
    pub fn sent(&self) -> usize {
        of!(self, kind => kind.sent())
    }

    /// Whether every number in it, and all that it decodes to, is finite.
    pub fn is_finite(&self) -> bool {
        // A bound that is finite says that its numbers are; only close to the end of f32 may their products not be.
        let bound = self.bound();
        bound < 0.9 * f64::from(f32::MAX) || (bound.is_finite() && finite::all_finite(&self.decode()))
    }

    /// y ← y + a·decode; part by part for a sum. With a = −1 this is exactly y − decode.
    ///
    /// # Panics
    /// Where `y` is not as long as the payload.
    pub fn axpy(&self, a: f32, y: &mut [f32]) {
        assert_eq!(y.len(), self.len(), "a payload applies to a vector of its own length");
        let prepared = self.prepared();
        sweep::each(y, |start, y| prepared.add(a, start, y));
    }

    /// The same for a y of any kind of number: a·decode is made, a stretch at a time that stays in the nearest cache, and
    /// `add`ed to the y of its place. So numbers are converted in the pass, and what has several parts is summed before it
    /// is added.
    ///
    /// # Panics
    /// Where `y` is not as long as the payload.
    pub fn add_to<T: Send>(&self, a: f32, y: &mut [T], add: impl Fn(&mut T, f32) + Sync) {
        assert_eq!(y.len(), self.len(), "a payload applies to a vector of its own length");
        let prepared = self.prepared();
        sweep::each(y, |start, y| {
            let mut room = [0.0f32; STRETCH];
            for (i, y) in y.chunks_mut(STRETCH).enumerate() {
                let made = &mut room[..y.len()];
                made.fill(0.0);
                prepared.add(a, start + i * STRETCH, made);
                y.iter_mut().zip(made).for_each(|(y, made)| add(y, *made));
            }
        });
    }

    /// y ← 0 at every coordinate that it names, those of value 0 included.
    ///
    /// # Panics
    /// Where `y` is not as long as the payload.
    pub fn mask(&self, y: &mut [f32]) {
        assert_eq!(y.len(), self.len(), "a payload applies to a vector of its own length");
        self.prepared().mask(y);
    }

    /// The vector that a receiver sees.
    pub fn decode(&self) -> Vec<f32> {
        let mut y = vec![0.0; self.len()];
        self.axpy(1.0, &mut y);
        y
    }

    /// Its exact size on the wire, in bytes, without encoding it and without the message's header.
    pub fn num_bytes(&self) -> usize {
        1 + varint_bytes(self.len() as u64) + of!(self, kind => kind.num_bytes())
    }

    /// What its size is at least, from nothing but numbers of coordinates.
    fn least_bytes(&self) -> usize {
        match (self, of!(self, kind => kind.values())) {
            (_, Some(values)) => values.least_bytes(),
            (Self::Sum(sum), _) => sum.parts.iter().map(Self::least_bytes).sum(),
            _ => of!(self, kind => kind.num_bytes()),
        }
    }

    /// The same places with other values, where it is sparse; floats of their own otherwise.
    pub fn with_values(&self, values: Vec<f32>) -> Self {
        match self {
            Self::Sparse(sparse) => {
                Sparse { len: sparse.len, indices: sparse.indices.clone(), values: Values::F32(values) }.into()
            }
            _ => Self::floats(values),
        }
    }

    /// Whether both name the same random draws, where both draw: what all workers draw alike only adds up then.
    pub fn draws_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Drawn(a), Self::Drawn(b)) => a.draw == b.draw && a.values.len() == b.values.len(),
            (Self::Sketch(a), Self::Sketch(b)) => a.is_like(b),
            (Self::Cosine(a), Self::Cosine(b)) => a.coefficients().draws_like(b.coefficients()),
            (Self::Sum(a), Self::Sum(b)) => a.parts.iter().zip(&b.parts).all(|(a, b)| a.draws_like(b)),
            _ => true,
        }
    }

    /// A bound on the magnitudes it decodes to, from what is sent alone; infinite or NaN where one of the numbers sent
    /// is.
    pub fn bound(&self) -> f64 {
        of!(self, kind => kind.bound())
    }

    /// Ready to be applied: places are redrawn where they were not sent.
    pub(crate) fn prepared(&self) -> Prepared<'_> {
        let mut parts = Vec::with_capacity(1);
        self.prepare(&mut parts);
        Prepared::new(parts)
    }

    fn prepare<'a>(&'a self, parts: &mut Vec<prepared::Part<'a>>) {
        of!(self, kind => kind.prepare(parts));
    }

    /// Leaves its memory to payloads to come.
    pub(crate) fn give(self) {
        let values = match self {
            Self::Dense(dense) => dense.values,
            Self::Signs(signs) => return room::put(signs.words),
            Self::Cosine(cosine) => return cosine.into_coefficients().give(),
            Self::Sum(sum) => return sum.parts.into_iter().for_each(Self::give),
            Self::Sparse(sparse) => {
                room::put(sparse.indices);
                sparse.values
            }
            Self::Drawn(drawn) => drawn.values,
            Self::LowRank(_) | Self::Sketch(_) => return,
        };
        match values {
            Values::F32(values) => room::put(values),
            Values::Levels(levels) => room::put(levels.levels),
            Values::Powers(powers) => room::put(powers.codes),
            Values::F16(_) | Values::Bf16(_) | Values::Codebook(_) | Values::Halves(_) => {}
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (code, values) = of!(self, kind => (kind.code(), kind.values()));
        out.push(code | values.map_or(0, Values::code) << 4);
        put_varint(self.len() as u64, out);
        of!(self, kind => kind.encode(out));
    }

    /// Takes one payload; `described` counts the coordinates of all, up to `limit`.
    fn decode_from(reader: &mut Reader<'_>, described: &mut u64, limit: u64) -> Result<Self, WireError> {
        let byte = reader.byte("a payload's kind")?;
        let len = reader.varint("a payload's length")?;
        *described = described.saturating_add(len);
        if *described > limit {
            return Err(WireError::Limit { described: *described, limit });
        }
        if len > u64::from(u32::MAX) {
            return Err(WireError::Malformed { what: "a payload's length", why: "it is over 2^32 − 1" });
        }
        Self::decode_kind(Head { code: byte & 15, format: byte >> 4, len: len as usize }, reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of another kind are moved by what the payload decodes to, and several parts are summed before.
    #[test]
    fn what_is_added_is_what_is_decoded() {
        let len = 2 * STRETCH + 7;
        let floats = |by: f32| Payload::floats((0..len).map(|i| by * i as f32 + 0.1).collect());
        let sparse = Sparse { len, indices: vec![3, STRETCH as u32], values: Values::F32(vec![0.3, 1e8]) };
        for payload in [floats(0.7), sparse.clone().into(), Sum { parts: vec![sparse.into(), floats(-1.3)] }.into()] {
            let mut y: Vec<f64> = (0..len).map(|i| i as f64).collect();
            payload.add_to(-2.0, &mut y, |y, u| *y += f64::from(u));
            let mut u = vec![0.0; len];
            payload.axpy(-2.0, &mut u);
            assert!(y.iter().zip(u).enumerate().all(|(i, (y, u))| *y == i as f64 + f64::from(u)));
        }
    }

    #[test]
    fn no_two_kinds_share_a_code() {
        let mut codes = Payload::codes();
        codes.sort_unstable();
        assert_eq!(codes, (0..=9).collect::<Vec<u8>>());
    }

    #[test]
    fn bounds_are_those_of_what_is_sent() {
        assert_eq!(Payload::floats(vec![1.0, -3.0]).bound(), 3.0);
        assert_eq!(Payload::zero(7).bound(), 0.0);
        let parts = vec![Payload::floats(vec![1.0]), Payload::floats(vec![-3.0])];
        assert_eq!(Payload::from(Sum { parts }).bound(), 4.0);
        let low_rank = LowRank { rows: 2, rank: 1, p: vec![1.0, 2.0], q: vec![-3.0] };
        assert_eq!(Payload::from(low_rank).bound(), 6.0);
    }

    #[test]
    fn draws_are_told_apart() {
        let drawn = |draw| Payload::from(Drawn { len: 9, draw, values: Values::F32(vec![1.0]) });
        let sum = |draw| Payload::from(Sum { parts: vec![drawn(draw)] });
        assert!(drawn(1).draws_like(&drawn(1)) && !drawn(1).draws_like(&drawn(2)));
        assert!(drawn(1).draws_like(&Payload::zero(9)));
        assert!(!sum(1).draws_like(&sum(2)));
    }

    #[test]
    fn finite_is_said_of_what_is_decoded() {
        let (big, inf) = (f32::MAX, f32::INFINITY);
        let levels =
            |step, level| Values::Levels(Levels { most: 127, bucket: 1, steps: vec![step], levels: vec![level] });
        let low_rank = |p, q| LowRank { rows: 1, rank: 1, p: vec![p], q: vec![q] }.into();
        let signs = |low, high| Signs { len: 1, words: vec![1], low, high }.into();
        let sketch = |x| Sketch { len: 1, rows: 1, draw: 0, cells: vec![x] }.into();
        let halves = |exponent| Values::Halves(Halves { exponent, values: vec![half::f16::MAX] });
        let cases: Vec<(Payload, bool)> = vec![
            (Payload::floats(vec![big, -big]), true),
            (Payload::floats(vec![0.0, f32::NAN]), false),
            (Payload::floats(vec![-inf]), false),
            (Payload::dense(levels(big, 1)), true),
            (Payload::dense(levels(big, 2)), false),
            (Payload::dense(levels(f32::NAN, 0)), false),
            (Payload::dense(halves(112)), true),
            (Payload::dense(halves(113)), false),
            (Payload::dense(Values::Powers(Powers { scale: 2.0, codes: vec![508] })), false),
            (Payload::dense(Values::Powers(Powers { scale: 1.0, codes: vec![508] })), true),
            (Payload::zero(3), true),
            (low_rank(1e30, 1e30), false),
            (low_rank(inf, 0.0), false),
            (low_rank(1e19, 1e19), true),
            (signs(-big, big), true),
            (signs(f32::NAN, 1.0), false),
            (signs(1.0, f32::NAN), false),
            (signs(1.0, inf), false),
            (sketch(big), true),
            (sketch(inf), false),
            (Sum { parts: vec![Payload::floats(vec![big]), Payload::floats(vec![big])] }.into(), false),
            (Sum { parts: vec![Payload::floats(vec![big]), Payload::floats(vec![-big])] }.into(), true),
        ];
        for (payload, finite) in cases {
            assert_eq!(payload.is_finite(), finite, "{payload:?}");
        }
    }
}
