//! What is told of a step.

use backburn_optim::Bytes;

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Its number, from 0.
    pub number: u64,
    /// γ.
    pub lr: f64,
    /// The mean training loss over the workers' batches; not a number where nobody looked.
    pub loss: f64,
    /// What a worker sent and received, the mean over all of them.
    pub bytes: Bytes<f64>,
    /// Whether the round was skipped for a gradient that was not finite.
    pub skipped: bool,
}
