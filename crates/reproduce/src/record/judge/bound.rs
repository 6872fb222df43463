//! A mean against a number: one-sided Student t over seeds.

use super::interval::within;
use super::{CONFIDENCE, Finding, Test, TestKind};
use crate::record::Seeds;
use crate::words::short;

/// The mean over seeds of a quantity is at most, or at least, a number that does not depend on the run.
#[derive(Clone, Debug)]
pub struct Bound {
    what: String,
    low: f64,
    high: f64,
}

impl Bound {
    /// The mean of `what` is at most `limit`.
    pub fn at_most(what: impl Into<String>, limit: f64) -> Self {
        Self { what: what.into(), low: f64::NEG_INFINITY, high: limit }
    }

    /// The mean of `what` is at least `limit`.
    pub fn at_least(what: impl Into<String>, limit: f64) -> Self {
        Self { what: what.into(), low: limit, high: f64::INFINITY }
    }
}

impl Test for Bound {
    type Evidence = Seeds;
    const KIND: TestKind = TestKind::Bound;

    fn required(&self) -> String {
        let Self { what, low, high } = self;
        let limit =
            if high.is_finite() { format!("at most {}", short(*high)) } else { format!("at least {}", short(*low)) };
        format!("{what}: mean over seeds {limit} ({} % confidence, Student t)", 100.0 * CONFIDENCE)
    }

    fn judge(&self, seeds: &Seeds, parts: usize) -> Finding {
        within(&seeds.values(), self.low, self.high, parts)
    }
}
