//! Why a training under a `Learner` stops.

use ::burn::data::dataset::DatasetError;
use ::burn::train::TrainingError;

use crate::burn::batch_norm::StatisticsError;
use crate::checkpoint::SnapshotError;
use crate::host::{RoundError, SetupError, TransportError};

/// Why such a training stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// Method, compressor, workers or model.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A round.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// A checkpoint of the workers' states.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Workers that step by themselves, in many processes.
    #[error("local steps under a Learner run in one process so far: `LocalSteps` runs in many")]
    LocalInRanks,
    /// What the other ranks of a training say, or that they do not.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Batch statistics.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A method whose gradients this loop cannot give.
    #[error(
        "`{0}` asks for several minibatches a step, for gradients elsewhere, or gives each node its own weights, which a Learner's loop cannot serve: use `Group::round_with`"
    )]
    Unserved(String),
    /// Accumulated gradients.
    #[error(
        "gradients cannot be accumulated over {0} batches by a group of workers: take larger batches, or more workers"
    )]
    Accumulation(usize),
    /// Fewer items than workers.
    #[error("not enough data: {workers} workers cannot each have a batch of {items} items")]
    NotEnough {
        /// n.
        workers: usize,
        /// Items in the training split.
        items: usize,
    },
}

impl From<StrategyError> for TrainingError {
    fn from(error: StrategyError) -> Self {
        // The only kind of burn-train's that takes any error.
        Self::Dataset(DatasetError::new(error))
    }
}
