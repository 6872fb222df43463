//! The loops that experiments run their curves by.

pub(crate) mod advance;
pub(crate) mod learner;
pub(crate) mod logistic;
pub(crate) mod owed;
pub(crate) mod single;
pub(crate) mod train;
pub(crate) mod vector;
