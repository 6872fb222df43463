//! The workers of a training, however often they speak.

use ::burn::module::Module;
use ::burn::optim::ModuleOptimizer;

use crate::burn::group::Group;
use crate::burn::local_steps::LocalSteps;
use crate::checkpoint::{Snapshot, SnapshotError};
use crate::host::{Fragments, InProcess, Mail, SetupError};

/// Workers that speak at every step, or that step by themselves in between: what a loop holds that can do either.
#[derive(Debug)]
pub enum Rounds<M: Module, P: Mail = InProcess> {
    /// A round a step.
    Each(Box<Group<P>>),
    /// A round, or one of a fragment, after several.
    Local(Box<LocalSteps<M, P>>),
}

impl<M: Module, P: Mail> Rounds<M, P> {
    /// Where there is an optimizer, it is every worker's own for so many steps between two rounds.
    ///
    /// # Errors
    /// As [`LocalSteps::new`] and [`LocalSteps::with_fragments`].
    pub fn new(
        group: Group<P>,
        model: &M,
        own: Option<(ModuleOptimizer, u64)>,
        fragments: Fragments,
    ) -> Result<Self, SetupError> {
        let Some((inner, steps)) = own else { return Ok(Self::Each(Box::new(group))) };
        let local = LocalSteps::new(group, model.clone(), inner, steps)?.with_fragments(fragments)?;
        Ok(Self::Local(Box::new(local)))
    }

    /// The workers.
    pub fn group(&self) -> &Group<P> {
        match self {
            Self::Each(group) => group,
            Self::Local(local) => local.group(),
        }
    }

    /// The workers, to be measured or moved.
    pub fn group_mut(&mut self) -> &mut Group<P> {
        match self {
            Self::Each(group) => group,
            Self::Local(local) => local.group_mut(),
        }
    }

    /// Where this worker computes its next gradient; `None` at the common model, or where it is not one of this process.
    pub fn replica(&self, worker: usize) -> Option<&M> {
        match self {
            Self::Each(_) => None,
            Self::Local(local) => local.replica(worker),
        }
    }

    /// All states of this process's workers, exactly, and a model: this one, or the one that stepping workers share.
    ///
    /// # Errors
    /// Where the model is another than the group's.
    pub fn snapshot(&mut self, model: &M) -> Result<Snapshot, SnapshotError> {
        match self {
            Self::Each(group) => group.snapshot(model),
            Self::Local(local) => local.snapshot(),
        }
    }

    /// Goes on from a snapshot, and gives the model as it was saved.
    ///
    /// # Errors
    /// As [`Group::restore`]. Nothing has changed then.
    pub fn restore(&mut self, model: M, snapshot: &Snapshot) -> Result<M, SnapshotError> {
        match self {
            Self::Each(group) => group.restore(model, snapshot),
            Self::Local(local) => local.restore(snapshot).map(|()| local.model().clone()),
        }
    }
}
