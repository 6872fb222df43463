//! The inner loops of compressors, over slices.

pub(crate) mod masks;
pub(crate) mod select;
pub(crate) mod sums;
pub(crate) mod words;
