//! A number that nothing random decides: an identity, a theorem's bound at every step, a worst case.

use super::{Finding, Test, TestKind, Verdict};
use crate::words::short;

/// A number lies where it must, to a tolerance that rounding explains. Never undecided; what is not a
/// number fails.
#[derive(Clone, Debug)]
pub struct Exact {
    what: String,
    low: f64,
    high: f64,
}

impl Exact {
    /// `what`, which says where a tolerance comes from, is at most `limit`.
    pub fn at_most(what: impl Into<String>, limit: f64) -> Self {
        Self { what: what.into(), low: f64::NEG_INFINITY, high: limit }
    }

    /// `what`, which says where a tolerance comes from, is at least `limit`.
    pub fn at_least(what: impl Into<String>, limit: f64) -> Self {
        Self { what: what.into(), low: limit, high: f64::INFINITY }
    }

    /// `what`, which says where a tolerance comes from, lies in `low..=high`.
    pub fn within(what: impl Into<String>, low: f64, high: f64) -> Self {
        Self { what: what.into(), low, high }
    }
}

impl Test for Exact {
    type Evidence = f64;
    const KIND: TestKind = TestKind::Exact;

    fn required(&self) -> String {
        let Self { what, low, high } = self;
        match (low.is_finite(), high.is_finite()) {
            (false, _) => format!("{what}: at most {}", short(*high)),
            (_, false) => format!("{what}: at least {}", short(*low)),
            _ => format!("{what}: from {} to {}", short(*low), short(*high)),
        }
    }

    fn judge(&self, value: &f64, _: usize) -> Finding {
        let verdict = if (self.low..=self.high).contains(value) { Verdict::Holds } else { Verdict::Fails };
        Finding { verdict, figures: short(*value) }
    }
}
