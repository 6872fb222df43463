//! What methods share.

mod adam;
pub mod graph;
pub(super) mod joint;
mod local_gradient;
mod units;

pub use adam::Adam;
pub(super) use adam::Moments;
pub(super) use local_gradient::with_local_gradient;
pub use local_gradient::{LocalGradient, Momentum};
pub(super) use units::{Outside, Units, silence};
