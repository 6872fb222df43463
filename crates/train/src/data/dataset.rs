//! A data set by its textual form: a published one by name, or a user's own files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use backburn_compress::text::{Args, Form, TextError, serde_as_text};

use super::catalog::{self, CATALOG, Entry, Location};
use super::error::DataError;
use super::examples::Examples;
use super::fetch;
use super::formats::folder::{self, Pictures};
use super::formats::idx::Idx;
use super::formats::libsvm::Libsvm;
use super::images::Images;
use super::normalisation::Normalisation;
use super::options::Options;
use super::rows::LabelledRows;
use super::split::Split;
use super::text::Text;

/// What is trained on.
///
/// Its text is a name of the [catalogue](catalog::CATALOG), or one of [`OWN`]. A user's own files are found by their
/// path; where they have no part for tests, every tenth example is held out.
#[derive(Clone, Debug)]
pub enum DataSet {
    /// One of the catalogue.
    Published(&'static Entry),
    /// LIBSVM text, plain or gzip.
    Libsvm {
        /// The training rows.
        train: PathBuf,
        /// The test rows.
        test: Option<PathBuf>,
    },
    /// PNGs in a folder a class, below `train` and `test` where there are such.
    Images(PathBuf),
    /// Files in MNIST's form and under its names, plain or gzip.
    Idx(PathBuf),
    /// Any file, its bytes as tokens, plain or gzip.
    Text(PathBuf),
}

/// The forms of a user's own files.
pub static OWN: &[&Form<DataSet>] = &[
    &Form {
        about: "sparse rows in LIBSVM's text, plain or gzip",
        defaults: &[("test=FILE", "the rows that are measured on; without it every tenth row")],
        examples: &["libsvm:rows.txt", "libsvm:train.gz,test=test.gz"],
        parse: |args| {
            let train = path(args, "file")?;
            Ok(DataSet::Libsvm { train, test: args.named::<String>("test")?.map(PathBuf::from) })
        },
        ..form("libsvm", "libsvm:FILE[,test=FILE]")
    },
    &Form {
        about: "PNGs in a folder a class; DIR/train and DIR/test where there are such",
        examples: &["images:pictures"],
        parse: |args| path(args, "directory").map(DataSet::Images),
        ..form("images", "images:DIR")
    },
    &Form {
        about: "images in MNIST's form: DIR/train-images-idx3-ubyte[.gz] and its like",
        examples: &["idx:mnist"],
        parse: |args| path(args, "directory").map(DataSet::Idx),
        ..form("idx", "idx:DIR")
    },
    &Form {
        about: "any file, its bytes as tokens, plain or gzip; the last tenth is measured on",
        examples: &["text:book.txt"],
        parse: |args| path(args, "file").map(DataSet::Text),
        ..form("text", "text:FILE")
    },
];

/// A row without what only methods and compressors have.
const fn form(name: &'static str, usage: &'static str) -> Form<DataSet> {
    Form {
        name,
        usage,
        about: "",
        equation: "",
        source: "",
        link: "",
        defaults: &[],
        examples: &[],
        parse: |args| path(args, "path").map(DataSet::Idx),
    }
}

fn path(args: &mut Args, key: &'static str) -> Result<PathBuf, TextError> {
    args.required::<String>(key).map(PathBuf::from)
}

impl DataSet {
    /// Whether it names files of the user's own.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Published(_))
    }

    /// Where it is, without fetching it.
    ///
    /// # Errors
    /// Where the directory given for data is none.
    pub fn locate(&self, options: &Options) -> Result<Option<Location>, DataError> {
        options.check()?;
        let path = match self {
            Self::Published(entry) => return Ok(entry.locate(options)),
            Self::Libsvm { train: file, .. } | Self::Text(file) => file,
            Self::Images(directory) | Self::Idx(directory) => directory,
        };
        Ok(path.exists().then(|| Location::Path(path.clone())))
    }

