//! One writer a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The file that is locked; it is there only while the folder is written, or since a crash.
const NAME: &str = ".lock";

/// A folder that nobody else writes: an advisory lock, which the system takes back from a process that ends, however
/// it ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Whether the folder was not there before.
    new: bool,
    /// `None` where the file system knows no locks.
    file: Option<File>,
}

/// Why a folder is not ours to write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else writes it.
    #[error("`{}` is being written by {by}; wait for its end, or choose another folder", .folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// Who, and for how long.
        by: String,
    },
    /// It cannot be created or written.
    #[error("cannot write to `{}`: {source}", .folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Lock {
    /// Takes a folder, and creates it where there is none.
    ///
    /// # Errors
    /// Where another process, or this one, has it; where it cannot be written.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        match Self::attempt(folder).map_err(|source| LockError::Io { folder: folder.into(), source })? {
            Some(lock) => Ok(lock),
            None => Err(LockError::Held { folder: folder.into(), by: holder(&folder.join(NAME)) }),
        }
    }

    /// As [`take`](Self::take), but waits for the other, having told who it is.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn wait(folder: &Path, tell: impl FnOnce(&str)) -> Result<Self, LockError> {
        let fail = |source| LockError::Io { folder: folder.into(), source };
        let mut tell = Some(tell);
        loop {
            if let Some(lock) = Self::attempt(folder).map_err(fail)? {
                return Ok(lock);
            }
            if let Some(tell) = tell.take() {
                tell(&holder(&folder.join(NAME)));
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }

    /// Whether the file system knows locks; if not, nothing keeps another away.
    pub fn is_held(&self) -> bool {
        self.file.is_some()
    }

    fn attempt(folder: &Path) -> io::Result<Option<Self>> {
        let new = !folder.exists();
        std::fs::create_dir_all(folder)?;
        let path = folder.join(NAME);
        loop {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(_)) => return Ok(Some(Self { path, new, file: None })),
            }
            // Whoever had it may have removed it since it was opened, and it is another file that counts now.
            if is_at(&file, &path) {
                // For the other's message alone; on a full disk the lock stands without it.
                let _ =
                    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
                return Ok(Some(Self { path, new, file: Some(file) }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked, so that nobody locks what is about to go.
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
        // Where nothing came to be written, nothing is left; a folder that is not empty stays.
        if let Some(folder) = self.path.parent().filter(|_| self.new) {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |data: io::Result<std::fs::Metadata>| data.ok().map(|data| (data.dev(), data.ino()));
    of(file.metadata()) == of(std::fs::metadata(path))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Who holds it, as far as that can be told.
fn holder(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(20).read_to_string(&mut text));
    let process = read.ok().and_then(|_| text.trim().parse::<u32>().ok());
    let since = std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let since = since.and_then(|since| SystemTime::now().duration_since(since).ok());
    let who = process.map_or("another process".into(), |process| format!("process {process}"));
    match since {
        Some(since) => format!("{who} since {} s ago", since.as_secs()),
        None => who,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_no_trace_of_what_is_over() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        let first = Lock::take(&folder).unwrap();
        let refused = Lock::take(&folder).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        assert!(!folder.exists(), "it was there for the lock alone");
        std::fs::create_dir(&folder).unwrap();
        drop(Lock::take(&folder).unwrap());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        // What a crash leaves is a file that nobody holds.
        std::fs::write(folder.join(NAME), "1").unwrap();
        assert!(Lock::take(&folder).unwrap().is_held());
    }

    #[test]
    fn of_many_at_once_each_waits_for_its_turn() {
        let place = tempfile::tempdir().unwrap();
        let (folder, busy) = (place.path().join("cache"), std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let _lock = Lock::wait(&folder, |_| {}).unwrap();
                    assert!(!busy.swap(true, std::sync::atomic::Ordering::SeqCst));
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    busy.store(false, std::sync::atomic::Ordering::SeqCst);
                });
            }
        });
    }
}
