//! Takes the numbers of one curve, and tells its loop when to stop.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Curve, ReproduceError, Row};

/// How much of a curve is done, in millionths.
#[derive(Debug, Default)]
pub(super) struct Done(AtomicU64);

impl Done {
    pub(super) fn set(&self, share: f64) {
        self.0.store((share.clamp(0.0, 1.0) * 1e6) as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e6
    }
}

/// Given to an experiment for one curve and seed.
#[derive(Debug)]
pub struct Recorder<'a> {
    rows: Vec<Row>,
    group: &'a str,
    curve: &'a str,
    seed: u64,
    stop: &'a AtomicBool,
    done: &'a Done,
    scratch: PathBuf,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(curve: &'a Curve, seed: u64, stop: &'a AtomicBool, done: &'a Done, scratch: PathBuf) -> Self {
        Self { rows: Vec::new(), group: &curve.group, curve: &curve.name, seed, stop, done, scratch }
    }

    /// Takes one number.
    pub fn record(&mut self, metric: &str, x: f64, value: f64) {
        self.rows.push(Row {
            group: self.group.into(),
            curve: self.curve.into(),
            seed: self.seed,
            metric: metric.into(),
            x,
            value,
        });
    }

    /// Says that `step` of `steps` is about to begin; every loop calls it.
    ///
    /// # Errors
    /// [`ReproduceError::Stopped`] where the user wants to stop: the loop must end with it.
    pub fn tick(&self, step: u64, steps: u64) -> Result<(), ReproduceError> {
        self.done.set(step as f64 / steps.max(1) as f64);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(ReproduceError::Stopped),
            false => Ok(()),
        }
    }

    /// Where this curve may keep checkpoints; it does not exist before something is written to it.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// What has been taken so far.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Puts back what an earlier attempt had taken.
    pub(crate) fn restore(&mut self, rows: Vec<Row>) {
        self.rows = rows;
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

/// At which of `steps` steps a curve of about `points` points is measured, the last included: evenly
/// spaced.
pub fn is_due(step: u64, steps: u64, points: u64) -> bool {
    let every = (steps / points.max(1)).max(1);
    step.is_multiple_of(every) || step == steps
}
