//! Curves on disk, each in a file of its own that is named by what decides its numbers.

use std::path::PathBuf;

use backburn_optim::{remove_unfinished, write_atomically};
use sha2::{Digest, Sha256};

use crate::error::ReproduceError;
use crate::record::{Results, Row};
use crate::report::COMMIT;

/// A change of the meaning of the numbers changes this, and so makes old files unknown.
const VERSION: u32 = 1;
const MADE_AT: &str = "# commit ";

/// The cached curves of one experiment.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

/// A curve as far as it is measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    /// Its rows.
    pub rows: Vec<Row>,
    /// The commit of the program that measured them.
    pub commit: String,
    /// Whether it is finished.
    pub whole: bool,
}

impl Cache {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Removes what an earlier run has left.
    pub fn clear(&self) -> Result<(), ReproduceError> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ReproduceError::io("remove", &self.folder)(e)),
            _ => Ok(()),
        }
    }

    /// Removes what a killed process has left half written.
    pub fn sweep(&self) {
        let folders = std::fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|file| file.path());
        folders.chain([self.folder.clone()]).for_each(|folder| remove_unfinished(&folder, |_| true));
    }

    /// The curve with this configuration, finished or not.
    pub fn load(&self, config: &str) -> Option<Kept> {
        read(&self.file(config), config, true).or_else(|| read(&self.unfinished(config), config, false))
    }

    /// Keeps the rows of a finished curve, and removes its checkpoints.
    pub fn store(&self, config: &str, rows: &[Row]) -> Result<Kept, ReproduceError> {
        let kept = write(&self.file(config), config, rows, true)?;
        let _ = std::fs::remove_dir_all(self.scratch(config)); // What stays there is only in the way.
        Ok(kept)
    }

    /// Keeps the rows so far of a curve that was stopped.
    pub fn store_unfinished(&self, config: &str, rows: &[Row]) -> Result<Kept, ReproduceError> {
        write(&self.unfinished(config), config, rows, false)
    }

    /// Where the curve may keep checkpoints.
    pub fn scratch(&self, config: &str) -> PathBuf {
        self.folder.join(name(config))
    }

    fn file(&self, config: &str) -> PathBuf {
        self.folder.join(format!("{}.csv", name(config)))
    }

    fn unfinished(&self, config: &str) -> PathBuf {
        self.scratch(config).join("so-far.csv")
    }
}

fn read(file: &std::path::Path, config: &str, whole: bool) -> Option<Kept> {
    let text = std::fs::read_to_string(file).ok()?;
    if text.lines().next()? != heading(config) || !text.ends_with("# end\n") {
        return None;
    }
    let commit = text.lines().find_map(|line| line.strip_prefix(MADE_AT)).unwrap_or("unknown").into();
    Some(Kept { rows: Results::from_csv(&text).ok()?.rows().to_vec(), commit, whole })
}

fn write(file: &std::path::Path, config: &str, rows: &[Row], whole: bool) -> Result<Kept, ReproduceError> {
    let csv = Results::new(rows.to_vec()).to_csv();
    let text = format!("{}\n{MADE_AT}{COMMIT}\n{csv}# end\n", heading(config));
    write_atomically(file, text.as_bytes())?;
    Ok(Kept { rows: rows.to_vec(), commit: COMMIT.into(), whole })
}

fn heading(config: &str) -> String {
    format!("# {VERSION} {}", config.replace(['\n', '\r'], " "))
}

fn name(config: &str) -> String {
    Sha256::digest(heading(config)).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CurveName, GroupName, Metric};

    #[test]
    fn only_whole_files_of_the_same_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("cache"));
        let row = Row {
            group: GroupName::new("g"),
            curve: CurveName::new("c"),
            seed: 1,
            metric: Metric::new("m"),
            x: 0.0,
            value: 0.1,
        };
        assert_eq!(cache.load("a = 1"), None);
        cache.store_unfinished("a = 1", &[]).unwrap();
        assert!(cache.load("a = 1").is_some_and(|kept| !kept.whole && kept.rows.is_empty()));
        let kept = cache.store("a = 1", std::slice::from_ref(&row)).unwrap();
        assert_eq!((&kept.rows, kept.commit.as_str(), kept.whole), (&vec![row], COMMIT, true));
        assert_eq!(cache.load("a = 1"), Some(kept));
        assert_eq!(cache.load("a = 2"), None);
        let file = cache.file("a = 1");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.trim_end_matches("# end\n")).unwrap();
        assert_eq!(cache.load("a = 1"), None);
        cache.clear().unwrap();
        assert!(!cache.folder.exists());
        cache.clear().unwrap();
    }
}
