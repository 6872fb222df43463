//! What can stop a run.

use std::path::PathBuf;

use backburn_optim::{DeviceError, RoundError, SetupError, SnapshotError};

use super::config::ConfigError;
use super::memory::MemoryError;
use crate::data::{DataError, PartitionError, SamplerError};
use crate::lock::LockError;
use crate::models::ModelError;
use crate::models::batch_norm::StatisticsError;

/// Why a run did not start or did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A configuration that cannot be.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
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
    /// A new run would take the place of another's files.
    #[error("`{}` is there already, of another run: resume that, overwrite it, or choose another folder", .path.display())]
    Occupied {
        /// The first file in the way.
        path: PathBuf,
    },
    /// A file that no run has written stands where a run's would.
    #[error("`{}` is no run's configuration, and is not overwritten: choose another folder, or move it away", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else writes the folder, or it cannot be written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A run that would be over before the step that it has reached.
    #[error("the run is at step {reached} already, and would have {steps}: give it more, or leave its length")]
    Behind {
        /// Where it is.
        reached: u64,
        /// How long it would be.
        steps: u64,
    },
    /// More memory than there is.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// What the run came to is no number.
    #[error("the run has come to what is not finite: {0}")]
    NotFinite(String),
}
