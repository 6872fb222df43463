//! States that outlive a process.

mod file;
mod persist;
mod snapshot;

pub use file::write_atomically;
pub use snapshot::{Snapshot, SnapshotError};