    /// Reads it, fetching it first where it must be and may be.
    ///
    /// # Errors
    /// Where it is nowhere to be had, or damaged.
    pub fn load(&self, options: &Options) -> Result<Split<Examples>, DataError> {
        options.check()?;
        match self {
            Self::Published(entry) => match entry.locate(options) {
                Some(location) => entry.read(&location),
                None => entry.read(&Location::Path(fetch::fetch(entry, options)?)),
            },
            Self::Libsvm { train, test } => {
                let open = |path: &Path| {
                    Libsvm::open(path).map_err(|source| DataError::Libsvm { path: path.to_owned(), source })
                };
                let rows = open(train)?;
                let test = test.as_deref().map(open).transpose()?;
                let split = LabelledRows::split(rows, test);
                Ok(split.map_err(|source| DataError::Rows { name: self.to_string(), source })?.into())
            }
            Self::Images(directory) => self.pictures(directory).map(Split::from),
            Self::Idx(directory) => self.idx(directory).map(Split::from),
            Self::Text(file) => {
                let bytes = std::fs::read(file).and_then(|bytes| catalog::unpack(bytes, None));
                Ok(Text::split(bytes.map_err(DataError::io(file))?).into())
            }
        }
    }

    /// Fetches it into the cache unless it is at hand, and says where it is. Damaged files in the cache are fetched
    /// anew.
    ///
    /// # Errors
    /// Where it could not be fetched; a user's own files, where they are not there or not good.
    pub fn fetch(&self, options: &Options) -> Result<Location, DataError> {
        match (self, self.verify(options)) {
            (_, Ok(Some(location))) => Ok(location),
            (Self::Published(entry), _) => fetch::fetch(entry, options).map(Location::Path),
            (_, Err(error)) => Err(error),
            (own, Ok(None)) => Err(DataError::NotThere(own.to_string())),
        }
    }

    /// Checks every file where it is at hand, and says where it is; `None` where it is not. Of a user's own files
    /// there is no digest: they are read.
    ///
    /// # Errors
    /// At the first file that is not the published one, or cannot be read.
    pub fn verify(&self, options: &Options) -> Result<Option<Location>, DataError> {
        let Some(location) = self.locate(options)? else {
            return Ok(None);
        };
        match self {
            Self::Published(entry) => entry.verify(&location)?,
            own => drop(own.load(options)?),
        }
        Ok(Some(location))
    }

    fn pictures(&self, directory: &Path) -> Result<Split, DataError> {
        let wrong = |source| DataError::Folder { name: self.to_string(), source };
        let parts = ["train", "test"].map(|part| directory.join(part));
        let [train, test] = &parts;
        if !train.is_dir() {
            let all = self.images(folder::read(directory, None).map_err(wrong)?, None)?;
            return Ok(Split::held_out(all.len(), |indices| all.subset(indices)));
        }
        let pictures = folder::read(train, None).map_err(wrong)?;
        let classes = pictures.classes.clone();
        let train = self.images(pictures, None)?;
        if !test.is_dir() {
            return Ok(Split::held_out(train.len(), |indices| train.subset(indices)));
        }
        let test = self.images(folder::read(test, Some(&classes)).map_err(wrong)?, Some(&train))?;
        Ok(Split { train, test })
    }

    fn idx(&self, directory: &Path) -> Result<Split, DataError> {
        let part = |part: &str, like: Option<&Images>| {
            let images: Idx<3> = idx(directory, &format!("{part}-images-idx3-ubyte"))?;
            let labels: Idx<1> = idx(directory, &format!("{part}-labels-idx1-ubyte"))?;
            let classes = labels.data.iter().max().map_or(0, |most| usize::from(*most) + 1);
            let shape = [1, images.dims[1], images.dims[2]];
            let classes = (0..classes).map(|class| class.to_string()).collect();
            self.images(Pictures { pixels: images.data, labels: labels.data, shape, classes }, like)
        };
        let train = part("train", None)?;
        match ["", ".gz"].iter().any(|end| directory.join(format!("t10k-images-idx3-ubyte{end}")).is_file()) {
            true => Ok(Split { test: part("t10k", Some(&train))?, train }),
            false => Ok(Split::held_out(train.len(), |indices| train.subset(indices))),
        }
    }

    /// Test images are of the training images' shape and classes, and normalised as they are.
    fn images(&self, pictures: Pictures, train: Option<&Images>) -> Result<Images, DataError> {
        let Pictures { mut pixels, labels, mut shape, classes } = pictures;
        let [_, height, width] = shape;
        if let Some(train) = train.filter(|train| train.channels() == 3 && shape[0] == 1) {
            pixels = pixels.chunks_exact((height * width).max(1)).flat_map(|plane| [plane; 3].concat()).collect();
            shape[0] = train.channels();
        }
        let wrong = |source| DataError::Images { name: self.to_string(), source };
        if let Some(train) = train.filter(|train| train.shape() != shape) {
            return Err(DataError::Shapes { name: self.to_string(), train: train.shape(), test: shape });
        }
        let normalisation = match train {
            Some(train) => train.normalisation().clone(),
            None => Normalisation::measure(&pixels, shape[0], height * width),
        };
        let classes = train.map_or(classes.len(), Images::classes);
        Images::new(pixels, labels, shape, classes, normalisation).map_err(wrong)
    }
}

