//! Takes the numbers of one curve, keeps its checkpoints, and tells its loop when to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use backburn_optim::Snapshot;

use super::curve::Curve;
use super::name::{CurveName, GroupName, Metric};
use super::results::{Results, Row};
use crate::error::ReproduceError;

/// How much of a curve is done, in millionths.
#[derive(Debug, Default)]
pub(crate) struct Done(AtomicU64);

impl Done {
    pub(crate) fn set(&self, share: f64) {
        self.0.store((share.clamp(0.0, 1.0) * 1e6) as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e6
    }
}

/// Given to an experiment for one curve and seed.
#[derive(Debug)]
pub struct Recorder {
    rows: Vec<Row>,
    group: GroupName,
    curve: CurveName,
    seed: u64,
    ticker: Ticker,
    scratch: PathBuf,
}

/// Takes how far a curve is, and says whether to go on; for loops that are not called directly.
#[derive(Clone, Debug)]
pub struct Ticker {
    /// The user's wish to stop, and another curve's failure.
    stop: [Arc<AtomicBool>; 2],
    done: Arc<Done>,
    /// The share of the curve that the present loop is: from, to.
    part: (f64, f64),
    /// After so many ticks more it stops.
    #[cfg(test)]
    patience: Arc<AtomicU64>,
}

impl Ticker {
    /// As [`Recorder::tick`].
    ///
    /// # Errors
    /// [`ReproduceError::Stopped`] where the curve is to stop.
    pub fn tick(&self, step: u64, steps: u64) -> Result<(), ReproduceError> {
        let (from, to) = self.part;
        self.done.set(from + (to - from) * step as f64 / steps.max(1) as f64);
        #[cfg(test)]
        if self.patience.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
            return Err(ReproduceError::Stopped);
        }
        match self.stop.iter().any(|stop| stop.load(Ordering::Relaxed)) {
            true => Err(ReproduceError::Stopped),
            false => Ok(()),
        }
    }
}

/// Where a checkpoint keeps the rows.
const ROWS: &str = "rows";

impl Recorder {
    pub(crate) fn new(curve: &Curve, seed: u64, stop: [Arc<AtomicBool>; 2], done: Arc<Done>, scratch: PathBuf) -> Self {
        let ticker = Ticker {
            stop,
            done,
            part: (0.0, 1.0),
            #[cfg(test)]
            patience: Arc::new(u64::MAX.into()),
        };
        Self { rows: Vec::new(), group: curve.group, curve: curve.name, seed, ticker, scratch }
    }

    /// Stops at the tick after so many.
    #[cfg(test)]
    pub(crate) fn stop_after(self, ticks: u64) -> Self {
        self.ticker.patience.store(ticks, Ordering::Relaxed);
        self
    }

    /// Takes one number.
    pub fn record(&mut self, metric: Metric, x: f64, value: f64) {
        self.rows.push(Row { group: self.group, curve: self.curve, seed: self.seed, metric, x, value });
    }

    /// Says that the next loop is this share of the curve's time.
    pub fn part(&mut self, from: f64, to: f64) {
        self.ticker.part = (from, to);
    }

    /// Says that `step` of `steps` is about to begin; every loop calls it.
    ///
    /// # Errors
    /// [`ReproduceError::Stopped`] where the curve is to stop: the loop must end with it.
    pub fn tick(&self, step: u64, steps: u64) -> Result<(), ReproduceError> {
        self.ticker.tick(step, steps)
    }

    /// The same for a loop that does not have the recorder.
    pub fn ticker(&self) -> Ticker {
        self.ticker.clone()
    }

    /// Where this curve may keep checkpoints; it does not exist before something is written to it.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// What has been taken so far.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Writes a checkpoint of this name. The rows so far are in the same file, so that a state and its
    /// rows are never of two times.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, name: &str, mut snapshot: Snapshot) -> Result<(), ReproduceError> {
        snapshot.texts.insert(ROWS.into(), Results::new(self.rows.clone()).to_csv());
        Ok(snapshot.save(&self.checkpoint(name))?)
    }

    /// Reads the checkpoint of this name and takes the rows back, where there is one.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn load(&mut self, name: &str) -> Result<Option<Snapshot>, ReproduceError> {
        let path = self.checkpoint(name);
        if !path.exists() {
            return Ok(None);
        }
        let snapshot = Snapshot::load(&path)?;
        self.rows = Results::from_csv(snapshot.text(ROWS)?)?.rows().to_vec();
        Ok(Some(snapshot))
    }

    fn checkpoint(&self, name: &str) -> PathBuf {
        self.scratch.join(format!("{name}.safetensors"))
    }

    pub(crate) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

/// At which of `steps` steps a curve of about `points` points is measured, the last included: evenly
/// spaced.
pub fn is_due(step: u64, steps: u64, points: u64) -> bool {
    let every = (steps / points.max(1)).max(1);
    step.is_multiple_of(every) || step == steps
}
