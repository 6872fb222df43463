//! Benchmarks: the rows of `backburn bench compress` on the shapes of well-known models, and of `backburn bench step`
//! on whole models under Burn's optimizers.

pub mod compress;
pub mod cost;
mod entropy;
pub mod shapes;
pub mod step;
mod table;

pub use shapes::Model;
