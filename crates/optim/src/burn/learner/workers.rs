//! The workers of a training and what they share, beside the learner's own state.

use std::path::Path;
use std::sync::Arc;

use ::burn::optim::ModuleOptimizer;
use ::burn::tensor::Device;
use ::burn::train::{Learner, LearnerModel, TrainStep};

use super::carrier::Carrier;
use super::error::StrategyError;
use super::metric::Meter;
use super::progress::GroupProgress;
use crate::burn::{GroupConfig, Rounds, asks_one_gradient, batch_norm};
use crate::checkpoint::Snapshot;
use crate::host::{Bytes, Encoded, Fragments, InProcess, Mail, RoundError};

/// What workers do between two rounds.
#[derive(Clone)]
pub(super) struct Local {
    /// H.
    pub steps: u64,
    pub outer_lr: f64,
    pub fragments: Fragments,
    pub inner: Arc<dyn Fn() -> ModuleOptimizer + Send + Sync>,
}

/// How workers' messages travel.
type Post = Box<dyn Mail + Send>;

/// The workers and what they share, beside the learner's own state.
pub(super) struct Workers<M: LearnerModel> {
    rounds: Rounds<M, Post>,
    /// That of the rounds of workers that step by themselves.
    outer_lr: f64,
    /// Steps taken.
    steps: u64,
    /// The ranks that have the other workers.
    pub carrier: Option<Carrier<<M as TrainStep>::Output>>,
    device: Device,
    pub learner: Learner<M>,
    statistics: Vec<f32>,
    bytes: Bytes<f64>,
    meter: Arc<Meter>,
    contraction: bool,
}

impl<M: LearnerModel> Workers<M> {
    /// All workers of this configuration, or the one that this rank is.
    pub fn new(
        config: &GroupConfig,
        local: Option<&Local>,
        carrier: Option<Carrier<<M as TrainStep>::Output>>,
        learner: Learner<M>,
        device: Device,
        (meter, contraction): (Arc<Meter>, bool),
    ) -> Result<Self, StrategyError> {
        let model = learner.model();
        let mail: Post = match &carrier {
            None => Box::new(InProcess::new(config.workers())),
            Some(carrier) => Box::new(Encoded::new(carrier.ranks.clone())),
        };
        let group = config.init_with(mail, &model)?;
        if !asks_one_gradient(group.cluster()) {
            return Err(StrategyError::Unserved(group.cluster().algorithm().to_string()));
        }
        let statistics = batch_norm::statistics(&model);
        let own = local.map(|own| ((own.inner)(), own.steps));
        let rounds = Rounds::new(group, &model, own, local.map_or(Fragments::WHOLE, |own| own.fragments))?;
        let outer_lr = local.map_or(1.0, |own| own.outer_lr);
        let bytes = Bytes::default();
        Ok(Self { rounds, outer_lr, steps: 0, carrier, device, learner, statistics, bytes, meter, contraction })
    }

    /// How many there are, in all processes.
    pub fn count(&self) -> usize {
        self.rounds.group().workers()
    }

    /// One step on one batch a worker; gives what the model said of each.
    pub fn step(
        &mut self,
        batches: Vec<<M as TrainStep>::Input>,
    ) -> Result<Vec<<M as TrainStep>::Output>, StrategyError> {
        let (mut grads, mut outputs, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for (worker, batch) in batches.into_iter().enumerate() {
            let own = self.rounds.replica(worker).cloned().unwrap_or_else(|| self.learner.model());
            let model = batch_norm::with_statistics(own, &self.statistics)?;
            let output = TrainStep::step(&model, batch);
            seen.push(batch_norm::statistics(&model));
            grads.push(output.grads);
            outputs.push(output.item);
        }
        self.learner.lr_step();
        let lr = self.learner.lr_current();
        self.steps += 1;
        let bytes = match &mut self.rounds {
            Rounds::Each(group) => {
                let model = batch_norm::with_statistics(self.learner.model(), &self.statistics)?;
                let round = group.round(lr, &model, grads)?;
                let mut bytes = round.traffic().per_worker();
                match round.direction() {
                    Ok(direction) => self.learner.optimizer_step(direction),
                    Err(_) => self.learner.load_model(round.try_apply(model).map_err(RoundError::from)?.into_record()),
                }
                let beside = batch_norm::message_bytes(self.statistics.len());
                bytes += Bytes { up: beside, down: beside };
                Some(bytes)
            }
            Rounds::Local(local) => {
                let mut grads: Vec<_> = grads.into_iter().map(Some).collect();
                let own = |worker: usize, _: &M| Ok(grads[worker].take().unwrap_or_default());
                let gradients = local.gradients(self.outer_lr, own)?;
                local.take(lr, gradients);
                let traffic = local.arrive(self.outer_lr)?;
                if traffic.is_some() {
                    self.learner.load_model(local.model().clone().into_record());
                }
                traffic.map(|traffic| traffic.per_worker())
            }
        };
        let measured = bytes.is_some() && self.contraction;
        let contraction = if measured { self.rounds.group_mut().observe().contraction() } else { None };
        self.meter.step(bytes.unwrap_or_default(), contraction);
        self.bytes += bytes.unwrap_or_default();
        if let Some(carrier) = &self.carrier {
            let (own, statistics) = (outputs.remove(0), seen.remove(0));
            (outputs, seen) = carrier.share(own, &statistics, &self.device)?;
        }
        self.statistics = batch_norm::average(&seen)?;
        // The learner's model shares its statistics with its clones.
        batch_norm::with_statistics(self.learner.model(), &self.statistics)?;
        Ok(outputs)
    }

    pub fn save(&mut self, path: &Path) -> Result<(), StrategyError> {
        let mut snapshot = self.rounds.snapshot(&self.learner.model())?;
        snapshot.numbers.insert(STEPS.into(), self.steps);
        snapshot.vectors.insert("batch-statistics".into(), self.statistics.clone());
        BYTES.iter().zip([self.bytes.up, self.bytes.down]).for_each(|(name, bytes)| snapshot.set_real(*name, bytes));
        Ok(snapshot.save(path)?)
    }

    pub fn progress(&self, epoch: usize) -> GroupProgress {
        GroupProgress { epoch, steps: self.steps, bytes: self.bytes }
    }

    pub fn load(&mut self, path: &Path) -> Result<(), StrategyError> {
        let snapshot = Snapshot::load(path)?;
        let statistics = snapshot.vector("batch-statistics")?.to_vec();
        let [up, down] = BYTES.map(|name| snapshot.real(name));
        let bytes = Bytes { up: up?, down: down? };
        let model = batch_norm::with_statistics(self.learner.model(), &statistics)?;
        let steps = snapshot.number(STEPS)?;
        let model = self.rounds.restore(model, &snapshot)?;
        self.learner.load_model(model.into_record());
        (self.statistics, self.bytes, self.steps) = (statistics, bytes, steps);
        Ok(())
    }
}

/// What was sent so far, in a checkpoint.
const STEPS: &str = "run.steps";
const BYTES: [&str; 2] = ["run.bytes-up", "run.bytes-down"];
