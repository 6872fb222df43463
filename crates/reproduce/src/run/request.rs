//! What is asked for, and what became of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backburn_optim::DeviceKind;
use backburn_train::data::Options;

use crate::experiment::Scale;
use crate::record::Claim;

/// What is to be reproduced, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// The experiments' names; `all` stands for all of them.
    pub names: Vec<String>,
    /// How large.
    pub scale: Scale,
    /// The output directory.
    pub out: PathBuf,
    /// Keep the curves that an earlier run finished.
    pub resume: bool,
    /// Let go of what an earlier run has measured.
    pub overwrite: bool,
    /// Tune step sizes first.
    pub tune: bool,
    /// Where data is looked for.
    pub data: Options,
    /// The device of the experiments that train a model.
    pub device: DeviceKind,
    /// Curves at a time; 0 is one a core, and one alone where a card trains a model.
    pub threads: usize,
    /// Show progress on standard error.
    pub progress: bool,
    /// Set to stop: what is finished is kept.
    pub stop: Arc<AtomicBool>,
}

impl Request {
    /// Of these experiments at this scale, into this directory.
    pub fn new(names: Vec<String>, scale: Scale, out: impl Into<PathBuf>) -> Self {
        Self {
            names,
            scale,
            out: out.into(),
            resume: false,
            overwrite: false,
            tune: false,
            data: Options::default(),
            device: DeviceKind::Auto,
            threads: 0,
            progress: false,
            stop: Arc::default(),
        }
    }
}

/// What became of one experiment.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its name.
    pub name: &'static str,
    /// Its claims.
    pub claims: Vec<Claim>,
    /// Curves finished, and curves in all.
    pub curves: (usize, usize),
    /// How long it took, without what was finished before.
    pub time: Duration,
}

/// An experiment that did not run, or not to its end.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its name.
    pub name: &'static str,
    /// Why, and what can be done.
    pub why: String,
    /// Whether only its data is missing.
    pub skipped: bool,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each experiment that ran to its end, or until the user stopped it.
    pub finished: Vec<Finished>,
    /// Each that did not, for a reason of its own.
    pub failed: Vec<Failed>,
    /// Whether the user stopped it.
    pub stopped: bool,
    /// The report.
    pub index: PathBuf,
}
