//! Where a set's files are on this machine, and whether they are the published ones.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::embedded::embedded;
use super::entry::{DataFile, Entry, Part};
use crate::data::error::DataError;
use crate::data::formats::gzip;
use crate::data::options::Options;

/// Where a set's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Within the program.
    Embedded,
    /// In this directory, or this file.
    Path(PathBuf),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl Entry {
    /// Where the set is, without fetching it: the first place that has all its files.
    pub fn locate(&self, options: &Options) -> Option<Location> {
        self.first_with(options, |_| true)
    }

    /// As [`locate`](Self::locate), for the files of one part.
    pub fn locate_part(&self, part: Part, options: &Options) -> Option<Location> {
        self.first_with(options, |file| file.part == part)
    }

    fn first_with(&self, options: &Options, needed: impl Fn(&DataFile) -> bool) -> Option<Location> {
        if self.is_embedded() {
            return Some(Location::Embedded);
        }
        let has = |place: &PathBuf| {
            self.files.iter().filter(|file| needed(file)).all(|file| on_disk(place, file.name).is_some())
        };
        self.places(options).into_iter().find(has).map(Location::Path)
    }

    /// The directories in which the set may be.
    pub(crate) fn places(&self, options: &Options) -> Vec<PathBuf> {
        let under = |root: PathBuf| {
            let named = std::iter::once(&self.name).chain(self.directories);
            named.map(|directory| root.join(directory)).collect::<Vec<_>>()
        };
        let mut places = Vec::new();
        if let Some(given) = &options.data_dir {
            places.extend(under(given.clone()));
            // Last, because the files of MNIST and Fashion-MNIST have the same names.
            places.push(given.clone());
        }
        places.extend(options.cache().into_iter().flat_map(under));
        places
    }

    /// Checks every file at `location`.
    ///
    /// # Errors
    /// At the first that is not the published one.
    pub fn verify(&self, location: &Location) -> Result<(), DataError> {
        if self.files.iter().all(|file| file.digest.is_some()) {
            return self.files.iter().try_for_each(|file| contents(file, location).map(drop));
        }
        // Without a digest only what is in it can be counted.
        self.read(location).map(drop)
    }
}

/// The file or its compressed form, whichever is there.
fn on_disk(directory: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].into_iter().map(|name| directory.join(name)).find(|path| path.is_file())
}

/// Where a file is, for messages too; embedded ones go by their names.
pub(super) fn path(file: &DataFile, location: &Location) -> PathBuf {
    match location {
        Location::Embedded => PathBuf::from(file.name),
        Location::Path(directory) => on_disk(directory, file.name).unwrap_or_else(|| directory.join(file.name)),
    }
}

/// A file's contents, uncompressed and checked.
pub(super) fn contents(file: &DataFile, location: &Location) -> Result<Vec<u8>, DataError> {
    let path = path(file, location);
    let bytes = match location {
        Location::Embedded => embedded(file.name).to_vec(),
        Location::Path(_) => read_at_most(&path, file.read_limit()).map_err(DataError::io(&path))?,
    };
    let bytes = unpack(bytes, file.bytes).map_err(DataError::io(&path))?;
    check(file, &bytes, &path)?;
    Ok(bytes)
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    BufReader::new(File::open(path)?).take(limit).read_to_end(&mut read)?;
    Ok(read)
}

impl DataFile {
    /// No more of a wrong file than shows that it is wrong; gzip adds little to what it cannot shrink.
    pub(crate) fn read_limit(&self) -> u64 {
        self.bytes.map_or(u64::MAX - 1, |bytes| bytes + bytes / 64 + 1024)
    }
}

/// Decompresses gzip, up to one byte over the `expected` number.
pub(crate) fn unpack(bytes: Vec<u8>, expected: Option<u64>) -> io::Result<Vec<u8>> {
    if !gzip::is_gzip(&bytes) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let limit = expected.map_or(u64::MAX, |expected| expected + 1);
    gzip::Gunzip::new(&bytes[..]).take(limit).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Whether these are the published contents of `file`; `path` is for the message.
pub(crate) fn check(file: &DataFile, bytes: &[u8], path: &Path) -> Result<(), DataError> {
    let path = || path.to_owned();
    if let Some(expected) = file.bytes.filter(|expected| bytes.len() as u64 != *expected) {
        return Err(DataError::Size { path: path(), expected, found: bytes.len() as u64 });
    }
    file.digest.map_or(Ok(()), |digest| {
        digest.check(bytes).map_err(|found| DataError::Digest { path: path(), expected: digest.to_string(), found })
    })
}

/// Whether a cached file is there and whole.
pub(crate) fn is_good(file: &DataFile, directory: &Path) -> bool {
    let path = directory.join(file.name);
    fs::read(&path).is_ok_and(|bytes| check(file, &bytes, &path).is_ok())
}
