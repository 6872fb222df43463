//! What a run is made of.

use std::path::PathBuf;

use backburn_compress::{AnyCompressor, Scope};
use backburn_optim::AnyAlgorithm;
use serde::{Deserialize, Serialize};

use super::{RunError, Schedule};
use crate::data::Partition;
use crate::models::ModelKind;

/// What happens when a gradient is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNonFinite {
    /// The run stops with the parameter's path, the worker and the step; all state is as before.
    #[default]
    Stop,
    /// The round is skipped, residuals untouched, and counted.
    Skip,
}

/// Images in a batch, at most.
const MOST_IMAGES: usize = 1 << 20;

/// All that decides a run, and nothing else: the same configuration gives the same bits on the
/// same kind of device. Written as TOML into the run's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The data set's name.
    pub data: String,
    /// A directory that holds it, before the user's cache is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Train on so many of its images only, the first of every class; 0 is all.
    pub subset: usize,
    /// Random crops with padding 4, and flips.
    pub augment: bool,
    /// The model.
    pub model: ModelKind,
    /// n.
    pub workers: usize,
    /// How the data is dealt to the workers.
    pub partition: Partition,
    /// Images a worker and step.
    pub batch: usize,
    /// Passes over the data; steps = epochs·images/(workers·batch).
    pub epochs: f64,
    /// Steps, instead of epochs; 0 counts epochs.
    pub steps: u64,
    /// The method.
    pub algorithm: AnyAlgorithm,
    /// The compressor.
    pub compressor: AnyCompressor,
    /// What the compressor sees as one vector.
    pub scope: Scope,
    /// Parameters of fewer coordinates are sent as they are.
    pub dense_below: usize,
    /// The seed of everything: weights, batches, augmentation, draws.
    pub seed: u64,
    /// The device's name.
    pub device: String,
    /// What happens when a gradient is not finite.
    pub on_non_finite: OnNonFinite,
    /// Steps between checkpoints; 0 keeps only the last.
    pub checkpoint_every: u64,
    /// Step sizes. A table, and so the last of the file.
    pub schedule: Schedule,
}

impl Default for RunConfig {
    fn default() -> Self {
        let parsed = "a form from the tables parses";
        Self {
            data: "fashion-embedded".into(),
            data_dir: None,
            subset: 0,
            augment: false,
            model: ModelKind::ConvNet,
            workers: 4,
            partition: Partition::Iid,
            batch: 32,
            epochs: 5.0,
            steps: 0,
            algorithm: "ef-sgd:momentum=0.9".parse().expect(parsed),
            compressor: "topk:0.01".parse().expect(parsed),
            scope: Scope::Parameter,
            dense_below: 0,
            seed: 1,
            device: "auto".into(),
            on_non_finite: OnNonFinite::Stop,
            checkpoint_every: 0,
            schedule: Schedule::default(),
        }
    }
}

impl RunConfig {
    /// Reads TOML; an unknown key is an error that names the known ones.
    pub fn from_toml(text: &str) -> Result<Self, RunError> {
        toml::from_str(text).map_err(|e| RunError::Config(e.to_string()))
    }

    /// TOML that reads back as the same configuration.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field has a TOML form")
    }

    /// Checks what serde cannot.
    pub fn check(&self) -> Result<(), RunError> {
        let fail = |why: &str| Err(RunError::Config(why.into()));
        if self.workers == 0 {
            return fail("workers must be at least 1, and is 0");
        }
        if !(1..=MOST_IMAGES).contains(&self.batch) {
            return fail(&format!("batch must be between 1 and {MOST_IMAGES}, and is {}", self.batch));
        }
        if self.steps == 0 && !(self.epochs > 0.0 && self.epochs.is_finite()) {
            return fail("epochs must be a positive number where steps is 0");
        }
        self.algorithm.check(&self.compressor)?;
        self.schedule.check().map_err(RunError::Config)
    }

    /// Whether a run of `self` may go on as `other`: what decides its data, its model and its draws must be
    /// the same; method arguments, compressor, workers, step sizes, length and device may change.
    pub fn same_run(&self, other: &Self) -> Result<(), RunError> {
        let was = (&self.data, self.subset, self.augment, self.model, &self.partition);
        let is = (&other.data, other.subset, other.augment, other.model, &other.partition);
        let drawn = |c: &Self| (c.seed, c.batch, c.scope, c.dense_below);
        if was == is && drawn(self) == drawn(other) {
            return Ok(());
        }
        let lines = |c: &Self| c.to_toml().lines().map(str::to_string).collect::<Vec<_>>();
        let (before, after) = (lines(self), lines(other));
        let fixed =
            ["data ", "subset ", "augment ", "model ", "partition ", "seed ", "batch ", "scope ", "dense_below "];
        let changed: Vec<&str> = (after.iter().filter(|line| !before.contains(line)))
            .map(String::as_str)
            .filter(|line| fixed.iter().any(|key| line.starts_with(key)))
            .collect();
        Err(RunError::Config(format!(
            "a run goes on with the data, model, batch, scope and seed that it began with; changed: {}",
            changed.join(", ")
        )))
    }

    /// Steps for a training set of so many images.
    pub fn steps_for(&self, images: usize) -> u64 {
        if self.steps > 0 {
            return self.steps;
        }
        ((self.epochs * images as f64 / (self.workers as f64 * self.batch as f64)).round() as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_as_toml() {
        let config = RunConfig { data_dir: Some("here".into()), workers: 7, ..RunConfig::default() };
        assert_eq!(RunConfig::from_toml(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        let message = |text: &str| RunConfig::from_toml(text).unwrap_err().to_string();
        assert!(
            message("worker = 3").contains("unknown field `worker`, expected one of `data`"),
            "{}",
            message("worker = 3")
        );
        assert!(message("compressor = 'topk:2'").contains("ratio 2 is outside (0, 1]"));
        assert!(message("model = 'lenet'").contains("resnet20"));
        assert!(RunConfig { workers: 0, ..RunConfig::default() }.check().is_err());
        assert!(RunConfig { schedule: Schedule::constant(f64::NAN), ..RunConfig::default() }.check().is_err());
    }
}
