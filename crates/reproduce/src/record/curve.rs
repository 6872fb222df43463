//! A curve: what is run once a seed.

use super::name::{CurveName, GroupName};

/// One curve: a method in a setting. It is run once a seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What belongs into one panel.
    pub group: GroupName,
    /// Its name in the legend.
    pub name: CurveName,
    /// The method's textual form.
    pub algorithm: String,
    /// The compressor's textual form.
    pub compressor: String,
    /// n.
    pub workers: usize,
    /// Examples a worker and step.
    pub batch: usize,
    /// γ, before tuning.
    pub lr: f64,
    /// The number that makes the group, where that is none of the above.
    pub setting: f64,
    /// Its time relative to the experiment's other curves; 0 counts as 1.
    pub cost: f64,
}

impl Curve {
    /// A curve of one worker.
    pub fn new(group: GroupName, name: CurveName, algorithm: &str, compressor: &str, lr: f64) -> Self {
        Self {
            group,
            name,
            algorithm: algorithm.into(),
            compressor: compressor.into(),
            workers: 1,
            batch: 1,
            lr,
            setting: 0.0,
            cost: 1.0,
        }
    }
}
