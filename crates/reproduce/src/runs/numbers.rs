//! What runs measured, as rows that figures are drawn of.

use backburn_optim::OnLink;

use super::record::Record;
use crate::record::metric::{MEGABYTES_DOWN, MEGABYTES_UP, TEST_ACCURACY, TRAIN_LOSS};
use crate::record::{CurveName, GroupName, Metric, Results, Row, mean};

pub(super) const SECONDS: Metric = Metric::new("seconds");
pub(super) const SECONDS_ON_LINK: Metric = Metric::new("seconds on the link");
pub(super) const RESIDUAL: Metric = Metric::new("residual norm");
pub(super) const CONTRACTION: Metric = Metric::new("contraction");

/// The one group, of all runs.
pub(super) const ALL: GroupName = GroupName::new("");
/// Points of a curve, at most.
const POINTS: u64 = 100;

/// The rows of all runs, under these names, at x = steps taken. What is measured at every step is a mean over as many
/// steps as make few enough points.
pub(super) fn results(records: &[Record], names: &[CurveName]) -> Results {
    let longest = records.iter().filter_map(|record| record.lines.last()).map(|line| line.step + 1).max();
    let window = longest.unwrap_or(1).div_ceil(POINTS);
    Results::new(records.iter().zip(names).flat_map(|(record, name)| rows(record, *name, window)).collect())
}

fn rows(record: &Record, curve: CurveName, window: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut put = |metric: Metric, x: u64, value: Option<f64>| {
        if let Some(value) = value {
            rows.push(Row { group: ALL, curve, seed: record.seed, metric, x: x as f64, value });
        }
    };
    let each = record.summary.as_ref().map(|summary| summary.seconds / summary.steps.max(1) as f64);
    let (mut up, mut down, mut on_link) = (0.0, 0.0, None::<OnLink>);
    let sharded = total_on_link(record).is_some_and(|all| all.sharded < all.gather);
    let mut since = 0;
    for (i, line) in record.lines.iter().enumerate() {
        up += line.bytes_up / 1e6;
        down += line.bytes_down / 1e6;
        if let Some(step) = line.seconds_on_link {
            *on_link.get_or_insert_default() += step;
        }
        let taken = line.step + 1;
        let last = i + 1 == record.lines.len();
        let full = taken.is_multiple_of(window) || last;
        let end = record.summary.as_ref().filter(|_| last);
        let accuracy = line.test_accuracy.or(end.map(|summary| summary.test_accuracy)).filter(|a| a.is_finite());
        if full {
            let part = &record.lines[since..=i];
            put(TRAIN_LOSS, taken, mean(part.iter().filter_map(|line| line.loss)));
            put(RESIDUAL, taken, mean(part.iter().filter_map(|line| line.residual_norm)));
            put(CONTRACTION, taken, mean(part.iter().filter_map(|line| line.contraction)));
            since = i + 1;
        }
        put(TEST_ACCURACY, taken, accuracy);
        if full || accuracy.is_some() {
            put(MEGABYTES_UP, taken, Some(up));
            put(MEGABYTES_DOWN, taken, Some(down));
            put(SECONDS, taken, each.map(|each| each * taken as f64));
            put(SECONDS_ON_LINK, taken, on_link.map(|all| if sharded { all.sharded } else { all.gather }));
        }
    }
    rows
}

/// The seconds of all exchanges, where the run has links.
pub(super) fn total_on_link(record: &Record) -> Option<OnLink> {
    let mut all = None::<OnLink>;
    for step in record.lines.iter().filter_map(|line| line.seconds_on_link) {
        *all.get_or_insert_default() += step;
    }
    all
}
