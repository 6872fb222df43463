//! States that outlive a process.

mod file;
mod membership;
mod persist;
mod snapshot;

pub(crate) use persist::LOCAL;

pub use file::{remove_unfinished, write_atomically};
pub use membership::ResizeError;
pub use snapshot::{Snapshot, SnapshotError};
