//! How step sizes are tuned, and what tuning chose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::{CurveName, GroupName, Metric, Summary};

/// How step sizes are tuned.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The step sizes tried.
    pub grid: Vec<f64>,
    /// The metric that decides.
    pub metric: Metric,
    /// Which of its values: the mean over the last tenth of a run, unless the paper says otherwise.
    pub by: Summary,
    /// Whether more is better.
    pub more_is_better: bool,
}

impl Tuning {
    /// 2^from … 2^to.
    pub fn powers_of_two(from: i32, to: i32, metric: Metric) -> Self {
        Self {
            grid: (from..=to).map(|e| 2f64.powi(e)).collect(),
            metric,
            by: Summary::Tail(0.1),
            more_is_better: false,
        }
    }
}

/// The step size that tuning chose for a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The curve's group.
    pub group: GroupName,
    /// Its name.
    pub curve: CurveName,
    /// The step size chosen.
    pub lr: f64,
    /// Each step size tried with what it came to; none where it diverged.
    pub tried: BTreeMap<String, Option<f64>>,
}
