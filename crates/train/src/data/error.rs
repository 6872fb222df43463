//! What can go wrong between a data set's name and its tensors.

use std::io;
use std::path::{Path, PathBuf};

use backburn_compress::TextError;

use super::formats::cifar::CifarError;
use super::formats::folder::FolderError;
use super::formats::idx::IdxError;
use super::formats::libsvm::LibsvmError;
use super::formats::png_cifar::PngError;
use super::images::ImagesError;
use super::rows::RowsError;

/// Why a data set could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No set has this name, or its form has other arguments.
    #[error(transparent)]
    Form(#[from] TextError),
    /// The directory that is given for data is none.
    #[error("there is no directory {}: it was given as the data's", .0.display())]
    NoDirectory(PathBuf),
    /// A user's own files are not there.
    #[error("there is no {0}")]
    NotThere(String),
    /// A set of something else where images are needed.
    #[error("`{0}` is not a set of images")]
    NotImages(String),
    /// A set of something else where rows are needed.
    #[error("`{0}` is not a set of rows")]
    NotRows(String),
    /// A file or directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not the published one.
    #[error("{} is damaged or another version: its digest is {found}, expected {expected}; remove it and run `backburn data fetch`", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest expected, with its kind.
        expected: String,
        /// The digest found.
        found: String,
    },
    /// A file is longer or shorter than the published one.
    #[error("{} is damaged or another version: it holds {found} bytes, expected {expected}; remove it and run `backburn data fetch`", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes expected, uncompressed.
        expected: u64,
        /// Bytes found; where there were more than expected, one more than expected.
        found: u64,
    },
    /// The set is nowhere, and could not be fetched.
    #[error("data set `{name}` is not on this machine{}\n{advice}", reasons.iter().map(|r| format!("\n  {r}")).collect::<String>())]
    Unavailable {
        /// The set.
        name: &'static str,
        /// Where it was looked for and what each source said.
        reasons: Vec<String>,
        /// What to do.
        advice: String,
    },
    /// Neither `XDG_CACHE_HOME` nor a home directory says where to keep fetched data.
    #[error("there is no home directory to keep fetched data in: set XDG_CACHE_HOME, or give the data's directory")]
    NoCache,
    /// Not an IDX file.
    #[error("{file}: {source}")]
    Idx {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: IdxError,
    },
    /// Not a CIFAR batch.
    #[error("{file}: {source}")]
    Cifar {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: CifarError,
    },
    /// Not a CIFAR batch drawn as a PNG.
    #[error("{file}: {source}")]
    Png {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: PngError,
    },
    /// Not LIBSVM text.
    #[error("{}: {source}", path.display())]
    Libsvm {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: LibsvmError,
    },
    /// LIBSVM text of another size than the published set's.
    #[error("{} has {} rows of {} features; the published set has {} of {}", path.display(), found[0], found[1], expected[0], expected[1])]
    LibsvmShape {
        /// The file.
        path: PathBuf,
        /// Rows and features found.
        found: [usize; 2],
        /// Rows and features expected.
        expected: [usize; 2],
    },
    /// The files contradict each other.
    #[error("data set `{name}`: {source}")]
    Images {
        /// The set.
        name: String,
        /// The contradiction.
        source: ImagesError,
    },
    /// Training and test images are of two shapes.
    #[error("data set `{name}`: training images are {train:?} (channels, height, width), test images {test:?}")]
    Shapes {
        /// The set.
        name: String,
        /// Of the training images.
        train: [usize; 3],
        /// Of the test images.
        test: [usize; 3],
    },
    /// Rows that are no examples to classify.
    #[error("data set `{name}`: {source}")]
    Rows {
        /// The set.
        name: String,
        /// What is wrong with them.
        source: RowsError,
    },
    /// Not a folder of pictures.
    #[error("data set `{name}`: {source}")]
    Folder {
        /// The set.
        name: String,
        /// What is wrong with it.
        source: FolderError,
    },
}

impl DataError {
    /// For `map_err`: an i/o error at `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
