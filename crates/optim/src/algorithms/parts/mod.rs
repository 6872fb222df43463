//! What methods share.

mod adam;
pub mod graph;
pub(super) mod joint;
mod local_gradient;
mod residual;
mod units;

pub use adam::Adam;
pub(super) use adam::Moments;
pub(super) use local_gradient::with_local_gradient;
pub use local_gradient::{LocalGradient, Momentum};
pub use residual::Residual;
pub(super) use units::{Outside, Units, silence};
