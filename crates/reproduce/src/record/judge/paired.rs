//! One quantity against another of the same seeds: one-sided Student t on their differences.

use super::interval::within;
use super::{CONFIDENCE, Finding, Test, TestKind};
use crate::record::Seeds;
use crate::words::short;

/// A quantity is below another, or below so many times it, in the mean over seeds; both are measured with
/// each seed, so that what a draw does to both of them drops out.
#[derive(Clone, Debug)]
pub struct Paired {
    what: String,
    factor: f64,
}

impl Paired {
    /// Of `what`, the first of the evidence is below the second.
    pub fn below(what: impl Into<String>) -> Self {
        Self { what: what.into(), factor: 1.0 }
    }

    /// Below so many times the second.
    pub fn times(self, factor: f64) -> Self {
        Self { factor, ..self }
    }
}

impl Test for Paired {
    type Evidence = (Seeds, Seeds);
    const KIND: TestKind = TestKind::Paired;

    fn required(&self) -> String {
        let second =
            if self.factor == 1.0 { "the second".into() } else { format!("{} times the second", short(self.factor)) };
        format!(
            "{}: the first below {second} in the mean over seeds ({} % confidence, paired t)",
            self.what,
            100.0 * CONFIDENCE
        )
    }

    fn judge(&self, (first, second): &(Seeds, Seeds), parts: usize) -> Finding {
        // 0 − 0 is no improvement.
        let below_zero = -f64::MIN_POSITIVE;
        let difference = first.with(second, |a, b| a - self.factor * b);
        let values = difference.map_or_else(|| vec![f64::NAN], |d| d.values());
        let found = within(&values, f64::NEG_INFINITY, below_zero, parts);
        let figures = format!("{} and {}, difference {}", short(first.mean()), short(second.mean()), found.figures);
        Finding { figures, ..found }
    }
}
