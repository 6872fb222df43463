//! What can stop a run.

use std::path::PathBuf;

use backburn_optim::{DeviceError, RoundError, SetupError, SnapshotError, TransportError};

use super::config::ConfigError;
use super::memory::{EstimateError, MemoryError};
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
    /// Processes of one run that were started otherwise.
    #[error("rank {rank} has another {what} than rank 0: {there}, and there {here}")]
    Differs {
        /// The process.
        rank: usize,
        /// In what.
        what: String,
        /// What it is there.
        there: String,
        /// What it is at the first.
        here: String,
    },
    /// Another process of the run cannot go on.
    #[error("rank {rank}: {why}")]
    Elsewhere {
        /// The process.
        rank: usize,
        /// Its reason.
        why: String,
    },
    /// Numbers have outgrown f32 in another process of the run.
    #[error("rank {rank}: {why}")]
    DivergedElsewhere {
        /// The process.
        rank: usize,
        /// What it says.
        why: String,
    },
    /// Workers that cannot be divided among the processes.
    #[error("{workers} workers cannot be divided evenly among {ranks} ranks: ask for {ranks} workers or a multiple")]
    Seats {
        /// n.
        workers: usize,
        /// Processes.
        ranks: usize,
    },
    /// Machines that have neither whole processes nor are whole parts of one.
    #[error("machines of {machine} workers are not made of ranks that have {seats} each")]
    Machines {
        /// Workers a machine.
        machine: usize,
        /// Workers a process.
        seats: usize,
    },
    /// A file that another process has written and this one does not see.
    #[error("`{}` was written by its rank, and rank 0 does not see it: all ranks must write into one folder", .path.display())]
    NotShared {
        /// The file.
        path: PathBuf,
    },
    /// The processes of a run do not hear each other.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// More memory than there is.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// What the run came to is no number.
    #[error("the run has come to what is not finite: {0}")]
    NotFinite(String),
}

impl From<EstimateError> for RunError {
    fn from(error: EstimateError) -> Self {
        match error {
            EstimateError::Model(error) => Self::Model(error),
            EstimateError::Setup(error) => Self::Setup(error),
        }
    }
}

impl RunError {
    /// Whether a step met numbers that have outgrown f32: the step size is wrong.
    pub fn is_divergence(&self) -> bool {
        match self {
            Self::Round(error) => error.is_divergence(),
            Self::DivergedElsewhere { .. } => true,
            _ => false,
        }
    }
}
