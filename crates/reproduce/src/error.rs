//! What can stop an experiment.

use std::path::PathBuf;

use backburn_compress::TextError;
use backburn_compress::{LayoutError, ParameterError};
use backburn_optim::{DeviceError, ModelError as PlacesError, RoundError, SetupError, SnapshotError};

use backburn_train::data::{DataError, ImagesError, PartitionError, SamplerError};
use backburn_train::lock::LockError;
use backburn_train::models::ModelError;
use backburn_train::run::RunError;

use crate::record::{CurveName, GroupName};

/// Why an experiment did not run or did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReproduceError {
    /// No experiment has this name.
    #[error("no experiment is called `{name}`; there are all, {known}")]
    Unknown {
        /// The name given.
        name: String,
        /// The known ones.
        known: String,
    },
    /// A scale that is none.
    #[error("`{0}` is no scale; there are small, medium and paper")]
    Scale(String),
    /// An experiment without a medium form.
    #[error("{name} has no form of medium scale; {known} has one")]
    NoMedium {
        /// The experiment.
        name: &'static str,
        /// Those that have one.
        known: String,
    },
    /// A results file that cannot be read back.
    #[error("line {line} of the results: {why}")]
    Csv {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// One curve failed.
    #[error("{experiment}, {group} / {curve}, seed {seed}: {source}")]
    Curve {
        /// The experiment.
        experiment: &'static str,
        /// The curve's group.
        group: GroupName,
        /// Its name.
        curve: CurveName,
        /// Its seed.
        seed: u64,
        /// Why.
        source: Box<ReproduceError>,
    },
    /// A curve's code panicked.
    #[error("it panicked: {0}")]
    Panic(String),
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
    /// A picture could not be drawn.
    #[error("the figure could not be drawn: {0}")]
    Figure(String),
    /// A file of the output directory, or a checkpoint.
    #[error(transparent)]
    File(#[from] SnapshotError),
    /// A method or compressor that does not parse.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A method and a compressor that do not go together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A parameter out of its range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A model without a layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A round of communication.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// Data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Images that contradict themselves.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// A partition.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// A worker's batches.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A model that is not the one that its places were found in.
    #[error(transparent)]
    Places(#[from] PlacesError),
    /// A training under a `Learner`.
    #[error("{0}")]
    Training(String),
    /// A training run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Curves of an earlier run would be lost.
    #[error("`{}` holds what an earlier run has measured: resume that, overwrite it, or choose another directory", .0.display())]
    Occupied(PathBuf),
    /// The report would take the place of a page of somebody else's.
    #[error("`{}` is no report of ours, and is not overwritten: choose another place", .0.display())]
    Foreign(PathBuf),
    /// A folder without a run that could be shown.
    #[error("`{}` holds no run: {why}", .folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
        /// What is not there.
        why: String,
    },
    /// A folder of a grid holds the run of another configuration.
    #[error("`{}` holds a run of another configuration ({changed}): choose another --out, or remove it", .folder.display())]
    OtherRun {
        /// The folder.
        folder: PathBuf,
        /// What is different.
        changed: String,
    },
    /// Another process writes the directory, or it cannot be written.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl ReproduceError {
    /// Whether all that is missing is the data: nothing has failed then.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Data(error) | Self::Run(RunError::Data(error)) => {
                matches!(error, DataError::Unavailable { .. } | DataError::NoCache)
            }
            Self::Curve { source, .. } => source.is_unavailable(),
            _ => false,
        }
    }

    /// For a file operation that failed.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| SnapshotError::Io { action, path, source }.into()
    }
}
