//! What is recorded of a curve, and what is asked of it: rows, summaries, claims.

mod claim;
mod curve;
pub mod judge;
#[cfg(test)]
pub(crate) mod made;
pub mod metric;
mod name;
mod recorder;
mod results;
mod seeds;
mod statistics;
mod sums;

pub use claim::{Claim, Judging};
pub use curve::Curve;
pub use judge::Verdict;
pub use name::{CurveName, GroupName, Metric};
pub(crate) use recorder::Done;
pub use recorder::{Recorder, Ticker, is_due};
pub use results::{Results, Row};
pub use seeds::{Seeds, Summary};
pub use statistics::{mean, quantile};
pub(crate) use sums::Sums;
