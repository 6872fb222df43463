//! Benchmarks of Backburn's compressors: the rows of `backburn bench compress`, and the shapes of the models they are
//! measured on.

pub mod compress;
pub mod cost;
mod entropy;
pub mod shapes;
mod table;

pub use shapes::Model;
