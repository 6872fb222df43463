//! The laws that every method obeys, over the tables of methods and compressors, random shapes,
//! seeds, workers and schedules, with absent workers and messages lost at every place.

mod absence;
mod checkpoints;
mod conservation;
mod draws;
mod failures;
mod mails;
mod parents;
mod ranks;
mod second_forms;
mod step_sizes;
mod textbook;
mod theorems;
mod trackers;
mod world;
