//! Any method behind one pointer.

use std::fmt;
use std::sync::Arc;

use backburn_compress::AnyCompressor;

use crate::method::erased::Erased;
use crate::method::{Algorithm, Conserves, NotTaken, Parent, Why};

/// Any method, chosen at run time by its textual form: `ef-sgd:momentum=0.9,weight-decay=0.0005`.
///
/// Two are equal where their parsed arguments are, whether given or left to their defaults.
#[derive(Clone, Debug)]
pub struct AnyAlgorithm(pub(crate) Arc<dyn Erased>);

impl AnyAlgorithm {
    /// Wraps a method, own ones included.
    pub fn new(algorithm: impl Algorithm) -> Self {
        Self(Arc::new(algorithm))
    }

    /// Checks this method against a compressor.
    ///
    /// # Errors
    /// Where it does not take it, with the reason.
    pub fn check(&self, compressor: &AnyCompressor) -> Result<(), NotTaken> {
        self.0.take(compressor.clone()).map(|_| ())
    }

    /// The word before the colon of its textual form.
    pub fn name(&self) -> String {
        let text = self.to_string();
        text.split(':').next().unwrap_or_default().into()
    }

    /// Every argument by name, defaults included.
    pub fn arguments(&self) -> Vec<(&'static str, String)> {
        self.0.arguments().into_iter().map(|a| (a.name, a.value)).collect()
    }

    /// Its name, and those arguments that are no numbers: those may change when a saved run goes on; with another
    /// estimator, graph or place of the step size, the states would be read for what they are not.
    pub fn structure(&self) -> Vec<(&'static str, String)> {
        let words = self.0.arguments().into_iter().filter(|a| !a.is_number()).map(|a| (a.name, a.value));
        std::iter::once(("method", self.name())).chain(words).collect()
    }

    /// Whether any optimizer may follow the decoded result, see [`Algorithm::leaves_step_open`].
    pub fn leaves_step_open(&self) -> bool {
        self.0.leaves_step_open()
    }

    /// Whether its host must serve more than gradients at the current x, see
    /// [`Algorithm::asks_elsewhere`].
    pub fn asks_elsewhere(&self) -> bool {
        self.0.asks_elsewhere()
    }

    /// Whether a worker may be silent about a parameter, see [`Algorithm::speaks_by_unit`].
    pub fn speaks_by_unit(&self) -> bool {
        self.0.speaks_by_unit()
    }

    /// Whether each node has its own x, see [`Algorithm::is_gossip`].
    pub fn is_gossip(&self) -> bool {
        self.0.is_gossip()
    }

    /// Whether it hears nothing but the mean, see [`Algorithm::hears_mean`]: what can be exchanged by shares.
    pub fn hears_mean(&self) -> bool {
        self.0.hears_mean()
    }

    /// Whether the compressor that it is given is unused, see [`Algorithm::compresses_itself`].
    pub fn compresses_itself(&self) -> bool {
        self.0.compresses_itself()
    }

    /// Whether the number of workers may change, see [`Algorithm::is_divisible`].
    pub fn is_divisible(&self) -> bool {
        self.0.is_divisible()
    }

    /// Which law of conservation it obeys, see [`Algorithm::conserves`].
    ///
    /// # Errors
    /// Where none, with the reason.
    pub fn conserves(&self) -> Result<Conserves, Why> {
        self.0.conserves()
    }

    /// What it is without compression, see [`Algorithm::parent`].
    ///
    /// # Errors
    /// Where that cannot be said, with the reason.
    pub fn parent(&self) -> Result<Parent, Why> {
        self.0.parent()
    }
}

impl fmt::Display for AnyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for AnyAlgorithm {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string() && self.0.arguments() == other.0.arguments()
    }
}
