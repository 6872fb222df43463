//! A checkpoint in parts: `checkpoint/step-N/`, where every process has written its workers' states and the first one
//! what all have in common, and `checkpoint/manifest.json`, which is written last and says which parts are of one.
//!
//! Whatever is killed at whatever moment, the manifest names the last checkpoint that is complete.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use backburn_optim::{Snapshot, SnapshotError, Transport, write_atomically};
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::ranks::Ranks;

/// The folder, within a run's.
pub(super) const PARTS: &str = "checkpoint";
const MANIFEST: &str = "manifest.json";
const COMMON: &str = "common.safetensors";
const FORMAT: u32 = 1;
/// How a snapshot calls where a worker is in its data.
pub(super) const CURSOR: &str = "data.cursor.";
/// And a worker's gradient that is to be exchanged with the next step.
pub(super) const PENDING: &str = "pending.";

/// What a checkpoint in parts consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// Steps taken.
    pub step: u64,
    /// n.
    pub workers: u64,
    /// Where the parts lie, beside the manifest.
    pub folder: String,
    /// What all have in common, then each process's own, in their order.
    pub parts: Vec<Part>,
}

/// One file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Its CRC-32C, in hexadecimal.
    pub crc32c: String,
}

impl Part {
    fn of(file: String, bytes: &[u8]) -> Self {
        Self { file, bytes: bytes.len() as u64, crc32c: crc(bytes) }
    }
}

fn crc(bytes: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(bytes))
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RunError {
    let path = path.to_path_buf();
    move |source| SnapshotError::Io { action, path, source }.into()
}

fn damaged(path: &Path, why: impl Into<String>) -> RunError {
    SnapshotError::Damaged { name: path.display().to_string(), why: why.into() }.into()
}

/// The checkpoint in parts that is complete, where there is one.
///
/// # Errors
/// Where its manifest cannot be read.
pub(super) fn manifest(run: &Path) -> Result<Option<Manifest>, RunError> {
    let path = run.join(PARTS).join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(io("read", &path))?,
    };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| damaged(&path, error.to_string()))?;
    let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\']) && name != "..";
    let names = manifest.parts.iter().map(|part| part.file.as_str()).chain([manifest.folder.as_str()]);
    if manifest.format != FORMAT || manifest.parts.len() < 2 || !names.into_iter().all(plain) {
        return Err(damaged(&path, format!("it is no manifest of format {FORMAT}")));
    }
    Ok(Some(manifest))
}

impl Manifest {
    fn read(&self, run: &Path, part: &Part) -> Result<Snapshot, RunError> {
        let path = run.join(PARTS).join(&self.folder).join(&part.file);
        let bytes = std::fs::read(&path).map_err(io("read", &path))?;
        if (bytes.len() as u64, crc(&bytes)) != (part.bytes, part.crc32c.clone()) {
            return Err(damaged(&path, "it is another than its manifest says"));
        }
        Ok(Snapshot::from_bytes(&bytes, &path.display().to_string())?)
    }

    /// All of it, as one process with all workers would have saved it.
    ///
    /// # Errors
    /// Where a part is missing, damaged, or of another checkpoint.
    pub fn whole(&self, run: &Path) -> Result<Snapshot, RunError> {
        let parts = self.parts.iter().map(|part| self.read(run, part)).collect::<Result<Vec<_>, _>>()?;
        Ok(Snapshot::merge(parts)?)
    }

    /// What a process needs: its own part where there are as many as then, otherwise all.
    pub(super) fn for_ranks(&self, run: &Path, ranks: &Ranks, workers: usize) -> Result<Snapshot, RunError> {
        match (self.parts.get(1 + ranks.rank()), self.parts.len() == 1 + ranks.size()) {
            (Some(own), true) if self.workers == workers as u64 => {
                Ok(self.read(run, own)?.with_common(self.read(run, &self.parts[0])?)?)
            }
            _ => self.whole(run),
        }
    }
}

