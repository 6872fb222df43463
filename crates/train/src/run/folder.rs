//! A run's folder: `config.toml`, `metrics.jsonl`, `summary.json`, `checkpoint.safetensors`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use backburn_optim::{Snapshot, SnapshotError, write_atomically};

use super::config::RunConfig;
use super::error::RunError;
use super::summary::Summary;

/// Where a run keeps its results.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    overwrite: bool,
}

/// The configuration comes first: where it stands, a run stands.
const FILES: [&str; 4] = ["config.toml", "metrics.jsonl", "summary.json", "checkpoint.safetensors"];

impl RunFolder {
    /// The folder at this path; nothing is written yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), overwrite: false }
    }

    /// Lets a new run take the place of one that is there.
    pub fn with_overwrite(self, overwrite: bool) -> Self {
        Self { overwrite, ..self }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a new run may begin here.
    ///
    /// # Errors
    /// Where a file is in its way that it may not overwrite.
    pub fn check_vacant(&self) -> Result<(), RunError> {
        let taken = FILES.map(|name| self.path.join(name)).into_iter().find(|path| path.exists());
        match taken.filter(|_| !self.overwrite) {
            Some(path) => Err(RunError::Occupied { path }),
            None => Ok(()),
        }
    }

    /// Writes the configuration and removes what an earlier run left.
    ///
    /// # Errors
    /// As [`check_vacant`](Self::check_vacant), and where a file cannot be removed or written.
    pub fn begin(&self, config: &RunConfig) -> Result<(), RunError> {
        self.check_vacant()?;
        for path in FILES[1..].iter().map(|name| self.path.join(name)) {
            match std::fs::remove_file(&path) {
                Err(source) if ![ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&source.kind()) => {
                    return Err(SnapshotError::Io { action: "remove", path, source }.into());
                }
                _ => {}
            }
        }
        self.save_config(config)
    }

    /// Writes the configuration, which is what a run goes on with next time.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_config(&self, config: &RunConfig) -> Result<(), RunError> {
        Ok(write_atomically(&self.path.join("config.toml"), config.to_toml().as_bytes())?)
    }

    /// The configuration of the run in this folder.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn config(&self) -> Result<RunConfig, RunError> {
        let path = self.path.join("config.toml");
        let text = std::fs::read_to_string(&path);
        Ok(RunConfig::from_toml(&text.map_err(|source| SnapshotError::Io { action: "read", path, source })?)?)
    }

    /// Its checkpoint.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn checkpoint(&self) -> Result<Snapshot, RunError> {
        Ok(Snapshot::load(&self.path.join("checkpoint.safetensors"))?)
    }

    /// Replaces its checkpoint, whole or not at all.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_checkpoint(&self, snapshot: &Snapshot) -> Result<(), RunError> {
        Ok(snapshot.save(&self.path.join("checkpoint.safetensors"))?)
    }

    /// Writes what the run came to.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_summary(&self, summary: &Summary) -> Result<(), RunError> {
        let text = serde_json::to_string_pretty(summary).expect("a summary is plain numbers") + "\n";
        Ok(write_atomically(&self.path.join("summary.json"), text.as_bytes())?)
    }
}
