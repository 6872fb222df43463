//! A training run: its configuration, its session, its folder.

mod checkpoint_every;
mod config;
mod error;
mod folder;
mod interrupt;
mod length;
mod machine;
mod memory;
mod metrics;
mod parts;
mod ranks;
mod report;
mod running;
mod serving;
mod summary;
mod table;
mod trainer;
mod watching;
mod workers;

pub use checkpoint_every::{CheckpointEvery, CheckpointEveryError};
pub use config::{ConfigError, RunConfig};
pub use error::RunError;
pub use folder::RunFolder;
pub use interrupt::{Hold, Interrupt, Signal};
pub use length::{Length, LengthError};
pub use memory::{Estimate, MemoryError, MemoryLimit, MemoryLimitError, available};
pub use metrics::Metrics;
pub use parts::{Manifest, Part};
pub use ranks::Ranks;
pub use report::{Progress, Reporter};
pub use running::{Outcome, Run};
pub use summary::Summary;
pub use table::{Table, megabytes};
pub use trainer::Trainer;
pub use workers::Workers;
