//! The loop over epochs, steps and workers.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::burn::data::dataloader::split::split_dataloader;
use ::burn::data::dataset::DatasetError;
use ::burn::optim::ModuleOptimizer;
use ::burn::tensor::Device;
use ::burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, LearnerModel,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainStep, TrainingComponents,
    TrainingError, TrainingItem, ValidLoader,
};

use super::metric::Meter;
use super::progress::{Follower, GroupProgress};
use super::ranks::{Carrier, Turn};
use crate::burn::asks_one_gradient;
use crate::burn::batch_norm::{self, StatisticsError};
use crate::{
    Bytes, Encoded, Fragments, Group, GroupConfig, InProcess, LocalSteps, Mail, RoundError, SetupError, Snapshot,
    SnapshotError, Transport, TransportError,
};

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

/// What workers do between two rounds.
#[derive(Clone)]
struct Local {
    /// H.
    steps: u64,
    outer_lr: f64,
    fragments: Fragments,
    inner: Arc<dyn Fn() -> ModuleOptimizer + Send + Sync>,
}

impl fmt::Debug for GroupStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupStrategy({:?}, {})", self.group, self.directory.display())
    }
}

/// Why such a training stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// Method, compressor, workers or model.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A round.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// A checkpoint of the workers' states.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Workers that step by themselves, in many processes.
    #[error("local steps under a Learner run in one process so far: `LocalSteps` runs in many")]
    LocalInRanks,
    /// What the other ranks of a training say, or that they do not.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Batch statistics.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A method whose gradients this loop cannot give.
    #[error(
        "`{0}` asks for several minibatches a step, for gradients elsewhere, or gives each node its own weights, which a Learner's loop cannot serve: use `Group::round_with`"
    )]
    Unserved(String),
    /// Accumulated gradients.
    #[error(
        "gradients cannot be accumulated over {0} batches by a group of workers: take larger batches, or more workers"
    )]
    Accumulation(usize),
    /// Fewer items than workers.
    #[error("not enough data: {workers} workers cannot each have a batch of {items} items")]
    NotEnough {
        /// n.
        workers: usize,
        /// Items in the training split.
        items: usize,
    },
}