/// Writes a checkpoint together with all other processes, of which each has the states of its own workers. The one
/// before is removed once this one is complete.
///
/// # Errors
/// Where any process cannot write, in all of them; the one before stays.
pub(super) fn save(run: &Path, ranks: &Ranks, mut snapshot: Snapshot) -> Result<(), RunError> {
    let (step, workers) = (snapshot.number("run.step")?, snapshot.number("cluster.workers")?);
    let parts = run.join(PARTS);
    // Parts of another attempt that came as far are not mixed with these.
    let chosen = if ranks.is_first() { free(&parts, step).map(Some) } else { Ok(None) };
    let chosen = ranks.agree(chosen)?;
    let all = ranks.share(&chosen)?;
    let folder = all.into_iter().flatten().next().unwrap_or_else(|| format!("step-{step}"));
    let mut own = snapshot.take_own();
    let mine = |name: &str| [CURSOR, PENDING].iter().any(|kind| name.starts_with(kind));
    let (texts, vectors) = (std::mem::take(&mut snapshot.texts), std::mem::take(&mut snapshot.vectors));
    let (more, rest): (BTreeMap<_, _>, _) = texts.into_iter().partition(|(name, _)| mine(name));
    own.texts.extend(more);
    snapshot.texts = rest;
    let (more, rest): (BTreeMap<_, _>, _) = vectors.into_iter().partition(|(name, _)| mine(name));
    own.vectors.extend(more);
    snapshot.vectors = rest;
    let at = parts.join(&folder);
    let write = |name: String, snapshot: &Snapshot| -> Result<Part, RunError> {
        let bytes = snapshot.to_bytes();
        write_atomically(&at.join(&name), &bytes)?;
        Ok(Part::of(name, &bytes))
    };
    let common = if ranks.is_first() { write(COMMON.into(), &snapshot).map(Some) } else { Ok(None) };
    let written = common.and_then(|common| Ok((common, write(format!("rank-{}.safetensors", ranks.rank()), &own)?)));
    let (common, own) = ranks.agree(written)?;
    let own = ranks.share(&own)?;
    let complete = common.map_or(Ok(()), |common| {
        let manifest = Manifest { format: FORMAT, step, workers, folder, parts: [vec![common], own].concat() };
        complete(run, &manifest)
    });
    ranks.agree(complete)
}

/// A name for the parts of a step that no complete checkpoint has.
fn free(parts: &Path, step: u64) -> Result<String, RunError> {
    let name = |attempt: u32| if attempt == 0 { format!("step-{step}") } else { format!("step-{step}.{attempt}") };
    let mut attempt = 0;
    while parts.join(name(attempt)).exists() {
        attempt += 1;
    }
    Ok(name(attempt))
}

/// Looks whether all parts are there, and makes the manifest say so.
fn complete(run: &Path, manifest: &Manifest) -> Result<(), RunError> {
    let parts = run.join(PARTS);
    for part in &manifest.parts {
        let path = parts.join(&manifest.folder).join(&part.file);
        match std::fs::metadata(&path) {
            Ok(there) if there.len() == part.bytes => {}
            _ => return Err(RunError::NotShared { path }),
        }
    }
    let text = serde_json::to_string_pretty(manifest).expect("texts and numbers") + "\n";
    write_atomically(&parts.join(MANIFEST), text.as_bytes())?;
    // From here on this is the checkpoint; what cannot be removed does no harm.
    for other in std::fs::read_dir(&parts).into_iter().flatten().flatten() {
        let name = other.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("step-") && name != manifest.folder) {
            let _ = std::fs::remove_dir_all(other.path());
        }
    }
    Ok(())
}

/// Removes a checkpoint in parts, its manifest first.
///
/// # Errors
/// Where the file system refuses.
pub(super) fn remove(run: &Path) -> Result<(), RunError> {
    let parts: PathBuf = run.join(PARTS);
    let gone = |removed: std::io::Result<()>| match removed {
        Err(error) if ![ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => Err(error),
        _ => Ok(()),
    };
    gone(std::fs::remove_file(parts.join(MANIFEST))).map_err(io("remove", &parts.join(MANIFEST)))?;
    gone(std::fs::remove_dir_all(&parts)).map_err(io("remove", &parts))
}
