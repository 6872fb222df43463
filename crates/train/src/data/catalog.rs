//! The data sets by name: what they are, where they come from, how their files are known.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::cifar::{self, Labels};
use super::digest::Digest;
use super::error::DataError;
use super::fashion;
use super::fetch::{self, Source};
use super::idx::Idx;
use super::images::Images;
use super::normalisation::Normalisation;
use super::options::Options;
pub use super::sets::CATALOG;

/// A set's training and test images.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What is trained on.
    pub train: Images,
    /// What is measured on.
    pub test: Images,
}

/// Which half of the set a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Training images or labels.
    Train,
    /// Test images or labels.
    Test,
}

/// One file of a set.
#[derive(Clone, Copy, Debug)]
pub struct DataFile {
    /// Its name; on disk `.gz` may follow.
    pub name: &'static str,
    /// The half it belongs to.
    pub part: Part,
    /// Its length in bytes, uncompressed.
    pub bytes: u64,
    /// The digest of its contents, uncompressed.
    pub digest: Digest,
}

/// How a set's files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Of each part the images, then the labels.
    Idx,
    /// Of each part one file or more.
    Cifar(Labels),
}

/// What is known of a data set.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name it is asked for by.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Where it is published.
    pub homepage: &'static str,
    /// Under which terms.
    pub licence: &'static str,
    /// Number of training and test images.
    pub images: [usize; 2],
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Its files; of each part in the order in which they are read.
    pub files: &'static [DataFile],
    /// How they are read.
    pub format: Format,
    /// Other names of a directory that holds them.
    pub directories: &'static [&'static str],
    /// Where they can be fetched, in the order tried. None: compiled into the program.
    pub sources: &'static [Source],
    /// What its training images are normalised with.
    pub normalisation: Normalisation,
}

/// Where a set's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Within the program.
    Embedded,
    /// In this directory.
    Directory(PathBuf),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Directory(path) => path.display().fmt(f),
        }
    }
}

/// The set of this name.
///
/// # Errors
/// An unknown name gets the known ones.
pub fn find(name: &str) -> Result<&'static Entry, DataError> {
    CATALOG.iter().find(|entry| entry.name == name).ok_or_else(|| DataError::Unknown {
        name: name.into(),
        known: CATALOG.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", "),
    })
}

/// Reads a set, fetching it first where it must be and may be.
///
/// # Errors
/// Where it is unknown, nowhere to be had, or damaged.
pub fn load(name: &str, options: &Options) -> Result<Split, DataError> {
    let entry = find(name)?;
    entry.read(&entry.obtain(options)?)
}

/// Fetches a set into the cache unless it is at hand, and says where it is. Damaged files in the
/// cache are fetched anew.
///
/// # Errors
/// Where it is unknown or could not be fetched.
pub fn fetch(name: &str, options: &Options) -> Result<Location, DataError> {
    let entry = find(name)?;
    match entry.locate(options) {
        Some(location) if entry.verify(&location).is_ok() => Ok(location),
        _ if entry.sources.is_empty() => Ok(Location::Embedded),
        _ => fetch::fetch(entry, options).map(Location::Directory),
    }
}

/// Checks every file of a set that is at hand, and says where it is; `None` where it is not.
///
/// # Errors
/// Where it is unknown, or at the first file that is not the published one.
pub fn verify(name: &str, options: &Options) -> Result<Option<Location>, DataError> {
    let entry = find(name)?;
    let Some(location) = entry.locate(options) else {
        return Ok(None);
    };
    entry.verify(&location).map(|()| Some(location))
}

impl Entry {
    /// Bytes of all files, uncompressed.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Where the set is, without fetching it: the first place that has all its files.
    pub fn locate(&self, options: &Options) -> Option<Location> {
        if self.sources.is_empty() {
            return Some(Location::Embedded);
        }
        let complete = |place: &PathBuf| self.files.iter().all(|file| on_disk(place, file.name).is_some());
        self.places(options).into_iter().find(complete).map(Location::Directory)
    }

    /// The directories in which the set may be.
    pub(crate) fn places(&self, options: &Options) -> Vec<PathBuf> {
        let mut places = Vec::new();
        if let Some(given) = &options.data_dir {
            places.push(given.join(self.name));
            places.extend(self.directories.iter().map(|directory| given.join(directory)));
            // Last, because the files of MNIST and Fashion-MNIST have the same names.
            places.push(given.clone());
        }
        places.extend(options.cache().map(|cache| cache.join(self.name)));
        places
    }

    fn obtain(&'static self, options: &Options) -> Result<Location, DataError> {
        match self.locate(options) {
            Some(location) => Ok(location),
            None => fetch::fetch(self, options).map(Location::Directory),
        }
    }

    fn verify(&self, location: &Location) -> Result<(), DataError> {
        self.files.iter().try_for_each(|file| contents(file, location).map(drop))
    }

    /// Reads the files at `location`, checking each.
    fn read(&self, location: &Location) -> Result<Split, DataError> {
        let part = |part| self.read_part(part, location);
        Ok(Split { train: part(Part::Train)?, test: part(Part::Test)? })
    }

