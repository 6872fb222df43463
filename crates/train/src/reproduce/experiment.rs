//! What an experiment is.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::figure::Figure;
use super::{Claim, Recorder, ReproduceError, Results};
use crate::data::{self, Options, Split};

/// How large a reproduction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// The smallest that runs through all of the code. For tests: its claims mean nothing.
    Smoke,
    /// Minutes on two cores, and still shows the claims.
    Small,
    /// The published settings.
    Paper,
}

impl Scale {
    /// The value for this scale.
    pub fn pick<T>(self, smoke: T, small: T, paper: T) -> T {
        match self {
            Self::Smoke => smoke,
            Self::Small => small,
            Self::Paper => paper,
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pick("smoke", "small", "paper"))
    }
}

impl FromStr for Scale {
    type Err = ReproduceError;

    fn from_str(text: &str) -> Result<Self, ReproduceError> {
        match text {
            "small" => Ok(Self::Small),
            "paper" => Ok(Self::Paper),
            other => Err(ReproduceError::Scale(other.into())),
        }
    }
}

/// What is known of an experiment before it runs.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name it is asked for by.
    pub name: &'static str,
    /// What it shows, in a line.
    pub title: &'static str,
    /// The paper, and the figure or table in it.
    pub source: &'static str,
    /// What is claimed.
    pub claims: &'static [&'static str],
    /// The expected time on two cores at small scale, and on a GPU at paper scale.
    pub time: [&'static str; 2],
}

/// One curve: a method in a setting. It is run once a seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What belongs into one panel.
    pub group: String,
    /// Its name in the legend.
    pub name: String,
    /// The method's textual form.
    pub algorithm: String,
    /// The compressor's textual form.
    pub compressor: String,
    /// n.
    pub workers: usize,
    /// Examples a worker and step.
    pub batch: usize,
    /// γ, before tuning.
    pub lr: f64,
    /// The number that makes the group, where that is none of the above.
    pub setting: f64,
    /// Its time relative to the experiment's other curves; 0 counts as 1.
    pub cost: f64,
}

impl Curve {
    /// A curve of one worker.
    pub fn new(group: impl Into<String>, name: &str, algorithm: &str, compressor: &str, lr: f64) -> Self {
        Self {
            group: group.into(),
            name: name.into(),
            algorithm: algorithm.into(),
            compressor: compressor.into(),
            workers: 1,
            batch: 1,
            lr,
            setting: 0.0,
            cost: 1.0,
        }
    }
}

/// How step sizes are tuned.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The step sizes tried.
    pub grid: Vec<f64>,
    /// The metric whose mean over the last tenth of a run decides.
    pub metric: &'static str,
    /// Whether more is better.
    pub more_is_better: bool,
}

impl Tuning {
    /// 2^from … 2^to.
    pub fn powers_of_two(from: i32, to: i32, metric: &'static str) -> Self {
        Self { grid: (from..=to).map(|e| 2f64.powi(e)).collect(), metric, more_is_better: false }
    }
}

/// What all curves of a reproduction share: scale, data, device.
pub struct Setup {
    /// How large it is.
    pub scale: Scale,
    /// Where data is looked for.
    pub data: Options,
    /// The device's name, for the experiments that train a model.
    pub device: String,
    loaded: Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setup({}, {})", self.scale, self.device)
    }
}

impl Setup {
    /// Of this scale, with nothing loaded.
    pub fn new(scale: Scale, data: Options, device: impl Into<String>) -> Self {
        Self { scale, data, device: device.into(), loaded: Mutex::default() }
    }

    /// What `make` makes, made once for all curves that ask under this key. `make` must not ask for
    /// anything shared itself: it would wait for its own end.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn shared<T: Any + Send + Sync>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<T, ReproduceError>,
    ) -> Result<Arc<T>, ReproduceError> {
        // A thread that panicked while it loaded has stored nothing.
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = loaded.get(key).and_then(|found| found.clone().downcast::<T>().ok()) {
            return Ok(found);
        }
        let made = Arc::new(make()?);
        loaded.insert(key.into(), made.clone());
        Ok(made)
    }

    /// The data set that an experiment takes: at paper scale the published one, fetched where it must
    /// be; at small scale that one where it is at hand, otherwise the embedded slice of
    /// Fashion-MNIST.
    pub fn image_set(&self, published: &'static str) -> &'static str {
        const EMBEDDED: &str = "fashion-embedded";
        match self.scale {
            Scale::Smoke => EMBEDDED,
            Scale::Paper => published,
            Scale::Small => {
                let found = data::catalog::find(published).ok().and_then(|entry| entry.locate(&self.data));
                if found.is_some() { published } else { EMBEDDED }
            }
        }
    }

    /// The images of [`image_set`](Self::image_set).
    ///
    /// # Errors
    /// Where they cannot be read or fetched.
    pub fn images(&self, published: &'static str) -> Result<Arc<Split>, ReproduceError> {
        let name = self.image_set(published);
        self.shared(&format!("images {name}"), || Ok(data::load(name, &self.data)?))
    }
}

/// A table of the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The headings.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// With a title and headings.
    pub fn new(title: impl Into<String>, head: &[&str]) -> Self {
        Self { title: title.into(), head: head.iter().map(|h| (*h).into()).collect(), rows: Vec::new() }
    }
}

/// One experiment of a paper.
///
/// An implementation says what its curves are and runs one of them; whatever is shown afterwards,
/// claims included, is a function of the recorded rows alone.
pub trait Experiment: Send + Sync {
    /// Name, source, claims, time.
    fn about(&self) -> About;

    /// The curves at this scale.
    fn curves(&self, setup: &Setup) -> Vec<Curve>;

    /// Repetitions of each curve.
    fn seeds(&self, setup: &Setup) -> u64;

    /// Steps, sizes, data and whatever else decides the numbers: shown in the report, and part of
    /// what names a cached curve.
    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)>;

    /// Where the run departs from the paper, and why.
    fn departures(&self, setup: &Setup) -> Vec<String> {
        let _ = setup;
        Vec::new()
    }

    /// How step sizes are tuned, where they are.
    fn tuning(&self) -> Option<Tuning> {
        None
    }

    /// Whether a curve trains a model on the device, so that several at a time would share one card.
    fn trains_a_model(&self) -> bool {
        false
    }

    /// Runs one curve with one seed.
    ///
    /// # Errors
    /// Where it cannot go on, or the user wants to stop.
    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError>;

    /// The claims, judged by the rows.
    fn claims(&self, results: &Results) -> Vec<Claim>;

    /// The figure, of the rows.
    fn figure(&self, results: &Results) -> Figure;

    /// Tables, of the rows, beside the published numbers where there are some.
    fn tables(&self, results: &Results) -> Vec<Table> {
        let _ = results;
        Vec::new()
    }
}
