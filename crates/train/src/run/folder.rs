//! A run's folder: `config.toml`, `metrics.jsonl`, `summary.json`, `checkpoint.safetensors`; where ranks write it
//! together, `checkpoint/` in place of the last.
//!
//! `config.toml` is written last when a run begins, after a first checkpoint: where it stands, a run stands that can
//! go on. `summary.json` is there only of a run that has come to its end.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backburn_optim::{Snapshot, SnapshotError, remove_unfinished, write_atomically};

use super::config::RunConfig;
use super::error::RunError;
use super::parts::{self, Manifest};
use super::ranks::Ranks;
use super::summary::Summary;
use crate::lock::Lock;

/// Where a run keeps its results.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    overwrite: bool,
    lock: Option<Arc<Lock>>,
}

const CONFIG: &str = "config.toml";
const SUMMARY: &str = "summary.json";
const CHECKPOINT: &str = "checkpoint.safetensors";
pub(super) const METRICS: &str = "metrics.jsonl";

/// In the order in which they go when another run takes their place.
const FILES: [&str; 4] = [CONFIG, SUMMARY, METRICS, CHECKPOINT];

impl RunFolder {
    /// The folder at this path; nothing is written yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), overwrite: false, lock: None }
    }

    /// Lets a new run take the place of one that is there.
    pub fn with_overwrite(self, overwrite: bool) -> Self {
        Self { overwrite, ..self }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder as ours to write, until the last clone of what is given back is dropped; what a killed process left
    /// half written in it is gone.
    ///
    /// # Errors
    /// Where another process writes it, or it cannot be written.
    pub fn locked(&self) -> Result<Self, RunError> {
        if self.lock.is_some() {
            return Ok(self.clone());
        }
        let lock = Lock::take(&self.path)?;
        if lock.is_held() {
            remove_unfinished(&self.path, |name| FILES.contains(&name));
        }
        Ok(Self { lock: Some(Arc::new(lock)), ..self.clone() })
    }

    /// Whether nobody else can write it now.
    pub fn is_locked(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.is_held())
    }

    /// Whether a new run may begin here. What stands in place of `config.toml` and is no run's configuration stays
    /// even where a run may be overwritten.
    ///
    /// # Errors
    /// Where a file is in its way that it may not overwrite.
    pub fn check_vacant(&self) -> Result<(), RunError> {
        let there = |name: &&str| self.path.join(name).symlink_metadata().is_ok();
        let Some(name) = FILES.into_iter().find(there) else { return Ok(()) };
        let path = self.path.join(name);
        if !self.overwrite {
            return Err(RunError::Occupied { path });
        }
        match name == CONFIG && self.config().is_err() {
            true => Err(RunError::Foreign { path }),
            false => Ok(()),
        }
    }

    /// Removes what an earlier run left, and writes the first checkpoint and the configuration.
    ///
    /// # Errors
    /// As [`check_vacant`](Self::check_vacant), and where a file cannot be removed or written.
    pub fn begin(&self, config: &RunConfig, snapshot: &Snapshot) -> Result<(), RunError> {
        self.check_vacant()?;
        self.clear()?;
        self.save_checkpoint(snapshot)?;
        self.save_config(config)
    }

    /// As [`begin`](Self::begin), by all ranks together; the first is the one that has the folder to itself.
    ///
    /// # Errors
    /// As there, in all of them.
    pub(super) fn begin_in_parts(&self, ranks: &Ranks, config: &RunConfig, snapshot: Snapshot) -> Result<(), RunError> {
        let first = ranks.is_first();
        ranks.agree(if first { self.check_vacant().and_then(|()| self.clear()) } else { Ok(()) })?;
        self.save_parts(ranks, snapshot)?;
        ranks.agree(if first { self.save_config(config) } else { Ok(()) })
    }

    fn clear(&self) -> Result<(), RunError> {
        FILES.into_iter().try_for_each(|name| self.remove(name))?;
        parts::remove(&self.path)
    }

    /// Goes on with this configuration: the run is no longer at its end.
    ///
    /// # Errors
    /// Where a file cannot be removed or written.
    pub fn go_on(&self, config: &RunConfig) -> Result<(), RunError> {
        self.remove(SUMMARY)?;
        self.save_config(config)
    }

    fn remove(&self, name: &str) -> Result<(), RunError> {
        let path = self.path.join(name);
        match std::fs::remove_file(&path) {
            Err(source) if ![ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&source.kind()) => {
                Err(SnapshotError::Io { action: "remove", path, source }.into())
            }
            _ => Ok(()),
        }
    }

    fn save_config(&self, config: &RunConfig) -> Result<(), RunError> {
        Ok(write_atomically(&self.path.join(CONFIG), config.to_toml().as_bytes())?)
    }

    /// The configuration of the run in this folder.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn config(&self) -> Result<RunConfig, RunError> {
        let path = self.path.join(CONFIG);
        let text = std::fs::read_to_string(&path);
        Ok(RunConfig::from_toml(&text.map_err(|source| SnapshotError::Io { action: "read", path, source })?)?)
    }

    /// Its checkpoint: of the two forms the one that has come further, of equals the file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn checkpoint(&self) -> Result<Snapshot, RunError> {
        self.later(|manifest| manifest.whole(&self.path))
    }

    /// What this rank needs of it, to go on with n workers.
    pub(super) fn checkpoint_for(&self, ranks: &Ranks, workers: usize) -> Result<Snapshot, RunError> {
        self.later(|manifest| manifest.for_ranks(&self.path, ranks, workers))
    }

    fn later(&self, read: impl FnOnce(&Manifest) -> Result<Snapshot, RunError>) -> Result<Snapshot, RunError> {
        let file = self.path.join(CHECKPOINT);
        let Some(manifest) = self.manifest()? else { return Ok(Snapshot::load(&file)?) };
        if file.symlink_metadata().is_err() {
            return read(&manifest);
        }
        // Only where a process was killed between writing one and removing the other.
        let whole = Snapshot::load(&file)?;
        if whole.number("run.step")? >= manifest.step { Ok(whole) } else { read(&manifest) }
    }

    /// What its checkpoint in parts consists of, where there is one.
    ///
    /// # Errors
    /// Where that cannot be read.
    pub fn manifest(&self) -> Result<Option<Manifest>, RunError> {
        parts::manifest(&self.path)
    }

    /// Replaces its checkpoint, whole or not at all.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_checkpoint(&self, snapshot: &Snapshot) -> Result<(), RunError> {
        snapshot.save(&self.path.join(CHECKPOINT))?;
        parts::remove(&self.path)
    }

    /// Replaces its checkpoint by one in parts, of which every rank writes its own; whole or not at all.
    ///
    /// # Errors
    /// Where one cannot be written, in all ranks.
    pub(super) fn save_parts(&self, ranks: &Ranks, snapshot: Snapshot) -> Result<(), RunError> {
        parts::save(&self.path, ranks, snapshot)?;
        ranks.agree(if ranks.is_first() { self.remove(CHECKPOINT) } else { Ok(()) })
    }

    /// What the run came to, where it is at its end.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn summary(&self) -> Result<Option<Summary>, RunError> {
        let path = self.path.join(SUMMARY);
        let text = match std::fs::read_to_string(&path) {
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|source| SnapshotError::Io { action: "read", path: path.clone(), source })?,
        };
        let read = serde_json::from_str(&text).map_err(std::io::Error::from);
        Ok(Some(read.map_err(|source| SnapshotError::Io { action: "read", path, source })?))
    }

    /// Writes what the run came to.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_summary(&self, summary: &Summary) -> Result<(), RunError> {
        let text = serde_json::to_string_pretty(summary).expect("a summary is plain numbers") + "\n";
        Ok(write_atomically(&self.path.join(SUMMARY), text.as_bytes())?)
    }
}