    fn read_part(&self, part: Part, location: &Location) -> Result<Images, DataError> {
        let mut files = self.files.iter().filter(|file| file.part == part);
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        let mut shape = self.shape;
        match self.format {
            Format::Idx => {
                if let (Some(images), Some(classes)) = (files.next(), files.next()) {
                    let images: Idx<3> = idx(images, &contents(images, location)?)?;
                    shape = [1, images.dims[1], images.dims[2]];
                    pixels = images.data;
                    labels = idx::<1>(classes, &contents(classes, location)?)?.data;
                }
            }
            Format::Cifar(kind) => {
                for file in files {
                    cifar::decode(&contents(file, location)?, kind, &mut pixels, &mut labels)
                        .map_err(|source| DataError::Cifar { file: file.name.into(), source })?;
                }
            }
        }
        Images::new(pixels, labels, shape, self.classes, self.normalisation.clone())
            .map_err(|source| DataError::Images { name: self.name, source })
    }
}

fn idx<const D: usize>(file: &DataFile, bytes: &[u8]) -> Result<Idx<D>, DataError> {
    Idx::decode(bytes).map_err(|source| DataError::Idx { file: file.name.into(), source })
}

/// The file or its compressed form, whichever is there.
fn on_disk(directory: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].into_iter().map(|name| directory.join(name)).find(|path| path.is_file())
}

/// A file's contents, uncompressed and checked.
fn contents(file: &DataFile, location: &Location) -> Result<Vec<u8>, DataError> {
    let (path, bytes) = match location {
        Location::Embedded => (PathBuf::from(file.name), fashion::embedded(file.name).to_vec()),
        Location::Directory(directory) => {
            let path = on_disk(directory, file.name).unwrap_or_else(|| directory.join(file.name));
            let bytes = read_at_most(&path, file.bytes).map_err(DataError::io(&path))?;
            (path, bytes)
        }
    };
    let bytes = unpack(bytes, file.bytes).map_err(DataError::io(&path))?;
    check(file, &bytes, &path)?;
    Ok(bytes)
}

/// No more of a wrong file than shows that it is wrong; gzip adds little to what it cannot shrink.
fn read_at_most(path: &Path, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    fs::File::open(path)?.take(bytes + bytes / 64 + 1024).read_to_end(&mut read)?;
    Ok(read)
}

/// Decompresses gzip, up to one byte over the `expected` number.
pub(crate) fn unpack(bytes: Vec<u8>, expected: u64) -> std::io::Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(&bytes[..]).take(expected + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Whether these are the published contents of `file`; `path` is for the message.
pub(crate) fn check(file: &DataFile, bytes: &[u8], path: &Path) -> Result<(), DataError> {
    let path = || path.to_owned();
    if bytes.len() as u64 != file.bytes {
        return Err(DataError::Size { path: path(), expected: file.bytes, found: bytes.len() as u64 });
    }
    let digest = file.digest;
    digest.check(bytes).map_err(|found| DataError::Digest { path: path(), expected: digest.to_string(), found })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place with nothing in it and no way out.
    fn alone(directory: &Path) -> Options {
        let (data_dir, cache_dir) = (directory.join("data"), directory.join("cache"));
        Options { data_dir: Some(data_dir), cache_dir: Some(cache_dir), offline: true, progress: false }
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let message = load("imagenet", &Options::default()).unwrap_err().to_string();
        CATALOG.iter().for_each(|entry| assert!(message.contains(entry.name), "{message}"));
    }

    #[test]
    fn entries_are_whole() {
        for entry in CATALOG {
            let image: usize = entry.shape.iter().product();
            assert_eq!(entry.normalisation.channels(), entry.shape[0], "{}", entry.name);
            for (part, images) in [Part::Train, Part::Test].into_iter().zip(entry.images) {
                let bytes: u64 = entry.files.iter().filter(|f| f.part == part).map(|f| f.bytes).sum();
                let overhead = match entry.format {
                    Format::Idx => 16 + 8 + images,
                    Format::Cifar(Labels::Ten) => images,
                    Format::Cifar(Labels::Hundred) => 2 * images,
                };
                assert_eq!(bytes, (images * image + overhead) as u64, "{} {part:?}", entry.name);
            }
            for file in entry.files {
                let digits = if matches!(file.digest, Digest::Sha1(_)) { 40 } else { 64 };
                assert_eq!(file.digest.hex().len(), digits, "{}", file.name);
            }
        }
    }

    #[test]
    fn the_embedded_slice_is_sound() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(verify("fashion-embedded", &alone(directory.path())).unwrap(), Some(Location::Embedded));
        let split = load("fashion-embedded", &alone(directory.path())).unwrap();
        assert_eq!((split.train.counts(), split.test.counts()), (vec![200; 10], vec![50; 10]));
    }

    #[test]
    fn what_is_nowhere_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let options = alone(directory.path());
        assert_eq!(verify("cifar10", &options).unwrap(), None);
        let message = load("cifar10", &options).unwrap_err().to_string();
        for part in ["--data-dir", "data_batch_1.bin", "cifar-10-binary.tar.gz", "cache/cifar10"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!directory.path().join("cache").exists());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let options = alone(directory.path());
        let place = directory.path().join("data/mnist");
        fs::create_dir_all(&place).unwrap();
        let entry = find("mnist").unwrap();
        for file in entry.files {
            fs::write(place.join(file.name), vec![0; file.bytes as usize]).unwrap();
        }
        assert!(matches!(load("mnist", &options), Err(DataError::Digest { .. })));
        fs::write(place.join(entry.files[0].name), b"short").unwrap();
        let error = load("mnist", &options).unwrap_err();
        assert!(matches!(&error, DataError::Size { found: 5, .. }), "{error}");
        assert!(error.to_string().contains("train-images-idx3-ubyte"), "{error}");
    }
}
