//! A user's own runs, compared: the folders that `backburn train` writes, as one page; and grids of them, carried out.

mod grid;
mod names;
mod numbers;
mod page;
mod perform;
mod record;

use std::path::{Path, PathBuf};

use backburn_optim::write_atomically;

pub use self::grid::{Grid, GridError};
pub use self::perform::{Compared, GridRequest, compare_grid};
use self::record::Record;
use crate::error::ReproduceError;
use crate::experiment::Table;
use crate::report::is_titled;

/// Writes one page, which needs nothing else, over any number of runs: loss and accuracy against steps, bytes up,
/// bytes down, seconds and seconds on a link; what is owed; and a table of what they came to.
///
/// A folder that holds no run, but whose folders do, stands for those. Runs that differ in their seed alone are one
/// curve with a band.
///
/// # Errors
/// Where a folder holds no run, or one that has not taken a step; where `page` is a file of somebody else's, or cannot
/// be written.
pub fn compare_runs(folders: &[PathBuf], page: &Path) -> Result<(), ReproduceError> {
    check_page(page)?;
    write_page(folders, &[], page)
}

/// With these tables besides.
fn write_page(folders: &[PathBuf], tables: &[Table], page: &Path) -> Result<(), ReproduceError> {
    let mut records = Vec::new();
    for folder in folders {
        records.extend(Record::all(folder)?);
    }
    let html = page::page(&records, tables)?;
    Ok(write_atomically(page, html.as_bytes())?)
}

/// Refuses to take the place of a file of somebody else's.
fn check_page(path: &Path) -> Result<(), ReproduceError> {
    match std::fs::read(path) {
        Ok(page) if !is_titled(&page, page::TITLE) => Err(ReproduceError::Foreign(path.into())),
        _ => Ok(()),
    }
}
