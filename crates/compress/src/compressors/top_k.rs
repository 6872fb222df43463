use std::fmt;
use std::sync::Arc;

use super::{Amount, Coding, Entry};
use crate::kernels::select;
use crate::sweep::Source;
use crate::{Class, Compressor, Feedback, Key, Memo, ParameterError, Payload, Unit, Update};

/// C(x) keeps the k coordinates of largest magnitude; among equal ones the lowest index wins.
/// α ≥ k/d (Stich et al. 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopK {
    amount: Amount,
    values: Coding,
}

pub(super) const ENTRY: Entry = Entry {
    name: "topk",
    usage: "topk:RATIO|k=COUNT[,values=f32|f16|bf16|qsgd:S]",
    about: "the k coordinates of largest magnitude",
    examples: &["topk:0.1", "topk:k=3", "topk:0.1,values=bf16", "topk:k=3,values=f16", "topk:0.1,values=qsgd:15"],
    parse: |args| {
        let values = args.named("values")?.unwrap_or_default();
        Ok(Arc::new(TopK { amount: Amount::parse(args)?, values }))
    },
};

impl TopK {
    /// Keeps ⌈ratio·d⌉ of a unit's d coordinates, ratio ∈ (0, 1].
    pub fn ratio(ratio: f64) -> Result<Self, ParameterError> {
        Ok(Self { amount: Amount::ratio(ratio)?, values: Coding::default() })
    }

    /// Keeps `k` ≥ 1 coordinates of every unit.
    pub fn count(k: usize) -> Result<Self, ParameterError> {
        Ok(Self { amount: Amount::count(k)?, values: Coding::default() })
    }

    /// Sends values in this format, or in levels; the rounding error stays in the residual.
    pub fn with_values(self, values: impl Into<Coding>) -> Self {
        Self { values: values.into(), ..self }
    }
}

impl fmt::Display for TopK {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topk:{}{}", self.amount, self.values.suffix())
    }
}

impl From<TopK> for Feedback {
    fn from(c: TopK) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for TopK {
    fn class(&self, unit: &Unit) -> Class {
        let k = self.amount.of(unit.len());
        Class::Contractive(k as f64 / unit.len().max(1) as f64 * self.values.share(k))
    }

    fn compress(&self, x: &[f32], _: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        self.of(Source::Still(x), key, memo)
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        self.of(Source::moving(p, update), key, memo)
    }
}

impl TopK {
    fn of(&self, source: Source<'_>, key: &Key, memo: &mut Memo) -> Payload {
        let len = source.len();
        let kept = select::largest(source, self.amount.of(len), &mut memo.scratch);
        Payload::Sparse { len, indices: kept.indices, values: self.values.encode(kept.values, key) }
    }
}

/// The places of the `k` largest magnitudes, ascending; among equal ones the lowest win.
pub fn top_indices(x: &[f32], k: usize) -> Vec<u32> {
    select::largest(Source::Still(x), k.min(x.len()), &mut Vec::new()).indices
}
