//! A training in many processes, of which each shows the metrics of all.

use std::marker::PhantomData;

use ::burn::train::{
    Learner, LearnerModel, SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainStep,
    TrainingComponents, ValidLoader,
};

use super::carrier::{Carried, Carrier, Ranks};
use super::strategy::GroupStrategy;
use crate::host::Transport;

/// A [`GroupStrategy`] of which each process is one worker: every rank launches the same training, with a directory of its
/// own. All of them hear what the model says of every worker's batch, so that metrics, early stopping and checkpoints are
/// those of the simulation, bit for bit; the first one should have the renderer that is looked at. A training that one
/// rank stops ends in all.
///
/// Checkpoints hold each rank's own states: a run resumes with as many ranks as it had.
pub struct RankStrategy<O> {
    strategy: GroupStrategy,
    ranks: Ranks,
    outputs: PhantomData<fn() -> O>,
}

impl<O> std::fmt::Debug for RankStrategy<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RankStrategy(rank {} of {}, {:?})", self.ranks.rank(), self.ranks.size(), self.strategy)
    }
}

impl GroupStrategy {
    /// As one of the ranks that this transport joins.
    pub fn over<O: Carried>(self, transport: impl Transport + Send + 'static) -> RankStrategy<O> {
        RankStrategy { strategy: self, ranks: Ranks::new(transport), outputs: PhantomData }
    }
}

impl<M: LearnerModel> SupervisedLearningStrategy<M> for RankStrategy<<M as TrainStep>::Output>
where
    <M as TrainStep>::Output: Carried,
{
    fn fit(
        &self,
        parts: TrainingComponents<M>,
        learner: Learner<M>,
        train: TrainLoader<M>,
        valid: ValidLoader<M>,
        first: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        let carried = Carrier { ranks: self.ranks.clone(), to: Carried::to_bytes, from: Carried::from_bytes };
        self.strategy.fit_among(Some(carried), parts, learner, train, valid, first)
    }
}
