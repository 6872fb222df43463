//! What a run wrote of every step.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use backburn_optim::{Observation, OnLink, SnapshotError, write_atomically};
use serde_json::json;

use super::error::RunError;
use super::folder::{METRICS, RunFolder};
use crate::session::Step;

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
        let path = folder.path().join(METRICS);
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
    pub fn write(&mut self, step: &Step, seen: &Observation, on_link: Option<OnLink>) -> Result<(), RunError> {
        let mut line = json!({
            "step": step.number,
            "lr": step.lr,
            "loss": step.loss,
            "bytes_up": step.bytes.up,
            "bytes_down": step.bytes.down,
            "residual_norm": seen.residual_norm(),
            "contraction": seen.contraction(),
            "density": seen.density(),
            "skipped": step.skipped,
        });
        if let Some(on_link) = on_link {
            line["seconds_on_link"] = json!(on_link);
        }
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.flush());
        written.map_err(|source| SnapshotError::Io { action: "write", path: self.path.clone(), source }.into())
    }

    /// Makes what is written durable.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn sync(&mut self) -> Result<(), RunError> {
        let written = self.file.get_ref().sync_data();
        written.map_err(|source| SnapshotError::Io { action: "write", path: self.path.clone(), source }.into())
    }
}
