//! Finished curves on disk, each in a file of its own that is named by what decides its numbers.

use std::path::PathBuf;

use backburn_optim::write_atomically;
use sha2::{Digest, Sha256};

use super::{ReproduceError, Results, Row};

/// A change of the meaning of the numbers changes this, and so makes old files unknown.
const VERSION: u32 = 1;

/// The cached curves of one experiment.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: PathBuf,
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

    /// The rows of the curve with this configuration, where they are whole.
    pub fn load(&self, config: &str) -> Option<Vec<Row>> {
        let text = std::fs::read_to_string(self.file(config)).ok()?;
        if text.lines().next()? != heading(config) || !text.ends_with("# end\n") {
            return None;
        }
        Some(Results::from_csv(&text).ok()?.rows().to_vec())
    }

    /// Keeps the rows of a finished curve, and removes its checkpoints.
    pub fn store(&self, config: &str, rows: &[Row]) -> Result<(), ReproduceError> {
        let text = format!("{}\n{}# end\n", heading(config), Results::new(rows.to_vec()).to_csv());
        write_atomically(&self.file(config), text.as_bytes())?;
        let _ = std::fs::remove_dir_all(self.scratch(config)); // What stays there is only in the way.
        Ok(())
    }

    /// Where the curve may keep checkpoints.
    pub fn scratch(&self, config: &str) -> PathBuf {
        self.folder.join(name(config))
    }

    fn file(&self, config: &str) -> PathBuf {
        self.folder.join(format!("{}.csv", name(config)))
    }
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

    #[test]
    fn only_whole_files_of_the_same_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("cache"));
        let row = Row { group: "g".into(), curve: "c".into(), seed: 1, metric: "m".into(), x: 0.0, value: 0.1 };
        assert_eq!(cache.load("a = 1"), None);
        cache.store("a = 1", std::slice::from_ref(&row)).unwrap();
        assert_eq!(cache.load("a = 1"), Some(vec![row]));
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
