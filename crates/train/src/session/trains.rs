//! What a session steps.

use backburn_optim::{Snapshot, SnapshotError};

use super::step::MeanBytes;

/// A training that takes steps and can be kept: the workers, the hosts of their gradients, and what they move.
pub trait Trains {
    /// Why a step was not taken.
    type Error: From<SnapshotError>;

    /// The step of this number, of size γ.
    ///
    /// # Errors
    /// Where it cannot be taken. What moves by [rounds](backburn_optim::Cluster::round) has not moved then.
    fn step(&mut self, step: u64, lr: f64) -> Result<Stepped, Self::Error>;

    /// Whether this says that a gradient was not finite.
    fn is_non_finite(error: &Self::Error) -> bool;

    /// The step has failed and will be tried anew: positions in the data go back to where they were.
    fn undo(&mut self, step: u64) {
        let _ = step;
    }

    /// The step has failed for a gradient that was not finite and is passed over: positions in the data stay.
    fn skip(&mut self, step: u64) -> Stepped {
        let _ = step;
        Stepped { loss: f64::NAN, bytes: MeanBytes::default() }
    }

    /// All its state, exactly; nothing in it begins with `run.`, which is the session's.
    ///
    /// # Errors
    /// Where it cannot be written down.
    fn snapshot(&mut self) -> Result<Snapshot, Self::Error>;

    /// Goes on from a snapshot. On an error nothing has changed.
    ///
    /// # Errors
    /// Where it is damaged, or another training's.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Self::Error>;
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stepped {
    /// The mean loss over the workers' batches; not a number where nobody looked.
    pub loss: f64,
    /// What a worker sent and received.
    pub bytes: MeanBytes,
}