impl From<StrategyError> for TrainingError {
    fn from(error: StrategyError) -> Self {
        // The only kind of burn-train's that takes any error.
        Self::Dataset(DatasetError::new(error))
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

/// How workers' messages travel.
type Post = Box<dyn Mail + Send>;

/// Workers that speak at every step, or that step by themselves in between.
enum Rounds<M: LearnerModel> {
    Each(Box<Group<Post>>),
    Local(Box<LocalSteps<M, Post>>, f64),
}

impl<M: LearnerModel> Rounds<M> {
    fn group(&self) -> &Group<Post> {
        match self {
            Self::Each(group) => group,
            Self::Local(local, _) => local.group(),
        }
    }
}

/// The workers and what they share, beside the learner's own state.
struct Workers<M: LearnerModel> {
    rounds: Rounds<M>,
    /// Steps taken.
    steps: u64,
    /// The ranks that have the other workers.
    carrier: Option<Carrier<<M as TrainStep>::Output>>,
    device: Device,
    learner: Learner<M>,
    statistics: Vec<f32>,
    bytes: Bytes<f64>,
    meter: Arc<Meter>,
    contraction: bool,
}

impl<M: LearnerModel> Workers<M> {
    fn new(
        strategy: &GroupStrategy,
        carrier: Option<Carrier<<M as TrainStep>::Output>>,
        learner: Learner<M>,
    ) -> Result<Self, StrategyError> {
        let model = learner.model();
        let mail: Post = match &carrier {
            None => Box::new(InProcess::new(strategy.group.workers())),
            Some(carrier) => Box::new(Encoded::new(carrier.ranks.clone())),
        };
        let group = strategy.group.init_with(mail, &model)?;
        if !asks_one_gradient(group.cluster()) {
            return Err(StrategyError::Unserved(group.cluster().algorithm().to_string()));
        }
        let statistics = batch_norm::statistics(&model);
        let rounds = match &strategy.local {
            None => Rounds::Each(Box::new(group)),
            Some(own) => {
                let local = LocalSteps::new(group, model, (own.inner)(), own.steps)?.with_fragments(own.fragments)?;
                Rounds::Local(Box::new(local), own.outer_lr)
            }
        };
        let (meter, contraction) = (strategy.meter.clone(), strategy.contraction);
        let device = strategy.device.clone();
        let bytes = Bytes::default();
        Ok(Self { rounds, steps: 0, carrier, device, learner, statistics, bytes, meter, contraction })
    }

    /// One step on one batch a worker; gives what the model said of each.
    fn step(&mut self, batches: Vec<<M as TrainStep>::Input>) -> Result<Vec<<M as TrainStep>::Output>, StrategyError> {
        let (mut grads, mut outputs, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for (worker, batch) in batches.into_iter().enumerate() {
            let own = match &self.rounds {
                Rounds::Each(_) => None,
                Rounds::Local(local, _) => local.replica(worker).cloned(),
            };
            let own = own.unwrap_or_else(|| self.learner.model());
            let model = batch_norm::with_statistics(own, &self.statistics)?;
            let output = TrainStep::step(&model, batch);
            seen.push(batch_norm::statistics(&model));
            grads.push(output.grads);
            outputs.push(output.item);
        }
        self.learner.lr_step();
        let lr = self.learner.lr_current();
        self.steps += 1;
        let group = match &mut self.rounds {
            Rounds::Each(group) => group,
            Rounds::Local(local, outer_lr) => {
                let mut grads: Vec<_> = grads.into_iter().map(Some).collect();
                let own = |worker: usize, _: &M| Ok(grads[worker].take().unwrap_or_default());
                let gradients = local.gradients(*outer_lr, own)?;
                local.take(lr, gradients);
                let Some(traffic) = local.arrive(*outer_lr)? else {
                    self.meter.step(Bytes::default(), None);
                    return Ok(outputs);
                };
                self.learner.load_model(local.model().clone().into_record());
                let bytes = traffic.per_worker();
                self.bytes += bytes;
                let contraction = if self.contraction { local.group_mut().observe().contraction() } else { None };
                self.meter.step(bytes, contraction);
                return Ok(outputs);
            }
        };
        let model = batch_norm::with_statistics(self.learner.model(), &self.statistics)?;
        let round = group.round(lr, &model, grads)?;
        let mut bytes = round.traffic().per_worker();
        let beside = if self.statistics.is_empty() { 0.0 } else { batch_norm::message_bytes(self.statistics.len()) };
        bytes += Bytes { up: beside, down: beside };
        self.bytes += bytes;
        let contraction = if self.contraction { group.observe().contraction() } else { None };
        self.meter.step(bytes, contraction);
        match round.direction() {
            Ok(direction) => self.learner.optimizer_step(direction),
            Err(_) => self.learner.load_model(round.try_apply(model).map_err(RoundError::from)?.into_record()),
        }
        if let Some(carrier) = &self.carrier {
            let (own, statistics) = (outputs.remove(0), seen.remove(0));
            (outputs, seen) = carrier.share(own, &statistics, &self.device)?;
        }
        self.statistics = batch_norm::average(&seen)?;
        // The learner's model shares its statistics with its clones.
        batch_norm::with_statistics(self.learner.model(), &self.statistics)?;
        Ok(outputs)
    }

    fn save(&mut self, path: &Path) -> Result<(), StrategyError> {
        let mut snapshot = match &mut self.rounds {
            Rounds::Each(group) => group.snapshot(&self.learner.model())?,
            Rounds::Local(local, _) => local.snapshot()?,
        };
        snapshot.numbers.insert(STEPS.into(), self.steps);
        snapshot.vectors.insert("batch-statistics".into(), self.statistics.clone());
        BYTES.iter().zip([self.bytes.up, self.bytes.down]).for_each(|(name, bytes)| snapshot.set_real(*name, bytes));
        Ok(snapshot.save(path)?)
    }

    fn progress(&self, epoch: usize) -> GroupProgress {
        GroupProgress { epoch, steps: self.steps, bytes: self.bytes }
    }

    fn load(&mut self, path: &Path) -> Result<(), StrategyError> {
        let snapshot = Snapshot::load(path)?;
        let statistics = snapshot.vector("batch-statistics")?.to_vec();
        let [up, down] = BYTES.map(|name| snapshot.real(name));
        let bytes = Bytes { up: up?, down: down? };
        let model = batch_norm::with_statistics(self.learner.model(), &statistics)?;
        let steps = snapshot.number(STEPS)?;
        let model = match &mut self.rounds {
            Rounds::Each(group) => group.restore(model, &snapshot)?,
            Rounds::Local(local, _) => {
                local.restore(&snapshot)?;
                local.model().clone()
            }
        };
        self.learner.load_model(model.into_record());
        (self.statistics, self.bytes, self.steps) = (statistics, bytes, steps);
        Ok(())
    }
}

/// What was sent so far, in a checkpoint.
const STEPS: &str = "run.steps";
const BYTES: [&str; 2] = ["run.bytes-up", "run.bytes-down"];

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
        let mut workers = match Workers::new(self, carrier, learner.clone()) {
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
        let devices = vec![self.device.clone(); workers.rounds.group().workers()];
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
                let (workers, items) =
                    (workers.rounds.group().workers(), shards.iter().map(|shard| shard.num_items()).sum());
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
