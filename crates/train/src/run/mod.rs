//! A training run: its configuration, its loop, its folder.

mod config;
mod error;
mod folder;
mod host;
mod report;
mod schedule;
mod trainer;

pub use config::{OnNonFinite, RunConfig};
pub use error::RunError;
pub use folder::{Metrics, RunFolder, Summary};
pub use report::{Progress, Reporter, Table, megabytes};
pub use schedule::Schedule;
pub use trainer::{StepReport, Trainer, run};
