//! How often something happens: exact binomial limits.

use statrs::distribution::{Beta, ContinuousCDF};

use super::{CONFIDENCE, Finding, Test, TestKind, Verdict};
use crate::record::Seeds;
use crate::words::short;

/// Something happens with at least, or at most, a probability. The evidence is 1 of a seed where it
/// did, 0 where it did not; limits are those of Clopper and Pearson (1934,
/// <https://doi.org/10.1093/biomet/26.4.404>).
#[derive(Clone, Debug)]
pub struct Share {
    what: String,
    probability: f64,
    at_least: bool,
}

impl Share {
    /// `what` happens with at least this probability.
    pub fn at_least(what: impl Into<String>, probability: f64) -> Self {
        Self { what: what.into(), probability, at_least: true }
    }

    /// `what` happens with at most this probability.
    pub fn at_most(what: impl Into<String>, probability: f64) -> Self {
        Self { what: what.into(), probability, at_least: false }
    }
}

/// The probability is above the first and below the second, with the confidence 1 − `error` each.
fn limits(happened: usize, n: usize, error: f64) -> (f64, f64) {
    let quantile = |a: usize, b: usize, q: f64| Beta::new(a as f64, b as f64).map(|beta| beta.inverse_cdf(q)).ok();
    let low = quantile(happened, n - happened + 1, error).unwrap_or(0.0);
    let high = quantile(happened + 1, n - happened, 1.0 - error).unwrap_or(1.0);
    (low, high)
}

impl Test for Share {
    type Evidence = Seeds;
    const KIND: TestKind = TestKind::Share;

    fn required(&self) -> String {
        let side = if self.at_least { "least" } else { "most" };
        let (p, confidence) = (short(self.probability), 100.0 * CONFIDENCE);
        format!("{}: probability at {side} {p} ({confidence} % confidence, exact binomial limits)", self.what)
    }

    fn judge(&self, seeds: &Seeds, parts: usize) -> Finding {
        let values = seeds.values();
        let (n, happened) = (values.len(), values.iter().filter(|v| **v >= 0.5).count());
        if values.iter().any(|v| v.is_nan()) {
            let none = values.iter().filter(|v| v.is_nan()).count();
            return Finding { verdict: Verdict::Undecided, figures: format!("not a number in {none} of {n} seeds") };
        }
        let error = 1.0 - CONFIDENCE;
        let (low, high) = limits(happened, n, error);
        let wide = limits(happened, n, error / parts.max(1) as f64);
        let (above, below) = (self.probability <= low, high <= self.probability);
        let (far_above, far_below) = (self.probability < wide.0, wide.1 < self.probability);
        let verdict = match (self.at_least, above, below, far_above, far_below) {
            (true, true, ..) | (false, _, true, ..) => Verdict::Holds,
            (true, _, _, _, true) | (false, _, _, true, _) => Verdict::Fails,
            _ => Verdict::Undecided,
        };
        Finding { verdict, figures: format!("{happened} of {n} seeds [{}, {}]", short(low), short(high)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_exact() {
        // All of n: the lower limit is the n-th root of the error.
        let (low, high) = limits(100, 100, 0.05);
        assert!((low - 0.05f64.powf(0.01)).abs() < 1e-9 && high == 1.0, "{low} {high}");
        let (low, high) = limits(0, 10, 0.05);
        assert!(low == 0.0 && (high - (1.0 - 0.05f64.powf(0.1))).abs() < 1e-9, "{low} {high}");
        // Tables: 8 of 10 at 90 %, two-sided: 0.4931 to 0.9632.
        let (low, high) = limits(8, 10, 0.05);
        assert!((low - 0.4931).abs() < 1e-4 && (high - 0.9632).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn verdicts() {
        let seeds = |k: usize, n: usize| Seeds::from_iter((0..n).map(|i| (i as u64, f64::from(u8::from(i < k)))));
        let (least, most) = (Share::at_least("it", 0.5), Share::at_most("it", 0.5));
        for (k, expected) in [(10, Verdict::Holds), (5, Verdict::Undecided), (0, Verdict::Fails)] {
            assert_eq!(least.judge(&seeds(k, 10), 1).verdict, expected);
            assert_eq!(most.judge(&seeds(10 - k, 10), 1).verdict, expected);
        }
        assert_eq!(least.judge(&seeds(0, 5), 1).verdict, Verdict::Fails);
        assert_eq!(least.judge(&seeds(0, 5), 100).verdict, Verdict::Undecided);
        let none = seeds(0, 10).map(|_| f64::NAN);
        assert_eq!([&least, &most].map(|test| test.judge(&none, 1).verdict), [Verdict::Undecided; 2]);
    }
}
