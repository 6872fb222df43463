use std::fmt;
use std::sync::Arc;

use super::{Coding, Sparsity};
use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::feedback::Feedback;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Drawn, Payload};
use crate::source::Source;
use crate::text::Form;

/// C(x) keeps k coordinates drawn without replacement, the same for all workers, so that messages
/// add and no index is sent. E‖C(x) − x‖² = (1 − k/d)‖x‖² (Stich et al. 2018).
///
/// <https://arxiv.org/abs/1809.07599>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomK(Sparsity);

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "randk",
    usage: "randk:RATIO|k=COUNT[,values=f32|f16|bf16|qsgd:S|2bit|4bit|sign]",
    about: "k coordinates drawn at random, the same for all workers",
    equation: "C(x)_j = x_j for j in a random set of k, 0 elsewhere; k = ⌈ratio·d⌉",
    source: "Sparsified SGD with Memory, Stich, Cordonnier, Jaggi 2018",
    link: "https://arxiv.org/abs/1809.07599",
    defaults: Sparsity::DEFAULTS,
    examples: &["randk:0.1", "randk:k=3", "randk:0.1,values=bf16", "randk:0.1,values=qsgd:15"],
    parse: |args| Ok(Arc::new(RandomK(Sparsity::parse(args)?))),
};

impl RandomK {
    /// Keeps ⌈ratio·d⌉ of a unit's d coordinates, ratio ∈ (0, 1].
    ///
    /// # Errors
    /// Where `ratio` is not in (0, 1].
    pub fn ratio(ratio: f64) -> Result<Self, ParameterError> {
        Sparsity::ratio(ratio).map(Self)
    }

    /// Keeps `k` ≥ 1 coordinates of every unit.
    ///
    /// # Errors
    /// Where `k` is 0.
    pub fn count(k: usize) -> Result<Self, ParameterError> {
        Sparsity::count(k).map(Self)
    }

    /// Sends values in this format, or in levels; the rounding error stays in the residual.
    pub fn with_values(self, values: impl Into<Coding>) -> Self {
        Self(self.0.with_values(values))
    }
}

impl fmt::Display for RandomK {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "randk:{}", self.0)
    }
}

impl From<RandomK> for Feedback {
    fn from(c: RandomK) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for RandomK {
    fn class(&self, unit: &Unit) -> Class {
        self.0.class(unit.len())
    }

    fn is_linear(&self) -> bool {
        self.0.values().is_exact()
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let (len, k) = (source.len(), self.0.of(source.len()));
        let draw = key.shared().draw();
        let values = source.drawn(draw, k, memo);
        Drawn { len, draw, values: self.0.values().encode(values, key) }.into()
    }
}
