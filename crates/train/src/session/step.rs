//! What is told of a step.

use std::ops::AddAssign;

use backburn_optim::Traffic;
use serde::{Deserialize, Serialize};

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Its number, from 0.
    pub number: u64,
    /// γ.
    pub lr: f64,
    /// The mean training loss over the workers' batches; not a number where nobody looked.
    pub loss: f64,
    /// What a worker sent and received.
    pub bytes: MeanBytes,
    /// Whether the round was skipped for a gradient that was not finite.
    pub skipped: bool,
}

/// Bytes of a worker, the mean over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanBytes {
    /// Sent: a worker's own encoded messages.
    pub up: f64,
    /// Received from a server: the encoded aggregate.
    pub down: f64,
}

impl MeanBytes {
    /// In units of 10⁶ bytes.
    pub fn megabytes(self) -> Self {
        Self { up: self.up / 1e6, down: self.down / 1e6 }
    }
}

impl From<&Traffic> for MeanBytes {
    fn from(traffic: &Traffic) -> Self {
        Self { up: traffic.up_per_worker(), down: traffic.down_per_worker() }
    }
}

impl AddAssign for MeanBytes {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.down += other.down;
    }
}
