//! Random numbers that are pure functions of their names: the generator, words for every coordinate, subsets, and
//! the register of streams.

mod philox;
mod streams;
mod subset;
mod words;

pub use philox::Philox;
pub use streams::Stream;
pub use subset::subset;

pub(crate) use subset::extend_subset;
pub(crate) use words::{GROUP, words};
