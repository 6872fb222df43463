//! A mean within a margin that is set before the run: two one-sided Student t tests over seeds.

use super::interval::within;
use super::{CONFIDENCE, Finding, Test, TestKind};
use crate::record::Seeds;
use crate::words::short;

/// The mean over seeds of a quantity, a difference or a ratio, lies in a margin: what counts as equal.
#[derive(Clone, Debug)]
pub struct Equality {
    what: String,
    low: f64,
    high: f64,
}

impl Equality {
    /// The mean of `what` lies in `low..=high`.
    pub fn within(what: impl Into<String>, low: f64, high: f64) -> Self {
        Self { what: what.into(), low, high }
    }
}

impl Test for Equality {
    type Evidence = Seeds;
    const KIND: TestKind = TestKind::Equality;

    fn required(&self) -> String {
        let Self { what, low, high } = self;
        let confidence = 100.0 * CONFIDENCE;
        let (low, high) = (short(*low), short(*high));
        format!("{what}: mean over seeds from {low} to {high} ({confidence} % confidence, two one-sided t tests)")
    }

    fn judge(&self, seeds: &Seeds, parts: usize) -> Finding {
        within(&seeds.values(), self.low, self.high, parts)
    }
}
