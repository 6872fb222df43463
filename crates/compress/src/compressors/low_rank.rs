use std::fmt;
use std::sync::Arc;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::feedback::Feedback;
use crate::kernels::low_rank::{first_q, matrix, orthonormalise, refresh_q};
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{self, Payload};
use crate::source::Source;
use crate::text::Form;

/// Rank-r projection by one step of power iteration (k-PCA; PowerSGD, Vogels et al. 2019): the unit as a matrix
/// M = [d₀, d/d₀], P = M·Q made orthonormal, Q ← Mᵀ·P, C(M) = P·Qᵀ. Q starts at random, the same for all
/// workers, and each step from the last one's. One-dimensional units, and those that the factors would not
/// shorten, go dense.
///
/// C is a projection, so ‖x − C(x)‖ ≤ ‖x‖; at its worst α is 0, and nothing is promised of the residual. Joint PowerSGD, which averages P and Q over
/// the workers, is made of the steps in [`low_rank`](crate::kernels::low_rank).
///
/// <https://arxiv.org/abs/1905.13727>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowRank {
    rank: usize,
}

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "lowrank",
    usage: "lowrank:RANK",
    about: "a matrix of this rank, by power iteration",
    equation: "C(M) = P·Qᵀ, P = orthonormal(M·Q), Q ← Mᵀ·P",
    source: "PowerSGD, Vogels, Karimireddy, Jaggi 2019",
    link: "https://arxiv.org/abs/1905.13727",
    defaults: &[],
    examples: &["lowrank:1", "lowrank:4"],
    parse: |args| Ok(Arc::new(LowRank::new(args.required("rank")?)?)),
};

impl LowRank {
    /// Of rank `rank` ≥ 1.
    ///
    /// # Errors
    /// Where `rank` is 0.
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
        if matrix(unit, self.rank).is_some() { Class::NonExpansive } else { Class::Contractive(1.0) }
    }

    fn compress(&self, mut source: Source<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let rank = self.rank;
        let Some((rows, columns)) = matrix(unit, rank) else { return Payload::floats(source.dense()) };
        if memo.values.len() != rank * columns {
            memo.values = first_q(columns, rank, key);
        }
        refresh_q(&mut memo.values, columns, key);
        let mut p = source.times(rows, &memo.values, rank);
        orthonormalise(&mut p, rank);
        let q = source.transpose_times(rows, &p, rank);
        memo.values.copy_from_slice(&q);
        payload::LowRank { rows, rank, p, q }.into()
    }
}
