use std::fmt;
use std::sync::Arc;

use super::{Entry, Identity};
use crate::low_rank::{first_q, matrix, orthonormalise, refresh_q, sweep_times_q, transpose_times};
use crate::sweep::Source;
use crate::{Class, Compressor, Feedback, Key, Memo, ParameterError, Payload, Unit, Update};

/// Rank-r projection by one step of power iteration (k-PCA; PowerSGD, Vogels et al. 2019): the unit as a matrix
/// M = [d₀, d/d₀], P = M·Q made orthonormal, Q ← Mᵀ·P, C(M) = P·Qᵀ. Q starts at random, the same for all
/// workers, and each step from the last one's. One-dimensional units, and those that the factors would not
/// shorten, go dense.
///
/// C is a projection, so ‖x − C(x)‖ ≤ ‖x‖; at its worst α is 0. Joint PowerSGD, which averages P and Q over
/// the workers, is made of the steps in [`low_rank`](crate::low_rank).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowRank {
    rank: usize,
}

pub(super) const ENTRY: Entry = Entry {
    name: "lowrank",
    usage: "lowrank:RANK",
    about: "a matrix of this rank, by power iteration",
    examples: &["lowrank:1", "lowrank:4"],
    parse: |args| Ok(Arc::new(LowRank::new(args.required("rank")?)?)),
};

impl LowRank {
    /// Of rank `rank` ≥ 1.
    pub fn new(rank: usize) -> Result<Self, ParameterError> {
        if rank == 0 { Err(ParameterError::Zero("rank")) } else { Ok(Self { rank }) }
    }

    /// The rank.
    pub fn rank(&self) -> usize {
        self.rank
    }
}

impl fmt::Display for LowRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lowrank:{}", self.rank)
    }
}

impl From<LowRank> for Feedback {
    fn from(c: LowRank) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for LowRank {
    fn class(&self, unit: &Unit) -> Class {
        Class::Contractive(if matrix(unit, self.rank).is_some() { 0.0 } else { 1.0 })
    }

    fn compress(&self, x: &[f32], unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let Some((rows, columns)) = matrix(unit, self.rank) else { return Identity.compress(x, unit, key, memo) };
        let p = self.start(columns, key, memo, |q| sweep_times_q(Source::Still(x), rows, q, self.rank));
        self.finish(x, rows, p, memo)
    }

    fn feedback(&self, m: &mut [f32], update: Update<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let Some((rows, columns)) = matrix(unit, self.rank) else {
            return Identity.feedback(m, update, unit, key, memo);
        };
        let p = self.start(columns, key, memo, |q| sweep_times_q(Source::moving(m, update), rows, q, self.rank));
        self.finish(m, rows, p, memo)
    }
}

impl LowRank {
    /// P = M·Q with the warm Q.
    fn start(&self, columns: usize, key: &Key, memo: &mut Memo, times: impl FnOnce(&[f32]) -> Vec<f32>) -> Vec<f32> {
        if memo.values.len() != self.rank * columns {
            memo.values = first_q(columns, self.rank, key);
        }
        refresh_q(&mut memo.values, columns, key);
        times(&memo.values)
    }

    /// Q = Mᵀ·P for the orthonormalised P.
    fn finish(&self, m: &[f32], rows: usize, mut p: Vec<f32>, memo: &mut Memo) -> Payload {
        orthonormalise(&mut p, self.rank);
        let q = transpose_times(m, rows, &p, self.rank);
        memo.values.copy_from_slice(&q);
        Payload::LowRank { rows, rank: self.rank, p, q }
    }
}
