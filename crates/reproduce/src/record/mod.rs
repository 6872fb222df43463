//! What is recorded of a curve, and what is asked of it: rows, summaries, claims.

mod claim;
mod curve;
pub mod metric;
mod recorder;
mod results;
mod sums;

pub use claim::Claim;
pub use curve::Curve;
pub use metric::Metric;
pub(crate) use recorder::Done;
pub use recorder::{Recorder, Ticker, is_due};
pub use results::{Results, Row, mean, quantile};
pub(crate) use sums::Sums;
