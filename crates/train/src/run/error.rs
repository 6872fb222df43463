//! What can stop a run.

use backburn_optim::{DeviceError, RoundError, SetupError, SnapshotError};

use crate::data::{DataError, PartitionError, SamplerError};
use crate::models::ModelError;
use crate::models::batch_norm::StatisticsError;

/// Why a run did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A value of the configuration that cannot be.
    #[error("configuration: {0}")]
    Config(String),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The partition.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// A worker's batches.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Batch statistics.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Method, compressor and workers.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A round.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// A checkpoint or result file.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A result file that is not what it should be.
    #[error("`{file}`: {why}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}
