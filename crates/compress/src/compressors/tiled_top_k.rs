use std::fmt;

use super::Coding;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::feedback::Feedback;
use crate::kernels::tiles::Tiling;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Sparse};
use crate::source::Source;
use crate::text::{Args, TextError};

/// Top-k by tiles: `topk:64/4096,tiles` keeps the 64 coordinates of largest magnitude in every tile of 4096, among equal
/// ones the lowest place, in smaller tiles as large a share of them, and one at least. α ≥ k/4096.
///
/// A matrix [d₀, d/d₀] is cut into blocks whose sides are the largest divisors of its own up to 64, a vector into pieces
/// of 64, as SparseLoCo (Sarfi, Thérien, Lidin, Belilovsky 2025) has it.
///
/// <https://arxiv.org/abs/2508.15706>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TiledTopK {
    k: usize,
    side: usize,
    values: Coding,
}

impl TiledTopK {
    /// Keeps `k` of every tile of `side` × `side`.
    ///
    /// # Errors
    /// Where `side` is not in 1 … 4096, or `k` not in 1 … side².
    pub fn new(k: usize, side: usize) -> Result<Self, ParameterError> {
        if !(1..=4096).contains(&side) {
            return Err(ParameterError::Range { name: "side", value: side as f64, allowed: "1 … 4096" });
        }
        if !(1..=side * side).contains(&k) {
            return Err(ParameterError::Range {
                name: "k", value: k as f64, allowed: "1 … the coordinates of a tile"
            });
        }
        Ok(Self { k, side, values: Coding::default() })
    }

    /// Sends values in this coding; the rounding error stays in the residual.
    pub fn with_values(self, values: impl Into<Coding>) -> Self {
        Self { values: values.into(), ..self }
    }

    /// `k/COORDINATES`, the flag `tiles` being taken.
    pub(super) fn parse(args: &mut Args) -> Result<Self, TextError> {
        let share: String = args.required("ratio")?;
        let refused = || {
            TextError::Refused(format!(
                "`topk:{share},tiles`: write k of the coordinates of a square tile, as `topk:64/4096,tiles`"
            ))
        };
        let (k, per) = share.split_once('/').ok_or_else(refused)?;
        let (k, per): (usize, usize) = (k.parse().map_err(|_| refused())?, per.parse().map_err(|_| refused())?);
        if per.isqrt().pow(2) != per {
            return Err(refused());
        }
        Ok(Self::new(k, per.isqrt())?.with_values(args.named::<Coding>("values")?.unwrap_or_default()))
    }

    /// How many of a tile are kept.
    fn kept(&self, tile: usize) -> usize {
        (self.k as u64 * tile as u64).div_ceil((self.side * self.side) as u64) as usize
    }
}

impl fmt::Display for TiledTopK {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topk:{}/{}{},tiles", self.k, self.side * self.side, self.values.suffix())
    }
}

impl From<TiledTopK> for Feedback {
    fn from(c: TiledTopK) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for TiledTopK {
    fn class(&self, unit: &Unit) -> Class {
        let tiling = Tiling::of(&unit.shape, unit.len(), self.side);
        let sizes = tiling.tiles().map(|(_, wide)| tiling.tall * wide);
        let (alpha, kept) = sizes.fold((1.0f64, 0), |(alpha, kept), size| {
            (alpha.min(self.kept(size) as f64 / size as f64), kept + self.kept(size))
        });
        self.values.class(alpha, kept)
    }

    fn compress(&self, mut source: Source<'_>, unit: &Unit, key: &Key, _: &mut Memo) -> Payload {
        let x = source.dense();
        // A unit by itself need not be as long as what is compressed.
        let shape = if unit.len() == x.len() { unit.shape.as_slice() } else { &[] };
        let tiling = Tiling::of(shape, x.len(), self.side);
        let mut indices = Vec::new();
        for tile in tiling.tiles() {
            let mut places: Vec<u32> = tiling.places(tile).map(|place| place as u32).collect();
            let k = self.kept(places.len());
            if k < places.len() {
                let larger = |a: &u32, b: &u32| {
                    let size = |at: &u32| x[*at as usize].abs();
                    size(b).total_cmp(&size(a)).then(a.cmp(b))
                };
                places.select_nth_unstable_by(k - 1, larger);
                places.truncate(k);
            }
            indices.extend(places);
        }
        indices.sort_unstable();
        let values = indices.iter().map(|at| x[*at as usize]).collect();
        Sparse { len: x.len(), indices, values: self.values.encode(values, key) }.into()
    }
}
