//! What methods share.

pub mod graph;
pub(super) mod joint;
mod local_gradient;
mod residual;
mod units;

pub(super) use local_gradient::with_local_gradient;
pub use local_gradient::{LocalGradient, Momentum};
pub use residual::Residual;
pub(super) use units::{Outside, Units, silence};