/// A file in MNIST's form, plain or gzip.
fn idx<const D: usize>(directory: &Path, name: &str) -> Result<Idx<D>, DataError> {
    let plain = directory.join(name);
    let path = if plain.is_file() { plain } else { directory.join(format!("{name}.gz")) };
    let bytes = std::fs::read(&path).map_err(DataError::io(&path))?;
    Idx::decode(&bytes).map_err(|source| DataError::Idx { file: path.display().to_string(), source })
}

impl FromStr for DataSet {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        if let Some(entry) = catalog::find(text.trim()) {
            return Ok(Self::Published(entry));
        }
        let name = Args::parse(text).name().to_owned();
        if OWN.iter().any(|own| own.name == name) {
            return Form::read(OWN, "data set", text);
        }
        let known = CATALOG.iter().map(|entry| entry.name).chain(OWN.iter().map(|own| own.usage));
        Err(TextError::unknown("data set", text.trim(), known))
    }
}

impl fmt::Display for DataSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published(entry) => f.write_str(entry.name),
            Self::Libsvm { train, test: None } => write!(f, "libsvm:{}", train.display()),
            Self::Libsvm { train, test: Some(test) } => write!(f, "libsvm:{},test={}", train.display(), test.display()),
            Self::Images(directory) => write!(f, "images:{}", directory.display()),
            Self::Idx(directory) => write!(f, "idx:{}", directory.display()),
            Self::Text(file) => write!(f, "text:{}", file.display()),
        }
    }
}

impl PartialEq for DataSet {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

serde_as_text!(DataSet);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Places with nothing in them and no way out.
    fn alone(directory: &Path) -> Options {
        let (data_dir, cache_dir) = (directory.join("data"), directory.join("cache"));
        fs::create_dir_all(&data_dir).unwrap();
        Options { data_dir: Some(data_dir), cache_dir: Some(cache_dir), offline: true, progress: false }
    }

    fn set(text: &str) -> DataSet {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn text_and_serde_agree() {
        let own = OWN.iter().flat_map(|own| own.examples).copied();
        for text in CATALOG.iter().map(|entry| entry.name).chain(own) {
            assert_eq!(set(text).to_string(), text);
            let json = serde_json::to_string(&set(text)).unwrap();
            assert_eq!(serde_json::from_str::<DataSet>(&json).unwrap(), set(text));
        }
        let message = "imagenet".parse::<DataSet>().unwrap_err().to_string();
        let known = CATALOG.iter().map(|entry| entry.name).chain(OWN.iter().map(|own| own.usage));
        known.for_each(|known| assert!(message.contains(known), "{message}"));
        assert!("libsvm".parse::<DataSet>().unwrap_err().to_string().contains("needs"));
        assert!("idx:a,classes=3".parse::<DataSet>().is_err());
    }

    #[test]
    fn the_embedded_slice_is_sound() {
        let directory = tempfile::tempdir().unwrap();
        let (data, options) = (set("fashion-embedded"), alone(directory.path()));
        assert_eq!(data.verify(&options).unwrap(), Some(Location::Embedded));
        let split = data.load(&options).unwrap().into_images().unwrap();
        assert_eq!((split.train.counts(), split.test.counts()), (vec![200; 10], vec![50; 10]));
        assert_eq!(set("kjv-embedded").verify(&options).unwrap(), Some(Location::Embedded));
        let split = set("kjv-embedded").load(&options).unwrap().with_context(100).unwrap();
        assert_eq!((split.train.len(), split.test.len(), split.train.classes()), (2699, 299, 256));
    }

    #[test]
    fn a_data_directory_that_is_none_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { data_dir: Some(directory.path().join("typo")), ..alone(directory.path()) };
        for outcome in [set("fashion-embedded").load(&options).map(drop), set("mnist").verify(&options).map(drop)] {
            let message = outcome.unwrap_err().to_string();
            assert!(message.contains("typo") && message.contains("no directory"), "{message}");
        }
    }

