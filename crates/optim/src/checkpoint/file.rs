//! Files that are whole or not there.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::checkpoint::{Snapshot, SnapshotError};

impl Snapshot {
    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), SnapshotError> {
        write_atomically(path, &self.to_bytes())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Where there is none, or it is no snapshot, or a damaged one.
    pub fn load(path: &Path) -> Result<Self, SnapshotError> {
        let bytes =
            std::fs::read(path).map_err(|source| SnapshotError::Io { action: "read", path: path.into(), source })?;
        Self::from_bytes(&bytes, &path.display().to_string())
    }
}

/// Writes beside the file, makes it durable, then renames it into place: a crash or a full disk
/// leaves the old file or the new one, never half of one. What a process that was killed left beside
/// it is cleared away.
///
/// # Errors
/// Where the file system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let fail = |action: &'static str, path: &Path| {
        let path = path.to_path_buf();
        move |source| SnapshotError::Io { action, path, source }
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fail("create", folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    clear(folder, &name);
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = std::fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(source) = written.and_then(|()| std::fs::rename(&temporary, path)) {
        let _ = std::fs::remove_file(&temporary);
        return Err(fail("write", path)(source));
    }
    if let Ok(folder) = std::fs::File::open(folder) {
        let _ = folder.sync_all(); // not all file systems can; the rename stands either way
    }
    Ok(())
}

/// Removes what [`write_atomically`] left in a folder when a process was killed, whosever it was, of those files whose
/// names are `ours`: for a folder that nobody else writes, as a lock sees to.
pub fn remove_unfinished(folder: &Path, ours: impl Fn(&str) -> bool) {
    for (path, name, _) in unfinished(folder) {
        if ours(&name) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes what processes that are no more have left behind, where the system tells which are.
fn clear(folder: &Path, name: &str) {
    let processes = Path::new("/proc");
    if !processes.join("self").exists() {
        return;
    }
    for (path, of, process) in unfinished(folder) {
        if of == name && !processes.join(process.to_string()).exists() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What is written beside files before it takes their place: where, of which name, and by which process.
fn unfinished(folder: &Path) -> impl Iterator<Item = (PathBuf, String, u32)> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|file| {
        let left = file.file_name();
        let (name, process) = left.to_str()?.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
        Some((file.path(), name.to_owned(), process.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_cleared_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // No process has this number: Linux's limit is 2²².
        for name in [".a.9999999.tmp", ".b.9999999.tmp", ".a.x.tmp", &format!(".a.{}.tmp", std::process::id())] {
            std::fs::write(at(name), b"half").unwrap();
        }
        write_atomically(&at("a"), b"whole").unwrap();
        assert_eq!(std::fs::read(at("a")).unwrap(), b"whole");
        assert!(!at(".a.9999999.tmp").exists() || !Path::new("/proc/self").exists());
        assert!(at(".b.9999999.tmp").exists() && at(".a.x.tmp").exists());
        // A number may have gone to another process since: who has the folder to itself need not ask.
        std::fs::write(at(&format!(".a.{}.tmp", std::process::id())), b"half").unwrap();
        remove_unfinished(folder.path(), |name| name == "a");
        let left = || std::fs::read_dir(folder.path()).unwrap().flatten().map(|f| f.file_name().into_string().unwrap());
        let mut left: Vec<String> = left().collect();
        left.sort();
        assert_eq!(left, [".a.x.tmp", ".b.9999999.tmp", "a"]);
    }
}
