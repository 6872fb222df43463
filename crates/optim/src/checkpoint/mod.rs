//! States that outlive a process.

mod file;
mod persist;
mod snapshot;

pub(crate) use persist::LOCAL;

pub use file::{remove_unfinished, write_atomically};
pub use snapshot::{Snapshot, SnapshotError};