    #[test]
    fn what_is_nowhere_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let options = alone(directory.path());
        assert_eq!(set("cifar10").verify(&options).unwrap(), None);
        let message = |name: &str| set(name).load(&options).unwrap_err().to_string();
        let parts: [(&str, &[&str]); 2] = [
            ("cifar10", &["--data-dir", "data_batch_1.bin", "cifar-10-binary.tar.gz", "cache/cifar10"]),
            ("real-sim", &["--data-dir", "binary/real-sim.bz2", "bunzip2", "cache/real-sim"]),
        ];
        for (name, parts) in parts {
            parts.iter().for_each(|part| assert!(message(name).contains(part), "{part}: {}", message(name)));
        }
        assert!(!directory.path().join("cache").exists());
    }

    #[test]
    fn damaged_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let options = alone(directory.path());
        let place = directory.path().join("data/mnist");
        fs::create_dir_all(&place).unwrap();
        let entry = catalog::find("mnist").unwrap();
        for file in entry.files {
            fs::write(place.join(file.name), vec![0; file.bytes.unwrap() as usize]).unwrap();
        }
        let error = || set("mnist").load(&options).unwrap_err();
        assert!(matches!(error(), DataError::Digest { .. }));
        fs::write(place.join(entry.files[0].name), b"short").unwrap();
        assert!(matches!(error(), DataError::Size { found: 5, .. }), "{}", error());
        assert!(error().to_string().contains("train-images-idx3-ubyte"), "{}", error());
        fs::create_dir_all(directory.path().join("cache/real-sim")).unwrap();
        fs::write(directory.path().join("cache/real-sim/real-sim"), "1 1:1\n").unwrap();
        let message = set("real-sim").verify(&options).unwrap_err().to_string();
        assert!(message.contains("1 rows") && message.contains("72309"), "{message}");
    }

    #[test]
    fn own_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let (here, options) = (directory.path(), alone(directory.path()));
        let text: String = (0..20).map(|i| format!("{} {}:1\n", i % 2, 1 + i % 3)).collect();
        fs::write(here.join("rows"), &text).unwrap();
        fs::write(here.join("test"), "1 5:1\n").unwrap();
        let rows = set(&format!("libsvm:{}", here.join("rows").display()));
        let split = rows.load(&options).unwrap();
        assert_eq!((split.train.len(), split.test.len(), split.train.classes()), (18, 2, 2));
        assert_eq!(rows.verify(&options).unwrap(), Some(Location::Path(here.join("rows"))));
        let split = set(&format!("{rows},test={}", here.join("test").display())).load(&options).unwrap();
        assert_eq!((split.train.len(), split.test.len(), split.test.shape()), (20, 1, [1, 1, 5]));

        let idx = |dims: [usize; 3]| Idx { dims, data: (0..dims.iter().product()).map(|i| i as u8).collect() };
        fs::write(here.join("train-images-idx3-ubyte"), idx([30, 2, 2]).encode()).unwrap();
        let labels = Idx { dims: [30], data: (0..30).map(|i| i % 3).collect() };
        fs::write(here.join("train-labels-idx1-ubyte"), labels.encode()).unwrap();
        let data = set(&format!("idx:{}", here.display()));
        let split = data.load(&options).unwrap();
        assert_eq!((split.train.len(), split.test.len(), split.train.shape()), (27, 3, [1, 2, 2]));
        fs::write(here.join("t10k-images-idx3-ubyte"), idx([2, 3, 2]).encode()).unwrap();
        fs::write(here.join("t10k-labels-idx1-ubyte"), Idx { dims: [2], data: vec![0, 1] }.encode()).unwrap();
        assert!(matches!(data.load(&options), Err(DataError::Shapes { .. })));

        let book: Vec<u8> = (0..1000).map(|i| (i % 91) as u8 + 32).collect();
        fs::write(here.join("book"), &book).unwrap();
        let data = set(&format!("text:{}", here.join("book").display()));
        let split = data.load(&options).unwrap().with_context(8).unwrap();
        assert_eq!((split.train.len(), split.test.len(), split.train.shape()), (112, 12, [1, 1, 8]));
        assert!(split.train.are_text() && split.into_images().is_none());
        assert!(matches!(set("text:/nowhere/at/all").load(&options), Err(DataError::Io { .. })));

        let missing = set("images:/nowhere/at/all");
        assert_eq!(missing.verify(&options).unwrap(), None);
        assert!(matches!(missing.fetch(&options), Err(DataError::NotThere(_))));
        assert!(matches!(missing.load(&options), Err(DataError::Folder { .. })));
    }
}
