//! The inner loops of compressors, over slices: one pass over the cache, and the oracle of every other home.
//!
//! They know vectors and nothing else: no payload, no compressor.

pub(crate) mod finite;
pub mod low_rank;
pub(crate) mod masks;
pub(crate) mod newton_schulz;
pub(crate) mod places;
pub(crate) mod quantise;
pub(crate) mod select;
pub(crate) mod signs;
pub(crate) mod sketch;
pub(crate) mod sums;
pub(crate) mod sweep;
pub(crate) mod tasks;
pub(crate) mod tiles;
