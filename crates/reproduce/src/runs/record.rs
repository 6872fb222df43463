//! A run as its folder has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backburn_train::run::{Line, Metrics, RunConfig, RunFolder, Summary};
use serde_json::Value;

use crate::error::ReproduceError;

/// A run that has taken at least a step.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub folder: PathBuf,
    pub seed: u64,
    /// Its configuration: names of keys, `schedule.lr` within a table, with what they are.
    pub settings: BTreeMap<String, String>,
    /// A line a step.
    pub lines: Vec<Line>,
    /// Where it is at its end.
    pub summary: Option<Summary>,
}

impl Record {
    /// The run of a folder, or those of its folders.
    pub fn all(folder: &Path) -> Result<Vec<Self>, ReproduceError> {
        let none = |why: &str| Err(ReproduceError::NoRun { folder: folder.into(), why: why.into() });
        if !folder.exists() {
            return none("there is no such folder");
        }
        if !folder.is_dir() {
            return none("it is a file; a run is a folder");
        }
        if holds_run(folder) {
            return Ok(vec![Self::read(folder)?]);
        }
        let entries = std::fs::read_dir(folder).map_err(ReproduceError::io("read", folder))?;
        let mut within: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|f| holds_run(f)).collect();
        within.sort();
        if within.is_empty() {
            return none("neither it nor a folder in it has the config.toml that `backburn train --out` writes");
        }
        within.iter().map(|folder| Self::read(folder)).collect()
    }

    fn read(path: &Path) -> Result<Self, ReproduceError> {
        let folder = RunFolder::new(path);
        let none = |why: String| ReproduceError::NoRun { folder: path.into(), why };
        let config = folder.config().map_err(|error| none(format!("its config.toml is no run's: {error}")))?;
        let lines = Metrics::read(&folder)?;
        if lines.is_empty() {
            return Err(none("its run has not taken a step yet".into()));
        }
        Ok(Self {
            folder: path.into(),
            seed: config.seed,
            settings: settings(&config),
            lines,
            summary: folder.summary()?,
        })
    }
}

fn holds_run(folder: &Path) -> bool {
    folder.join("config.toml").is_file()
}

/// Every key with its value as text.
pub(super) fn settings(config: &RunConfig) -> BTreeMap<String, String> {
    fn flatten(key: String, value: &Value, into: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(table) => {
                for (name, value) in table {
                    flatten(if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, value, into);
                }
            }
            Value::String(text) => drop(into.insert(key, text.clone())),
            other => drop(into.insert(key, other.to_string())),
        }
    }
    let mut settings = BTreeMap::new();
    flatten(String::new(), &serde_json::to_value(config).expect("a configuration is plain data"), &mut settings);
    settings
}
