//! States that outlive a process.

mod file;
mod persist;
mod snapshot;

pub use file::{remove_unfinished, write_atomically};
pub use snapshot::{Snapshot, SnapshotError};
