//! How far a training is, and who is told.

use std::ops::ControlFlow;

use crate::host::Bytes;

/// How far a training on a group of workers is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupProgress {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps taken since the very first.
    pub steps: u64,
    /// What each worker has sent and received since then, the mean over workers; batch statistics included.
    pub bytes: Bytes<f64>,
}

/// Follows a training from step to step.
pub trait Follower: Send + Sync {
    /// A step is about to begin, or an epoch's last one was taken. `Break` stops the training before the
    /// step, and what was done of its epoch is lost.
    fn at(&self, progress: &GroupProgress) -> ControlFlow<()>;
}

impl<F: Fn(&GroupProgress) -> ControlFlow<()> + Send + Sync> Follower for F {
    fn at(&self, progress: &GroupProgress) -> ControlFlow<()> {
        self(progress)
    }
}
