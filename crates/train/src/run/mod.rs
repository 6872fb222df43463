//! A training run: its configuration, its session, its folder.

mod config;
mod error;
mod folder;
mod interrupt;
mod metrics;
mod report;
mod serving;
mod summary;
mod table;
mod trainer;
mod watching;
mod workers;

pub use config::{ConfigError, RunConfig};
pub use error::RunError;
pub use folder::RunFolder;
pub use interrupt::on_interrupt;
pub use metrics::Metrics;
pub use report::{Progress, Reporter};
pub use summary::Summary;
pub use table::{Table, megabytes};
pub use trainer::Trainer;
pub use watching::run;
pub use workers::Workers;
