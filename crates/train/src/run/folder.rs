//! A run's folder: `config.toml`, `metrics.jsonl`, `summary.json`, `checkpoint.safetensors`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use backburn_optim::{Observation, Snapshot, SnapshotError, write_atomically};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{RunConfig, RunError, StepReport};

/// Where a run keeps its results.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Steps taken.
    pub steps: u64,
    /// Rounds skipped for gradients that were not finite.
    pub skipped: u64,
    /// The mean loss of the last step's batches.
    #[serde(deserialize_with = "or_nan")]
    pub train_loss: f64,
    /// The mean loss on the test set.
    #[serde(deserialize_with = "or_nan")]
    pub test_loss: f64,
    /// The fraction of the test set that is classified rightly.
    pub test_accuracy: f64,
    /// Megabytes (10⁶ bytes) a worker sent, from the encoded messages.
    pub megabytes_up: f64,
    /// Megabytes a worker received from a server.
    pub megabytes_down: f64,
    /// Bytes up without compression over bytes up.
    #[serde(deserialize_with = "or_nan")]
    pub compression_ratio: f64,
    /// Seconds spent in steps.
    pub seconds: f64,
    /// Trainable parameters.
    pub parameters: u64,
    /// The device.
    pub device: String,
}

/// JSON has no NaN: serde writes `null` for it.
fn or_nan<'de, D: serde::Deserializer<'de>>(number: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(number)?.unwrap_or(f64::NAN))
}

impl RunFolder {
    /// The folder at this path; nothing is written yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the configuration and removes what an earlier run left.
    pub fn begin(&self, config: &RunConfig) -> Result<(), RunError> {
        self.save_config(config)?;
        for name in ["metrics.jsonl", "summary.json", "checkpoint.safetensors"] {
            let path = self.path.join(name);
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(SnapshotError::Io { action: "remove", path, source }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the configuration, which is what a run goes on with next time.
    pub fn save_config(&self, config: &RunConfig) -> Result<(), RunError> {
        Ok(write_atomically(&self.path.join("config.toml"), config.to_toml().as_bytes())?)
    }

    /// The configuration of the run in this folder.
    pub fn config(&self) -> Result<RunConfig, RunError> {
        let path = self.path.join("config.toml");
        let text = std::fs::read_to_string(&path);
        RunConfig::from_toml(&text.map_err(|source| SnapshotError::Io { action: "read", path, source })?)
    }

    /// Its checkpoint.
    pub fn checkpoint(&self) -> Result<Snapshot, RunError> {
        Ok(Snapshot::load(&self.path.join("checkpoint.safetensors"))?)
    }

    /// Replaces its checkpoint, whole or not at all.
    pub fn save_checkpoint(&self, snapshot: &Snapshot) -> Result<(), RunError> {
        Ok(snapshot.save(&self.path.join("checkpoint.safetensors"))?)
    }

    /// Writes what the run came to.
    pub fn save_summary(&self, summary: &Summary) -> Result<(), RunError> {
        let text = serde_json::to_string_pretty(summary).expect("a summary is plain numbers") + "\n";
        Ok(write_atomically(&self.path.join("summary.json"), text.as_bytes())?)
    }
}

/// `metrics.jsonl`: a line a step.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Metrics {
    /// Opens it for a run that goes on at `step`: lines of later steps, which a resumed run will
    /// write again, are cut off.
    pub fn open(folder: &RunFolder, step: u64) -> Result<Self, RunError> {
        let path = folder.path().join("metrics.jsonl");
        let io = |action| {
            let path = path.clone();
            move |source| RunError::from(SnapshotError::Io { action, path, source })
        };
        std::fs::create_dir_all(folder.path()).map_err(io("create"))?;
        let kept = match File::open(&path) {
            Ok(file) => {
                let lines = BufReader::new(file).lines().map_while(Result::ok);
                let early = lines.take_while(|line| {
                    serde_json::from_str::<serde_json::Value>(line).is_ok_and(|l| l["step"].as_u64() < Some(step))
                });
                early.map(|line| line + "\n").collect::<String>()
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(io("read")(e)),
        };
        write_atomically(&path, kept.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path).map_err(io("open"))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    /// Writes a step's line.
    pub fn write(&mut self, step: &StepReport, seen: &Observation) -> Result<(), RunError> {
        let line = json!({
            "step": step.step,
            "lr": step.lr,
            "loss": step.loss,
            "bytes_up": step.bytes_up,
            "bytes_down": step.bytes_down,
            "residual_norm": seen.residual_norm(),
            "contraction": seen.contraction,
            "density": seen.density,
            "skipped": step.skipped,
        });
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.flush());
        written.map_err(|source| SnapshotError::Io { action: "write", path: self.path.clone(), source }.into())
    }
}
