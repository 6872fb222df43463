//! Data, models, loops and checkpoints for Backburn.

pub mod data;
pub mod lock;
pub mod models;
pub mod run;
pub mod session;
