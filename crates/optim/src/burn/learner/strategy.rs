//! The loop over epochs, steps and workers.

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use ::burn::data::dataloader::split::split_dataloader;
use ::burn::optim::ModuleOptimizer;
use ::burn::tensor::Device;
use ::burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, LearnerModel,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainStep, TrainingComponents,
    TrainingItem, ValidLoader,
};

use super::carrier::{Carrier, Turn};
use super::error::StrategyError;
use super::metric::Meter;
use super::progress::Follower;
use super::workers::{Local, Workers};
use crate::burn::GroupConfig;
use crate::host::{Fragments, SetupError, Transport};

/// Trains on n simulated workers that exchange compressed gradients. Each has one contiguous shard of
/// the training loader's data.
///
/// Where the method leaves the step open (`ef-sgd:outside`, say) the learner's own optimizer follows the
/// decoded mean; otherwise the method moves the weights itself and the optimizer rests. Running
/// statistics of batch normalisation are common to all workers: restored before each worker's pass
/// and averaged after it.
///
/// With [`local steps`](Self::with_local_steps) every worker follows an optimizer of its own on a replica of its own, and
/// they exchange how far they came every H steps; the learner's model is the common one, and its own optimizer rests.
///
/// Beside each of the learner's checkpoints lies `checkpoint/group-EPOCH.safetensors` with every worker's
/// residuals, momenta and memos, the statistics and the weights: a resumed run goes on with it. The
/// loaders' order is brought to where it was by passing over the epochs that are done.
///
/// Methods that ask for several minibatches, for gradients elsewhere, or give each node its own weights are refused
/// at the start, as are accumulated gradients and fewer items than workers.
///
/// A run stops with an error through the learner's interrupter, so that `launch` reports it.
#[derive(Clone)]
pub struct GroupStrategy {
    group: GroupConfig,
    device: Device,
    directory: PathBuf,
    follower: Option<Arc<dyn Follower>>,
    meter: Arc<Meter>,
    contraction: bool,
    local: Option<Local>,
}

impl fmt::Debug for GroupStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupStrategy({:?}, {})", self.group, self.directory.display())
    }
}

impl GroupStrategy {
    /// For this group on this device, which must have autodiff. `directory` is that of
    /// `SupervisedTraining`.
    pub fn new(group: GroupConfig, device: Device, directory: impl Into<PathBuf>) -> Self {
        let meter = Arc::default();
        Self { group, device, directory: directory.into(), follower: None, meter, contraction: false, local: None }
    }

    /// Has workers take H steps by themselves between two rounds, each with an optimizer of its own that `inner` makes.
    /// The learner's scheduler gives its step sizes, `outer_lr` is that of the rounds; a round is of one of the fragments
    /// where there are several. An epoch may end between two rounds.
    pub fn with_local_steps(
        self,
        steps: u64,
        outer_lr: f64,
        fragments: Fragments,
        inner: impl Fn() -> ModuleOptimizer + Send + Sync + 'static,
    ) -> Self {
        Self { local: Some(Local { steps, outer_lr, fragments, inner: Arc::new(inner) }), ..self }
    }

    /// Measures the contraction after every step, for [`ContractionMetric`](super::ContractionMetric), at the price
    /// of a few passes over memory.
    pub fn with_contraction(self) -> Self {
        Self { contraction: true, ..self }
    }

    /// What [`BytesMetric`](super::BytesMetric) and [`ContractionMetric`](super::ContractionMetric) read.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    /// With someone who is told of every step and may stop the training.
    pub fn followed_by(self, follower: Arc<dyn Follower>) -> Self {
        Self { follower: Some(follower), ..self }
    }

    /// The last epoch that can be gone on from: all that it needs was written.
    pub fn last_epoch(&self) -> Option<usize> {
        let names = std::fs::read_dir(self.directory.join("checkpoint")).into_iter().flatten().flatten();
        let names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let there = |prefix: &str, epoch: usize| {
            let start = format!("{prefix}-{epoch}.");
            names.iter().any(|name| name.starts_with(&start))
        };
        let epochs = names.iter().filter_map(|name| name.strip_prefix("group-")?.split_once('.')?.0.parse().ok());
        epochs.filter(|epoch| ["model", "optim", "scheduler"].iter().all(|part| there(part, *epoch))).max()
    }

