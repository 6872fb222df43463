//! Benchmarks: the rows of `backburn bench compress` on the shapes of well-known models, of `backburn bench step` on
//! whole models under Burn's optimizers, and of `backburn bench round` as workers and coordinates grow.

pub mod compress;
pub mod cost;
mod entropy;
pub mod round;
pub mod shapes;
pub mod step;
mod table;

pub use shapes::Model;
