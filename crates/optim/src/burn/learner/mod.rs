//! Workers under burn-train's `Learner`: its metrics, renderers, schedulers and checkpoints stay what they are.

mod epoch_lines;
mod metric;
mod progress;
mod ranks;
mod strategy;

pub use epoch_lines::{EpochLines, SplitMeans};
pub use metric::{BytesMetric, ContractionMetric, Meter, Metered, Reading};
pub use progress::{Follower, GroupProgress};
pub use ranks::{Carried, RankStrategy};
pub use strategy::{GroupStrategy, StrategyError};
