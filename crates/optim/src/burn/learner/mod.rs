//! Workers under burn-train's `Learner`: its metrics, renderers, schedulers and checkpoints stay what they are.

mod carrier;
mod epoch_lines;
mod error;
mod metric;
mod progress;
mod ranks;
mod strategy;
mod workers;

pub use carrier::Carried;
pub use epoch_lines::{EpochLines, SplitMeans};
pub use error::StrategyError;
pub use metric::{BytesMetric, ContractionMetric, Meter, Metered, Reading};
pub use progress::{Follower, GroupProgress};
pub use ranks::RankStrategy;
pub use strategy::GroupStrategy;
