//! Burn modules as flat vectors.

mod flat;

pub use flat::Places;
