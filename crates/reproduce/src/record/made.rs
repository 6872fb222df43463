//! Results made up for tests: each claim is shown numbers that turn it each way.

use super::judge::Verdict;
use super::name::{CurveName, GroupName, Metric};
use super::results::{Results, Row};

/// Results made up, and what a claim must say of them.
#[derive(Clone, Debug)]
pub struct Witness {
    /// How the claim begins; of an empty text, every claim is meant.
    pub claim: &'static str,
    pub verdict: Verdict,
    pub results: Results,
}

/// Rows made up, one series after another.
#[derive(Clone, Debug, Default)]
pub struct Made(Vec<Row>);

/// Seeds of [`steady`] and [`torn`].
pub(crate) const MADE_SEEDS: u64 = 8;

/// Values, one a seed, all about the same: their mean is known to a thousandth.
pub(crate) fn steady(value: f64) -> Vec<f64> {
    (0..MADE_SEEDS).map(|i| value * (1.0 + if i % 2 == 0 { 1e-3 } else { -1e-3 })).collect()
}

/// Values, one a seed, of two kinds: their mean might be anything from a third to two thirds of the way.
pub(crate) fn torn(low: f64, high: f64) -> Vec<f64> {
    (0..MADE_SEEDS).map(|i| if i % 2 == 0 { low } else { high }).collect()
}

impl Made {
    /// With this series in the place of one that was there: one point at x = 0 for each seed.
    pub fn with(self, group: GroupName, curve: CurveName, metric: Metric, values: &[f64]) -> Self {
        let rows = (1..).zip(values).map(|(seed, value)| (seed, 0.0, *value)).collect::<Vec<_>>();
        self.put(group, curve, metric, rows)
    }

    /// The same for the points (x, value) of every seed.
    pub fn path(self, group: GroupName, curve: CurveName, metric: Metric, points: &[(f64, f64)]) -> Self {
        let rows = (1..=MADE_SEEDS).flat_map(|seed| points.iter().map(move |(x, value)| (seed, *x, *value)));
        let rows = rows.collect::<Vec<_>>();
        self.put(group, curve, metric, rows)
    }

    /// The same for points of each seed's own.
    pub fn paths(
        self,
        group: GroupName,
        curve: CurveName,
        metric: Metric,
        points: impl IntoIterator<Item = (u64, Vec<(f64, f64)>)>,
    ) -> Self {
        let rows = points.into_iter().flat_map(|(seed, points)| points.into_iter().map(move |(x, v)| (seed, x, v)));
        let rows = rows.collect::<Vec<_>>();
        self.put(group, curve, metric, rows)
    }

    fn put(mut self, group: GroupName, curve: CurveName, metric: Metric, values: Vec<(u64, f64, f64)>) -> Self {
        self.0.retain(|r| !(r.group == group && r.curve == curve && r.metric == metric));
        self.0.extend(values.into_iter().map(|(seed, x, value)| Row { group, curve, seed, metric, x, value }));
        self
    }

    /// Of which every claim must say that it holds.
    pub fn all_hold(&self) -> Witness {
        self.says("", Verdict::Holds)
    }

    /// Of which the claim that begins so must say that it fails.
    pub fn fails(&self, claim: &'static str) -> Witness {
        self.says(claim, Verdict::Fails)
    }

    /// Of which the claim that begins so must be undecided.
    pub fn undecided(&self, claim: &'static str) -> Witness {
        self.says(claim, Verdict::Undecided)
    }

    fn says(&self, claim: &'static str, verdict: Verdict) -> Witness {
        Witness { claim, verdict, results: Results::new(self.0.clone()) }
    }
}