    fn file(&self, epoch: usize) -> PathBuf {
        self.directory.join("checkpoint").join(format!("group-{epoch}.safetensors"))
    }

    /// Removes the files of epochs whose model the learner's checkpointer has removed.
    fn clean(&self, last: usize) {
        let kept = |epoch: usize| {
            let names = std::fs::read_dir(self.directory.join("checkpoint")).into_iter().flatten().flatten();
            let prefix = format!("model-{epoch}.");
            names.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with(&prefix))
        };
        // What cannot be removed only takes up room.
        (1..last).filter(|epoch| !kept(*epoch)).for_each(|epoch| drop(std::fs::remove_file(self.file(epoch))));
    }
}

impl<M: LearnerModel> SupervisedLearningStrategy<M> for GroupStrategy {
    fn fit(
        &self,
        parts: TrainingComponents<M>,
        learner: Learner<M>,
        train: TrainLoader<M>,
        valid: ValidLoader<M>,
        first: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        self.fit_among(None, parts, learner, train, valid, first)
    }
}

impl GroupStrategy {
    /// With all workers, or as one of these ranks.
    pub(super) fn fit_among<M: LearnerModel>(
        &self,
        carrier: Option<Carrier<<M as TrainStep>::Output>>,
        mut parts: TrainingComponents<M>,
        mut learner: Learner<M>,
        train: TrainLoader<M>,
        valid: ValidLoader<M>,
        first: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        learner.fork(&self.device);
        let ranks = carrier.as_ref().map(|carrier| (carrier.ranks.rank(), carrier.ranks.size()));
        let (items, wanted) = (train.num_items(), ranks.map_or(self.group.workers(), |(_, size)| size));
        // Before any memory is taken.
        let refused = match parts.grad_accumulation {
            Some(batches) if batches > 1 => Some(StrategyError::Accumulation(batches)),
            _ if ranks.is_some() && self.local.is_some() => Some(StrategyError::LocalInRanks),
            _ if ranks.is_some() && ![1, wanted].contains(&self.group.workers()) => {
                Some(SetupError::Workers { asked: self.group.workers(), there: wanted }.into())
            }
            _ if items < wanted => Some(StrategyError::NotEnough { workers: wanted, items }),
            _ => None,
        };
        if let Some(error) = refused {
            parts.interrupter.fail(error);
            return (learner.model(), parts.event_processor);
        }
        let (local, measured) = (self.local.as_ref(), (self.meter.clone(), self.contraction));
        let started = Workers::new(&self.group, local, carrier, learner.clone(), self.device.clone(), measured);
        let mut workers = match started {
            Ok(workers) => workers,
            Err(error) => {
                parts.interrupter.fail(error);
                return (learner.model(), parts.event_processor);
            }
        };
        let interrupter = parts.interrupter.clone();
        if let Some(epoch) = parts.checkpoint
            && let Err(error) = workers.load(&self.file(epoch))
        {
            interrupter.fail(error);
            return (workers.learner.model(), parts.event_processor);
        }
        let devices = vec![self.device.clone(); workers.count()];
        let mut shards: Vec<_> = split_dataloader(train, &devices).iter().map(|s| s.to_device(&self.device)).collect();
        if let Some((rank, _)) = ranks {
            shards = vec![shards.swap_remove(rank)];
        }
        let valid = valid.to_device(&self.device.clone().inner());
        // A loader's order is another in every pass.
        (1..first).for_each(|_| shards.iter().for_each(|shard| drop(shard.iter())));

        let mut events = parts.event_processor;
        for epoch in first..=parts.num_epochs {
            let tell = |told| interrupter.fail_on_error(told);
            tell(events.process_train(LearnerEvent::StartSplit { epoch_number: epoch, total_items: items }));
            let follow = |workers: &Workers<M>| match &self.follower {
                Some(follower) => follower.at(&workers.progress(epoch)),
                None => ControlFlow::Continue(()),
            };
            train_epoch(&mut workers, &shards, &mut events, &interrupter, follow);
            tell(events.process_train(LearnerEvent::EndSplit(epoch)));
            if interrupter.should_stop() {
                break;
            }
            let total_items = valid.num_items();
            tell(events.process_valid(LearnerEvent::StartSplit { epoch_number: epoch, total_items }));
            validate(&workers.learner.model().valid(), &valid, &mut events, &interrupter);
            tell(events.process_valid(LearnerEvent::EndSplit(epoch)));
            tell(events.process_train(LearnerEvent::EndEpoch(epoch)));
            tell(events.flush());
            if interrupter.should_stop() {
                break;
            }
            if let Some(checkpointer) = &mut parts.checkpointer {
                checkpointer.checkpoint(&workers.learner, epoch, &parts.event_store);
                if let Err(error) = workers.save(&self.file(epoch)) {
                    interrupter.fail(error);
                    break;
                }
                self.clean(epoch);
            }
            if let Some(early) = &mut parts.early_stopping
                && early.should_stop(epoch, &parts.event_store)
            {
                break;
            }
        }
        (workers.learner.model(), events)
    }
}

