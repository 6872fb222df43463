//! How examples are dealt to workers, and drawn.

mod draws;
pub mod partition;
pub mod sampler;

pub(crate) use draws::Purpose;
