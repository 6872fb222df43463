//! Where a mean over seeds lies.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

use super::{CONFIDENCE, Finding, Verdict};
use crate::words::short;

/// Fewer seeds decide nothing.
const LEAST_SEEDS: usize = 3;

/// The limits of a mean by Student's t: the mean is above `low`, and below `high`, with the confidence
/// 1 − `error` each (Student 1908, <https://doi.org/10.2307/2331554>; for values that are about normal, or
/// many).
pub(super) fn limits(values: &[f64], error: f64) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - error));
    // Of values that are all the same to rounding the mean is known.
    let half = if variance.sqrt() <= 1e-14 * mean.abs() { 0.0 } else { quantile * (variance / n).sqrt() };
    (mean - half, mean + half)
}

/// The chance of `k` or more heads in `n` throws of a fair coin.
fn heads(k: usize, n: usize) -> f64 {
    match (k.checked_sub(1), Binomial::new(0.5, n as u64)) {
        (Some(below), Ok(coin)) => coin.sf(below as u64),
        _ => 1.0,
    }
}

/// Whether the mean of values, one a seed, lies in `low..=high`; open on the side of an infinite end.
///
/// It does where the one-sided limits of confidence do, which for a region of two ends is the test of
/// equivalence (two one-sided tests: Schuirmann 1987, <https://doi.org/10.1007/BF01068419>); it does not
/// where they both lie on one side of it. Of values that are not all finite, since a run diverged, the
/// exact sign test judges: that more than half of all runs are within, or outside.
pub(super) fn within(values: &[f64], low: f64, high: f64, parts: usize) -> Finding {
    let n = values.len();
    let error = 1.0 - CONFIDENCE;
    let against = error / parts.max(1) as f64;
    if values.iter().any(|v| v.is_nan()) {
        let none = values.iter().filter(|v| v.is_nan()).count();
        return Finding { verdict: Verdict::Undecided, figures: format!("not a number in {none} of {n} seeds") };
    }
    if values.iter().any(|v| v.is_infinite()) {
        let inside = values.iter().filter(|v| (low..=high).contains(*v)).count();
        let verdict = match (heads(inside, n) <= error, heads(n - inside, n) <= against) {
            (true, _) => Verdict::Holds,
            (_, true) => Verdict::Fails,
            _ => Verdict::Undecided,
        };
        return Finding {
            verdict,
            figures: format!("as required in {inside} of {n} seeds, infinite in some (sign test)"),
        };
    }
    if n < LEAST_SEEDS {
        let all = values.iter().map(|v| short(*v)).collect::<Vec<_>>().join(", ");
        let seeds = if n == 1 { "seed decides" } else { "seeds decide" };
        return Finding { verdict: Verdict::Undecided, figures: format!("{all}; {n} {seeds} nothing") };
    }
    let (from, to) = limits(values, error);
    let wide = limits(values, against);
    let verdict = if low <= from && to <= high {
        Verdict::Holds
    } else if wide.1 < low || high < wide.0 {
        Verdict::Fails
    } else {
        Verdict::Undecided
    };
    let mean = values.iter().sum::<f64>() / n as f64;
    Finding { verdict, figures: format!("{} [{}, {}], {n} seeds", short(mean), short(from), short(to)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_tables() {
        // Student's table: 0.95 at 4 degrees of freedom is 2.132, 0.975 at 9 is 2.262.
        let (low, high) = limits(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.05);
        let half = 2.131_847 * (2.5f64 / 5.0).sqrt();
        assert!((low - (3.0 - half)).abs() < 1e-5 && (high - (3.0 + half)).abs() < 1e-5, "{low} {high}");
        let values: Vec<f64> = (0..10).map(f64::from).collect();
        let half = 2.262_157 * (55.0f64 / 6.0 / 10.0).sqrt();
        assert!((limits(&values, 0.025).0 - (4.5 - half)).abs() < 1e-5);
        assert_eq!(limits(&[2.0; 4], 0.05), (2.0, 2.0));
        assert!((heads(5, 5) - 1.0 / 32.0).abs() < 1e-12 && (heads(0, 5) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn wrong_verdicts_are_as_rare_as_the_confidence_says() {
        // At the very line either verdict is wrong in one of 20 at most, whatever the number of seeds.
        let mut random = backburn_compress::Philox::new(backburn_compress::Key::new(7).draw());
        for n in [3, 5, 20] {
            let mut wrong = [0; 2];
            for _ in 0..4000 {
                let values: Vec<f64> = (0..n).map(|_| f64::from(random.normal())).collect();
                match within(&values, f64::NEG_INFINITY, 0.0, 1).verdict {
                    Verdict::Holds => wrong[0] += 1,
                    Verdict::Fails => wrong[1] += 1,
                    Verdict::Undecided => {}
                }
            }
            // 200 of 4000, with four standard errors of 14.
            wrong.iter().for_each(|w| assert!((144..=256).contains(w), "{n} seeds: {wrong:?}"));
        }
    }

    #[test]
    fn verdicts() {
        let inf = f64::INFINITY;
        let table: [(&[f64], [f64; 2], usize, Verdict); 11] = [
            (&[1.0, 1.1, 0.9, 1.0], [-inf, 1.5], 1, Verdict::Holds),
            (&[1.0, 1.1, 0.9, 1.0], [-inf, 0.5], 1, Verdict::Fails),
            (&[1.0, 1.1, 0.9, 1.0], [-inf, 1.02], 1, Verdict::Undecided),
            (&[1.0, 1.1, 0.9, 1.0], [0.8, 1.2], 1, Verdict::Holds),
            (&[1.0, 1.1, 0.9, 1.0], [0.95, 1.05], 1, Verdict::Undecided),
            (&[1.0, 1.1, 0.9, 1.0], [1.2, 1.3], 1, Verdict::Fails),
            // The same numbers against, as one of a thousand parts.
            (&[1.0, 1.1, 0.9, 1.0], [1.2, 1.3], 1000, Verdict::Undecided),
            (&[1.0, 1.0], [-inf, 1.5], 1, Verdict::Undecided),
            (&[1.0, f64::NAN, 1.0, 1.0], [-inf, 1.5], 1, Verdict::Undecided),
            (&[inf; 5], [-inf, 1.5], 1, Verdict::Fails),
            (&[-inf, 1.0, 1.0, 1.0, 1.0], [-inf, 1.5], 1, Verdict::Holds),
        ];
        for (values, [low, high], parts, verdict) in table {
            let found = within(values, low, high, parts);
            assert_eq!(found.verdict, verdict, "{values:?} in {low}..={high}: {}", found.figures);
        }
    }
}