/// One pass: ends where the first worker's shard does.
fn train_epoch<M: LearnerModel>(
    workers: &mut Workers<M>,
    shards: &[TrainLoader<M>],
    events: &mut SupervisedTrainingEventProcessor<M>,
    interrupter: &Interrupter,
    follow: impl Fn(&Workers<M>) -> ControlFlow<()>,
) {
    let mut loaders: Vec<_> = shards.iter().map(|shard| shard.iter()).collect();
    let mut iteration = 0;
    let stopped = || interrupter.stop(Some("whoever follows the training has stopped it"));
    loop {
        let mut batches = Vec::with_capacity(loaders.len());
        let mut turn = if interrupter.should_stop() { Turn::Stop } else { Turn::Step };
        for loader in &mut loaders {
            if turn != Turn::Step {
                break;
            }
            match loader.next() {
                Some(Ok(batch)) => batches.push(batch),
                Some(Err(error)) => return interrupter.fail(error),
                None => turn = Turn::End,
            }
        }
        // At an end too, though no step is left to stop before.
        if turn != Turn::Stop && follow(workers).is_break() && turn == Turn::Step {
            turn = Turn::Stop;
            stopped();
        }
        if let Some(carrier) = &workers.carrier {
            turn = match carrier.turn(turn) {
                Ok(turn) => turn,
                Err(error) => return interrupter.fail(StrategyError::from(error)),
            };
        }
        match turn {
            Turn::Step => {}
            Turn::End if iteration == 0 => {
                let (workers, items) = (workers.count(), shards.iter().map(|shard| shard.num_items()).sum());
                return interrupter.fail(StrategyError::NotEnough { workers, items });
            }
            Turn::End => return,
            // Here, or in another rank.
            Turn::Stop if interrupter.should_stop() => return,
            Turn::Stop => return stopped(),
        }
        let outputs = match workers.step(batches) {
            Ok(outputs) => outputs,
            Err(error) => return interrupter.fail(error),
        };
        for (worker, output) in outputs.into_iter().enumerate() {
            // Shards are of one length, and ranks see their own.
            let loader = &loaders[worker.min(loaders.len() - 1)];
            iteration += 1;
            let lr = Some(workers.learner.lr_current());
            let item = TrainingItem::new(output, loader.progress(), Some(iteration), lr);
            interrupter.fail_on_error(events.process_train(LearnerEvent::ProcessedItem(item)));
        }
    }
}

fn validate<M: LearnerModel>(
    model: &M,
    valid: &ValidLoader<M>,
    events: &mut SupervisedTrainingEventProcessor<M>,
    interrupter: &Interrupter,
) {
    let mut loader = valid.iter();
    let mut iteration = 0;
    while let Some(batch) = loader.next() {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return interrupter.fail(error),
        };
        iteration += 1;
        let item = TrainingItem::new(InferenceStep::step(model, batch), loader.progress(), Some(iteration), None);
        interrupter.fail_on_error(events.process_valid(LearnerEvent::ProcessedItem(item)));
        if interrupter.should_stop() {
            return;
        }
    }
}
