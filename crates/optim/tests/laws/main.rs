//! The laws that every method obeys, over the tables of methods and compressors, random shapes,
//! seeds, workers and schedules, with absent workers and messages lost at every place.

mod checkpoints;
mod conservation;
mod parents;
mod ranks;
mod theorems;
mod trackers;
mod world;
