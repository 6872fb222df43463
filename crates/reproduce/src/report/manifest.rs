//! `run.json`: how an experiment's numbers came about.

use std::path::Path;

use backburn_optim::{DeviceKind, write_atomically};
use serde::{Deserialize, Serialize};

use crate::error::ReproduceError;
use crate::experiment::{Experiment, Setup, Tuned};
use crate::record::{Curve, CurveName, GroupName};

/// The commit that this program was built from; `-dirty` where files differed from it, `unknown` outside of
/// a checkout.
pub(crate) const COMMIT: &str = env!("BACKBURN_COMMIT");

/// How an experiment's numbers came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The experiment.
    pub name: String,
    /// `small` or `paper`.
    pub scale: String,
    /// Steps, sizes, data.
    pub settings: Vec<(String, String)>,
    /// Where it departs from the paper.
    pub departures: Vec<String>,
    /// The curves: group, name, method, compressor, workers, batch, step size.
    pub curves: Vec<CurveRecord>,
    /// Step sizes that were tuned, with all that were tried.
    pub tuned: Vec<Tuned>,
    /// Repetitions.
    pub seeds: u64,
    /// Curves finished, and curves in all, seeds included.
    pub complete: (usize, usize),
    /// Seeds of which all curves are finished.
    #[serde(default)]
    pub finished_seeds: u64,
    /// Why it was not run, or not to the end, where that was not the user's wish.
    #[serde(default)]
    pub failure: Option<String>,
    /// Seconds it took, without what was finished before.
    pub seconds: f64,
    /// The version of the library.
    pub version: String,
    /// The commits of the programs that measured the curves, in the order in which they are first met.
    #[serde(default)]
    pub commits: Vec<String>,
    /// Processor, cores, system.
    pub machine: String,
    /// The device of what trains a model.
    pub device: DeviceKind,
}

/// A curve as it was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveRecord {
    /// Its group.
    pub group: GroupName,
    /// Its name.
    pub name: CurveName,
    /// The method.
    pub algorithm: String,
    /// The compressor.
    pub compressor: String,
    /// n.
    pub workers: usize,
    /// Examples a worker and step.
    pub batch: usize,
    /// γ.
    pub lr: f64,
}

impl Manifest {
    pub(crate) fn new(experiment: &dyn Experiment, setup: &Setup, curves: &[Curve], seconds: f64) -> Self {
        let record = |c: &Curve| CurveRecord {
            group: c.group,
            name: c.name,
            algorithm: c.algorithm.clone(),
            compressor: c.compressor.clone(),
            workers: c.workers,
            batch: c.batch,
            lr: c.lr,
        };
        Self {
            name: experiment.about().name.into(),
            scale: setup.scale.to_string(),
            settings: experiment.settings(setup).into_iter().map(|(k, v)| (k.into(), v)).collect(),
            departures: experiment.departures(setup),
            curves: curves.iter().map(record).collect(),
            tuned: Vec::new(),
            seeds: experiment.seeds(setup),
            complete: (0, 0),
            finished_seeds: 0,
            failure: None,
            seconds,
            version: env!("CARGO_PKG_VERSION").into(),
            commits: Vec::new(),
            machine: machine(),
            device: setup.device,
        }
    }

    /// Seeds finished and seeds in all, where curves are still unfinished.
    pub(crate) fn unfinished(&self) -> Option<(u64, u64)> {
        (self.complete.0 < self.complete.1).then_some((self.finished_seeds, self.seeds))
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<(), ReproduceError> {
        let text = serde_json::to_string_pretty(self).expect("a manifest is plain texts and numbers") + "\n";
        Ok(write_atomically(&folder.join("run.json"), text.as_bytes())?)
    }

    /// That of a folder; `None` where there is none that can be read.
    pub fn load(folder: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(folder.join("run.json")).ok()?).ok()
    }
}

fn machine() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(':').map(|(_, name)| name.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{}, {cores} cores, {system}", processor.unwrap_or_else(|| architecture.into()))
}
