//! The published data sets by name: what they are, where they are on this machine, how their files are known.

mod embedded;
mod entry;
mod files;
mod read;
mod table;

pub use entry::{Content, DataFile, Entry, Format, Packed, Part, Source};
pub use files::Location;
pub(crate) use files::{check, is_good, unpack};
pub use table::CATALOG;

/// The set of this name, where there is one.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOG.iter().find(|entry| entry.name == name)
}
