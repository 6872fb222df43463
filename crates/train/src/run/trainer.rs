//! A run as a session.

use super::config::RunConfig;
use super::error::RunError;
use super::ranks::Ranks;
use super::summary::Summary;
use super::workers::Workers;
use crate::data::{Examples, Options, Split};
use crate::models::Evaluation;
use crate::session::Session;

/// A run in progress: n workers, one model.
pub type Trainer = Session<Workers>;

impl Trainer {
    /// Loads the data, builds the model, deals the data to the workers.
    ///
    /// # Errors
    /// Where the configuration cannot be, or the data cannot be had.
    pub fn load(config: RunConfig, options: &Options) -> Result<Self, RunError> {
        config.check()?;
        let split = config.load_data(options)?;
        Self::with_data(config, split)
    }

    /// As [`load`](Self::load), on data that is already there.
    ///
    /// # Errors
    /// Where the configuration cannot be.
    pub fn with_data(config: RunConfig, split: impl Into<Split<Examples>>) -> Result<Self, RunError> {
        Self::over(config, split, None)
    }

    /// As [`with_data`](Self::with_data), where there are ranks with this process's share of the workers.
    ///
    /// # Errors
    /// As there, and where processes do not go together or hear each other.
    pub fn over(config: RunConfig, split: impl Into<Split<Examples>>, ranks: Option<Ranks>) -> Result<Self, RunError> {
        let workers = Workers::over(config, split.into(), ranks)?;
        let (config, examples) = (workers.config(), workers.split().train.len());
        let (step_sizes, steps, on_non_finite) =
            (config.step_sizes(examples), config.steps_for(examples), config.on_non_finite);
        Ok(Self::new(workers, step_sizes, steps).on_non_finite(on_non_finite))
    }

    /// What the run has come to.
    pub fn summary(&self, evaluation: Evaluation) -> Summary {
        let (so_far, workers) = (self.so_far(), self.trains());
        let dense = workers.dense_bytes() * (so_far.steps - so_far.skipped) as f64;
        Summary {
            steps: so_far.steps,
            skipped: so_far.skipped,
            train_loss: so_far.loss,
            test_loss: evaluation.loss,
            test_accuracy: evaluation.accuracy,
            perplexity: workers.split().test.are_text().then(|| evaluation.perplexity()),
            megabytes: so_far.bytes.megabytes(),
            compression_ratio: if so_far.bytes.up > 0.0 { dense / so_far.bytes.up } else { f64::NAN },
            seconds: so_far.seconds,
            seconds_on_link: workers.on_link(),
            round_share: workers.round_share(),
            megabytes_between: None,
            parameters: workers.group().layout().len() as u64,
            device: workers.device_kind(),
        }
    }
}
