//! What a run wrote of every step.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use backburn_optim::{Observation, OnLink, SnapshotError, write_atomically};
use serde::Deserialize;
use serde_json::json;

use super::error::RunError;
use super::folder::{METRICS, RunFolder};
use crate::models::Evaluation;
use crate::session::Step;

/// What a model came to on the test part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Loss and accuracy.
    pub evaluation: Evaluation,
    /// Whether of text, whose loss has a perplexity.
    pub text: bool,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation { loss, accuracy, .. } = self.evaluation;
        match self.text {
            true => write!(f, "validation loss {loss:.4}, perplexity {:.3}", self.evaluation.perplexity()),
            false => write!(f, "test loss {loss:.4}, accuracy {:.2} %", 100.0 * accuracy),
        }
    }
}

/// `metrics.jsonl`: a line a step.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: BufWriter<File>,
    missing: u64,
}

/// A line of it, as it is read back; what was no finite number, or not looked at, is none.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Line {
    /// The step's number, from 0.
    pub step: u64,
    /// γ.
    pub lr: Option<f64>,
    /// The mean training loss over the workers' batches.
    pub loss: Option<f64>,
    /// Bytes that a worker sent, the mean over all.
    pub bytes_up: f64,
    /// Bytes that a worker received from a server.
    pub bytes_down: f64,
    /// The root of the mean square over workers of what each owes.
    pub residual_norm: Option<f64>,
    /// The mean over workers of 1 − ‖p − C(p)‖²/‖p‖²: the share of the squared norm that was sent.
    pub contraction: Option<f64>,
    /// The mean over workers of the share of the coordinates that was sent.
    pub density: Option<f64>,
    /// Whether the round was skipped.
    pub skipped: bool,
    /// Seconds of the exchange on the configuration's links.
    pub seconds_on_link: Option<OnLink>,
    /// The loss on the test set after the step.
    pub test_loss: Option<f64>,
    /// The share of the test set that is classified rightly after the step.
    pub test_accuracy: Option<f64>,
    /// e to that loss, of text.
    pub perplexity: Option<f64>,
}

impl Metrics {
    /// The lines of a folder's run, by ascending step; none where it has not taken a step yet. A line that is not
    /// written to its end yet is left out.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(folder: &RunFolder) -> Result<Vec<Line>, RunError> {
        let path = folder.path().join(METRICS);
        let text = match std::fs::read_to_string(&path) {
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(|source| SnapshotError::Io { action: "read", path, source })?,
        };
        let mut lines: Vec<Line> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.sort_by_key(|line| line.step);
        Ok(lines)
    }

    /// Opens it for a run that goes on at `step`: lines of later steps, which a resumed run will
    /// write again, are cut off, as is a line that was not written to its end.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn open(folder: &RunFolder, step: u64) -> Result<Self, RunError> {
        let path = folder.path().join(METRICS);
        let io = |action| {
            let path = path.clone();
            move |source| RunError::from(SnapshotError::Io { action, path, source })
        };
        std::fs::create_dir_all(folder.path()).map_err(io("create"))?;
        let mut kept = Vec::new();
        let (mut next, mut missing) = (0, 0);
        match File::open(&path) {
            Ok(file) => {
                for line in BufReader::new(file).split(b'\n') {
                    let line = line.map_err(io("read"))?;
                    let read = serde_json::from_slice::<serde_json::Value>(&line).ok();
                    let of = read.and_then(|line| line["step"].as_u64());
                    if let Some(of) = of.filter(|of| (next..step).contains(of)) {
                        kept.extend_from_slice(&line);
                        kept.push(b'\n');
                        (next, missing) = (of + 1, missing + of - next);
                    }
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(io("read")(e)),
        }
        missing += step - next;
        write_atomically(&path, &kept)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(io("open"))?;
        Ok(Self { path, file: BufWriter::new(file), missing })
    }

    /// Steps before the one that it was opened at of which it has no line.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Writes a step's line; with what was measured after it on the test part, where that was done.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(
        &mut self,
        step: &Step,
        seen: &Observation,
        on_link: Option<OnLink>,
        measured: Option<&Measured>,
    ) -> Result<(), RunError> {
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
        if let Some(Measured { evaluation, text }) = measured {
            (line["test_loss"], line["test_accuracy"]) = (json!(evaluation.loss), json!(evaluation.accuracy));
            if *text {
                line["perplexity"] = json!(evaluation.perplexity());
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_before_has_its_line_once_and_what_is_lost_is_counted() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(place.path());
        let line = |step: u64| format!("{{\"step\":{step}}}\n");
        for (written, step, kept, missing) in [
            (String::new(), 0, String::new(), 0),
            (line(0) + &line(1) + &line(2), 2, line(0) + &line(1), 0),
            (line(0) + "{\"st", 1, line(0), 0),
            (line(0) + &line(1) + &line(1) + &line(2), 3, line(0) + &line(1) + &line(2), 0),
            (line(0) + "\u{fffd}}\n" + &line(2) + &line(3), 4, line(0) + &line(2) + &line(3), 1),
            (String::new(), 5, String::new(), 5),
        ] {
            std::fs::write(place.path().join(METRICS), &written).unwrap();
            let metrics = Metrics::open(&folder, step).unwrap();
            assert_eq!(std::fs::read_to_string(place.path().join(METRICS)).unwrap(), kept, "{written}");
            assert_eq!(metrics.missing(), missing, "{written}");
        }
    }
}
