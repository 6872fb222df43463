//! Data, models, loops and checkpoints for Backburn.

pub mod data;
pub mod models;
pub mod problems;
pub mod reproduce;
pub mod run;
pub mod strategy;
