//! The workers of a run: they speak at every step, or step by themselves in between.

use backburn_optim::{Fragments, Group, LocalSteps, Mail, SetupError, Snapshot, SnapshotError};

use super::inner::Inner;
use crate::models::Classifier;

/// How workers' messages travel.
pub type Post = Box<dyn Mail + Send>;

/// Workers that speak at every step, or that step by themselves in between.
pub(super) enum Rounds {
    Each(Box<Group<Post>>),
    Local(Box<LocalSteps<Classifier, Post>>),
}

impl Rounds {
    /// With an optimizer of its own between rounds, after so many steps, and in fragments where there are any.
    pub fn new(
        group: Group<Post>,
        model: &Classifier,
        own: Option<(Inner, u64)>,
        fragments: Option<Fragments>,
    ) -> Result<Self, SetupError> {
        let Some((inner, steps)) = own else { return Ok(Self::Each(Box::new(group))) };
        let local = LocalSteps::new(group, model.clone(), inner.optimizer(model), steps)?;
        let local = fragments.into_iter().try_fold(local, LocalSteps::with_fragments)?;
        Ok(Self::Local(Box::new(local)))
    }

    pub fn group(&self) -> &Group<Post> {
        match self {
            Self::Each(group) => group,
            Self::Local(local) => local.group(),
        }
    }

    pub fn group_mut(&mut self) -> &mut Group<Post> {
        match self {
            Self::Each(group) => group,
            Self::Local(local) => local.group_mut(),
        }
    }

    pub fn snapshot(&mut self, model: &Classifier) -> Result<Snapshot, SnapshotError> {
        match self {
            Self::Each(group) => group.snapshot(model),
            Self::Local(local) => local.snapshot(),
        }
    }

    pub fn restore(&mut self, model: Classifier, snapshot: &Snapshot) -> Result<Classifier, SnapshotError> {
        match self {
            Self::Each(group) => group.restore(model, snapshot),
            Self::Local(local) => local.restore(snapshot).map(|()| local.model().clone()),
        }
    }
}
