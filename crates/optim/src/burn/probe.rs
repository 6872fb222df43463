//! What an optimizer of one worker has done, readable while it runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one optimizer: its `step` can return no error.
#[derive(Debug, Default)]
pub struct Probe {
    pub(super) bytes_up: AtomicU64,
    pub(super) steps: AtomicU64,
    pub(super) rounds: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) unreadable: AtomicU64,
}

impl Probe {
    /// Bytes that this worker would have sent, from the encoded messages, a header a parameter.
    pub fn bytes_up(&self) -> u64 {
        self.bytes_up.load(Relaxed)
    }

    /// Steps of single parameters that were taken.
    pub fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    /// Steps of the whole module, as its first parameter counts them.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Relaxed)
    }

    /// Steps of single parameters that were refused, with tensor and state left as they were: a gradient, a step
    /// size or a result that is not finite, or a gradient of another shape.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }

    /// States that did not fit and were started anew: from a record of another optimizer, or of a parameter whose
    /// shape has changed.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Relaxed)
    }

    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }
}
