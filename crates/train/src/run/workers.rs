//! Workers that train a classifier: all n simulated in this process, or its share of them.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Instant;

use backburn_compress::{Message, Payload, message_bytes};
use backburn_optim::{
    Bytes, DeviceKind, Encoded, Fragments, Gradient, Group, GroupConfig, InProcess, Load, Machines, Mail, ModuleHost,
    Observation, OnLink, Round, RoundError, Rounds, Snapshot, SnapshotError, Traffic,
};
use burn::tensor::Device;

use super::config::{ConfigError, RunConfig};
use super::error::RunError;
use super::machine::Machine;
use super::metrics::Measured;
use super::parts::{CURSOR, PENDING};
use super::ranks::{Ranks, Report, Wish};
use super::serving::Serving;
use crate::data::{Cursor, Examples, Sampler, Split};
use crate::models::{Classifier, Evaluation, batch_norm, evaluate};
use crate::session::{Keeps, Stepped, Trains};

/// How workers' messages travel.
pub type Post = Box<dyn Mail + Send>;

/// n workers, their shares of the data, and one model. Of n processes each has a share of them; what they come to, and
/// every bit of it, is the same.
pub struct Workers {
    config: RunConfig,
    /// The processes that have the others.
    ranks: Option<Ranks>,
    /// The workers of this process.
    seats: Range<usize>,
    /// Where those of a machine add up their gradients.
    machine: Option<Machine>,
    device: Device,
    device_kind: DeviceKind,
    split: Split<Examples>,
    /// Of the training data, once it was asked for.
    digest: OnceLock<String>,
    shards: Vec<Vec<usize>>,
    samplers: Vec<Sampler>,
    /// Where the samplers were before the last step.
    before: Vec<Sampler>,
    model: Classifier,
    rounds: Rounds<Classifier, Post>,
    /// The common batch statistics.
    statistics: Vec<f32>,
    /// Each own worker's gradient of the last step, where it is exchanged during the next.
    pending: Option<Vec<Gradient>>,
    /// What was pending before the last step.
    pended: Option<Vec<Gradient>>,
    /// The mean loss of the last step's batches, that of a failed one included.
    loss: f64,
    /// What the last step's exchange takes on the configuration's links, and what all so far do.
    on_link: Option<(OnLink, OnLink)>,
    /// Seconds of steps that workers take by themselves, and of the rounds in between that they wait for.
    apart: f64,
    waited: f64,
    /// What this process wishes, and what has been granted in the last step.
    wish: Wish,
    granted: Wish,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} workers on {}, {}", self.config.workers, self.config.data, self.config.model)
    }
}

impl Workers {
    /// Builds the model, and deals the data to the workers.
    ///
    /// # Errors
    /// Where data, model, method and workers do not go together.
    pub fn new(config: RunConfig, split: Split<Examples>) -> Result<Self, RunError> {
        Self::over(config, split, None)
    }

    /// As [`new`](Self::new), where there are ranks with this process's share of the workers.
    ///
    /// # Errors
    /// As there, and where processes do not go together or hear each other.
    pub fn over(config: RunConfig, split: Split<Examples>, ranks: Option<Ranks>) -> Result<Self, RunError> {
        match &ranks {
            None => Self::build(config, split, None),
            Some(all) => {
                all.compare(&config, &split.train.digest())?;
                Self::build(config, split, ranks.clone())
            }
        }
    }

    fn build(config: RunConfig, split: Split<Examples>, ranks: Option<Ranks>) -> Result<Self, RunError> {
        config.check()?;
        let mut split = config.fit(split)?;
        if config.augment && !split.train.are_images() {
            return Err(ConfigError::Augment(config.data.to_string()).into());
        }
        let device_kind = config.device.resolve()?;
        let device = device_kind.device()?.autodiff();
        if config.subset > 0 && config.subset < split.train.len() {
            split.train = split.train.first_of_each(config.subset);
        }
        let shards = config.partition.split(split.train.labels(), config.workers, config.seed)?;
        let samplers = (shards.iter().enumerate())
            .map(|(w, shard)| Sampler::new(shard.clone(), config.batch, config.seed, w as u32))
            .collect::<Result<Vec<_>, _>>()?;
        let model = config.model.build(split.train.shape(), split.train.classes(), config.seed, &device)?;
        let seats = ranks.as_ref().map_or(Ok(0..config.workers), |ranks| ranks.seats(config.workers))?;
        let of_machine = |workers| Machine::new(workers, &seats, ranks.as_ref());
        let machine = config.machine().map(of_machine).transpose()?;
        // Who speaks: a machine, or a worker.
        let speakers = |workers: usize| workers / config.machine().unwrap_or(1);
        let links = || config.link.as_ref().map(|links| links.of_machines(config.machine().unwrap_or(1)));
        let mail: Post = match (&ranks, machine.as_ref().map_or(1, Machine::processes)) {
            (None, _) => Box::new(InProcess::new(speakers(config.workers))),
            (Some(ranks), 1) => {
                let mail = Encoded::with_seats(ranks.clone(), speakers(seats.len()));
                Box::new(mail.with_plan(config.plan, links()).with_fast_reduce(ranks.is_fast()))
            }
            (Some(ranks), n) => Box::new(Encoded::new(Machines::new(ranks.clone(), n)).with_plan(config.plan, links())),
        };
        let group = GroupConfig::any(config.algorithm.clone(), config.compressor.clone())
            .with_workers(speakers(config.workers))
            .with_seed(config.seed)
            .with_scope(config.scope)
            .with_dense_below(config.dense_below)
            .with_groups(config.groups.clone())
            .init_with(mail, &model)?;
        let own = config.inner_optimizer().map(|inner| (inner.optimizer(&model), config.local_steps()));
        let rounds = Rounds::new(group, &model, own, config.fragments.unwrap_or(Fragments::WHOLE))?;
        let statistics = batch_norm::statistics(&model);
        let before = samplers.clone();
        let on_link = config.link.as_ref().map(|_| Default::default());
        let (loss, wish) = (f64::NAN, Wish::default());
        Ok(Self {
            config,
            ranks,
            seats,
            machine,
            device,
            device_kind,
            split,
            digest: OnceLock::new(),
            shards,
            samplers,
            before,
            model,
            rounds,
            statistics,
            pending: None,
            pended: None,
            loss,
            on_link,
            apart: 0.0,
            waited: 0.0,
            wish,
            granted: wish,
        })
    }

    /// Loss and accuracy on the test part, with the common batch statistics.
    ///
    /// # Errors
    /// Where these do not fit the model.
    pub fn evaluate(&self) -> Result<Evaluation, RunError> {
        self.evaluate_on(&self.split.test)
    }

    /// As [`evaluate`](Self::evaluate), with what the numbers are of.
    ///
    /// # Errors
    /// As there.
    pub fn measure(&self) -> Result<Measured, RunError> {
        Ok(Measured { evaluation: self.evaluate()?, text: self.split.test.are_text() })
    }

    /// As [`evaluate`](Self::evaluate), on other examples.
    ///
    /// # Errors
    /// As there.
    pub fn evaluate_on(&self, examples: &Examples) -> Result<Evaluation, RunError> {
        Ok(evaluate(&self.model()?, examples, &self.device.clone().inner()))
    }

    /// What is trained on, and measured on.
    pub fn split(&self) -> &Split<Examples> {
        &self.split
    }

    /// Measures what every worker of this process owes.
    pub fn observe(&mut self) -> Observation {
        self.rounds.group_mut().observe()
    }

    /// Measures what every worker owes; all processes call it together.
    ///
    /// # Errors
    /// Where these do not hear each other.
    pub fn observe_all(&mut self) -> Result<Observation, RunError> {
        let own = match self.machine.as_ref().is_none_or(Machine::leads) {
            true => self.rounds.group_mut().observe(),
            false => Observation { residual_norms: vec![], contractions: vec![], densities: vec![] },
        };
        Ok(match &self.ranks {
            None => own,
            Some(ranks) => ranks.observe(&own)?,
        })
    }

    /// The processes that have the other workers.
    pub fn ranks(&self) -> Option<&Ranks> {
        self.ranks.as_ref()
    }

    /// What this process wishes from the next step on.
    pub(super) fn wish(&mut self, wish: Wish) {
        self.wish = wish;
    }

    /// What all do after the last step, since one of them wished it.
    pub(super) fn granted(&self) -> Wish {
        self.granted
    }

    /// Makes the model what it is in one process: under gossip the mean of all nodes. All processes call it together.
    ///
    /// # Errors
    /// Where they do not hear each other.
    pub fn settle(&mut self) -> Result<(), RunError> {
        if let Some(ranks) = &self.ranks {
            ranks.rejoin();
        }
        let Some(ranks) = self.ranks.as_ref().filter(|_| self.config.algorithm.is_gossip()) else { return Ok(()) };
        let cluster = self.rounds.group().cluster();
        let own: Vec<&[f32]> = cluster.seats().filter_map(|w| cluster.node(w)).map(|x| x.as_slice()).collect();
        let nodes = ranks.nodes(&own)?;
        let d = self.rounds.group().layout().len();
        if nodes.len() != self.config.workers || nodes.iter().any(|x| x.len() != d) {
            let why = format!("{} nodes for {} workers", nodes.len(), self.config.workers);
            return Err(backburn_optim::TransportError::new(why).into());
        }
        let mean = backburn_optim::mean_of_nodes(nodes.iter().map(Vec::as_slice));
        let group = self.rounds.group();
        self.model = group.with_parameters(self.model.clone(), mean.as_slice()).map_err(SnapshotError::from)?;
        Ok(())
    }

    /// A step of every worker by itself, and with the last of them a round.
    fn local_step(&mut self, lr: f64) -> Result<Stepped, RunError> {
        let (n, outer) = (self.config.workers, self.config.outer_lr());
        let Rounds::Local(local) = &mut self.rounds else { unreachable!("the caller has looked") };
        let (train, augment) = (&self.split.train, self.config.augment);
        let mut host = Serving::new(train, &self.shards, &mut self.samplers, augment, &self.device, &self.statistics);
        let (due, started) = (local.is_due(), Instant::now());
        let gradients = match due {
            true => Ok(None),
            false => local.gradients(outer, |worker, replica| host.gradient(worker, replica, 1)).map(Some),
        };
        // Nobody steps unless all can.
        let report = Report { losses: host.losses, statistics: vec![None; n], ..Report::default() };
        let (joined, all) = self.tell(report, gradients.as_ref().err())?;
        if !due {
            self.loss = mean(&joined.losses);
        }
        let gradients = gradients.map_err(|error| elsewhere(error, &all))?;
        failed_elsewhere(&all)?;
        let Rounds::Local(local) = &mut self.rounds else { unreachable!("it is what it was") };
        if let Some(gradients) = gradients {
            local.take(lr, gradients);
        }
        self.apart += started.elapsed().as_secs_f64();
        let started = Instant::now();
        let arrived = local.arrive(outer);
        self.waited += started.elapsed().as_secs_f64();
        self.model = local.model().clone();
        let traffic = match arrived {
            Ok(traffic) => traffic,
            Err(error) => {
                // A round fails in all processes, of which some know why.
                let none = Report { losses: vec![None; n], statistics: vec![None; n], ..Report::default() };
                let (_, all) = self.tell(none, Some(&error))?;
                return Err(elsewhere(error, &all));
            }
        };
        let bytes = traffic.as_ref().map_or(Bytes::default(), Traffic::per_worker);
        if let (Some(links), Some((last, sum))) = (&self.config.link, &mut self.on_link) {
            let d = 4.0 * self.rounds.group().layout().len() as f64;
            *last = traffic.as_ref().map_or(OnLink::default(), |traffic| OnLink::of(&Load::of(traffic, d), links));
            *sum += *last;
        }
        Ok(Stepped { loss: self.loss, bytes })
    }

    /// Reports what came of a part of a step. Where it failed, and processes do not hear each other any more, that is
    /// the error that says more.
    fn tell(&mut self, report: Report, error: Option<&RoundError>) -> Result<(Report, Vec<Report>), RunError> {
        let said = error.map(ToString::to_string);
        let diverged = said.clone().filter(|_| error.is_some_and(RoundError::is_divergence));
        let failed = said.filter(|_| diverged.is_none());
        match (self.report(Report { diverged, failed, wish: self.wish, ..report }), error) {
            (Err(_), Some(error)) => Err(error.clone().into()),
            (told, _) => told,
        }
    }

    /// The gradients that were pending; for another number of workers than then, each has their mean.
    fn read_pending(&self, snapshot: &Snapshot) -> Result<Option<Vec<Gradient>>, SnapshotError> {
        let damaged = |why: String| SnapshotError::Damaged { name: "checkpoint".into(), why };
        let saved = snapshot.number("cluster.workers")? as usize;
        if !snapshot.texts.keys().any(|name| name.starts_with(PENDING)) {
            return Ok(None);
        }
        let d = self.rounds.group().layout().len();
        let read = |worker: usize| {
            let name = format!("{PENDING}{worker}");
            let vector = snapshot.vector(&name)?;
            let missing: Vec<usize> =
                serde_json::from_str(snapshot.text(&name)?).map_err(|error| damaged(format!("`{name}`: {error}")))?;
            match vector.len() == d && vector.iter().all(|x| x.is_finite()) {
                true => Ok(Gradient { vector: vector.into(), missing }),
                false => Err(damaged(format!("`{name}` is no gradient of {d} numbers"))),
            }
        };
        let seats = self.rounds.group().cluster().seats();
        if saved == self.config.workers {
            return seats.map(read).collect::<Result<_, _>>().map(Some);
        }
        let mut mean = vec![0.0f64; d];
        for worker in 0..saved {
            let own = read(worker)?;
            mean.iter_mut().zip(own.vector.as_slice().iter()).for_each(|(m, x)| *m += f64::from(*x) / saved as f64);
        }
        let mean: Vec<f32> = mean.into_iter().map(|m| m as f32).collect();
        Ok(Some(seats.map(|_| mean.clone().into()).collect()))
    }

    /// What came of a step in all processes, from what came of it in this one.
    fn report(&mut self, own: Report) -> Result<(Report, Vec<Report>), RunError> {
        let Some(ranks) = &self.ranks else {
            self.granted = self.wish;
            return Ok((own, Vec::new()));
        };
        let all = ranks.report(&own)?;
        self.granted = Wish { stop: all.iter().any(|r| r.wish.stop), keep: all.iter().any(|r| r.wish.keep) };
        let mut joined = own;
        for (rank, report) in all.iter().enumerate() {
            let seats = self.config.workers / all.len().max(1);
            for worker in rank * seats..(rank + 1) * seats {
                joined.losses[worker] = report.losses.get(worker).copied().flatten();
                joined.statistics[worker] = report.statistics.get(worker).cloned().flatten();
            }
        }
        Ok((joined, all))
    }

    /// The model as it is, statistics included.
    ///
    /// # Errors
    /// Where these do not fit it.
    pub fn model(&self) -> Result<Classifier, RunError> {
        Ok(batch_norm::with_statistics(self.model.clone(), &self.statistics)?)
    }

    /// The path of a parameter of which a weight is not finite, or of batch statistics.
    ///
    /// # Errors
    /// Where the model is another than the group's.
    pub fn first_non_finite(&self) -> Result<Option<String>, RunError> {
        let x = self.rounds.group().parameters(&self.model).map_err(SnapshotError::from)?;
        let bad = x.first_non_finite();
        let path = bad.and_then(|at| self.rounds.group().layout().parameter_at(at)).map(|p| p.path.clone());
        let statistics = || self.statistics.iter().any(|x| !x.is_finite()).then(|| "batch statistics".into());
        Ok(path.or_else(statistics))
    }

    /// The workers' methods and what they owe.
    pub fn group(&self) -> &Group<Post> {
        self.rounds.group()
    }

    /// Seconds that the last step's exchange takes on the configuration's [links](RunConfig::link), batch statistics
    /// included.
    pub fn step_on_link(&self) -> Option<OnLink> {
        Some(self.on_link?.0)
    }

    /// Seconds that all exchanges so far take there.
    pub fn on_link(&self) -> Option<OnLink> {
        Some(self.on_link?.1)
    }

    /// Where workers step by themselves: the seconds that they wait for rounds, over those that they step in. What the
    /// rounds of fragments take while workers compute is not in it.
    pub fn round_share(&self) -> Option<f64> {
        (self.apart > 0.0).then(|| self.waited / self.apart)
    }

    /// That of the training data.
    fn digest(&self) -> &str {
        self.digest.get_or_init(|| self.split.train.digest())
    }

    /// The configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// What the model is on.
    pub fn device_kind(&self) -> DeviceKind {
        self.device_kind
    }

    /// The bytes of one uncompressed step: every unit dense, and the batch statistics.
    pub fn dense_bytes(&self) -> f64 {
        let units = self.rounds.group().layout().units().iter();
        let bytes: usize = units.map(|u| Payload::floats(vec![0.0; u.len()]).num_bytes()).sum();
        let beside = batch_norm::message_bytes(self.statistics.len());
        message_bytes(&Message::new()) as f64 + bytes as f64 + beside
    }
}

/// What a snapshot calls the training data's digest.
const DIGEST: &str = "data.digest";

/// What a snapshot calls the seconds on a link.
const ON_LINK: [&str; 3] = ["link.gather", "link.sharded", "link.dense"];

impl Trains for Workers {
    type Error = RunError;

    fn step(&mut self, _: u64, lr: f64) -> Result<Stepped, RunError> {
        self.before.clone_from(&self.samplers);
        self.pended.clone_from(&self.pending);
        let group = match &mut self.rounds {
            Rounds::Each(group) => group,
            Rounds::Local(_) => return self.local_step(lr),
        };
        let (train, augment) = (&self.split.train, self.config.augment);
        let mut host = Serving::new(train, &self.shards, &mut self.samplers, augment, &self.device, &self.statistics);
        let outcome = match (&self.machine, self.config.overlap) {
            (Some(machine), _) => {
                added_up(group, lr, &self.model, &mut host, (machine, &self.seats, self.ranks.as_ref()))
            }
            (None, false) => group.round_with(lr, &self.model, &mut host).map(Some),
            (None, true) => overlapped(group, lr, &self.model, &mut host, &mut self.pending),
        };
        let (losses, statistics) = (host.losses, host.statistics);
        let diverged = outcome.as_ref().err().filter(|e| e.is_divergence()).map(ToString::to_string);
        let apart = self.ranks.is_some() && self.config.algorithm.is_gossip();
        let traffic = outcome.as_ref().ok().filter(|_| apart).and_then(Option::as_ref).map(|r| r.traffic().clone());
        let reported =
            self.report(Report { losses, statistics, diverged, traffic, wish: self.wish, ..Report::default() });
        // A transport that has failed in the round fails again, and the first error says more.
        let (Report { losses, statistics, .. }, all) = match (reported, &outcome) {
            (Err(error), Ok(_)) => return Err(error),
            (Err(_), Err(_)) => Default::default(),
            (Ok(reported), _) => reported,
        };
        self.loss = mean(&losses);
        let round = outcome.map_err(|error| elsewhere(error, &all))?;
        let traffic = match &round {
            None => Some(Traffic::default()),
            Some(_) if apart => Traffic::join(all.into_iter().filter_map(|report| report.traffic)),
            Some(round) => Some(round.traffic().clone()),
        };
        let unknown = || backburn_optim::TransportError::new("not every rank says what it has sent");
        let traffic = traffic.ok_or_else(unknown)?;
        let mut bytes = traffic.per_worker();
        let load = Load::of(&traffic, 4.0 * self.rounds.group().layout().len() as f64);
        if let Some(round) = round {
            self.model = round.apply(self.model.clone());
        }
        let seen: Vec<Vec<f32>> = statistics.into_iter().flatten().collect();
        if !seen.is_empty() {
            self.statistics = batch_norm::average(&seen)?;
            let beside = batch_norm::message_bytes(self.statistics.len());
            bytes += Bytes { up: beside, down: beside };
        }
        if let (Some(links), Some((last, sum))) = (&self.config.link, &mut self.on_link) {
            let links = links.of_machines(self.config.machine().unwrap_or(1));
            *last = OnLink::of(&load.with_beside(batch_norm::message_bytes(self.statistics.len())), &links);
            *sum += *last;
        }
        Ok(Stepped { loss: self.loss, bytes })
    }

    fn is_non_finite(error: &RunError) -> bool {
        error.is_divergence()
    }

    fn undo(&mut self, _: u64) {
        if let Rounds::Local(local) = &mut self.rounds {
            // It has been read before.
            let _ = local.drop_failed();
        }
        self.samplers.clone_from(&self.before);
        self.pending.clone_from(&self.pended);
    }

    fn skip(&mut self, _: u64) -> Stepped {
        if let Some((last, _)) = &mut self.on_link {
            *last = OnLink::default();
        }
        Stepped { loss: self.loss, bytes: Bytes::default() }
    }
}

impl Keeps for Workers {
    /// Weights, residuals, momenta, memos, random streams (by their seed and step), positions in the data, batch
    /// statistics.
    fn snapshot(&mut self) -> Result<Snapshot, RunError> {
        self.settle()?;
        // With the common statistics, not those that the last forward pass here has left in the layers.
        let model = self.model()?;
        let mut snapshot = self.rounds.snapshot(&model)?;
        if self.machine.as_ref().is_some_and(|machine| !machine.leads()) {
            // Whoever speaks for the machine keeps its state.
            drop(snapshot.take_own());
        }
        snapshot.vectors.insert("batch-statistics".into(), self.statistics.clone());
        snapshot.texts.insert("config".into(), self.config.to_toml());
        snapshot.texts.insert(DIGEST.into(), self.digest().into());
        if let Some(OnLink { gather, sharded, dense }) = self.on_link() {
            ON_LINK.into_iter().zip([gather, sharded, dense]).for_each(|(name, s)| snapshot.set_real(name, s));
        }
        for worker in self.seats.clone() {
            let cursor = serde_json::to_string(&self.samplers[worker].cursor()).expect("a cursor is plain numbers");
            snapshot.texts.insert(format!("{CURSOR}{worker}"), cursor);
        }
        for (worker, gradient) in self.rounds.group().cluster().seats().zip(self.pending.iter().flatten()) {
            let missing = serde_json::to_string(&gradient.missing).expect("indices");
            snapshot.texts.insert(format!("{PENDING}{worker}"), missing);
            snapshot.vectors.insert(format!("{PENDING}{worker}"), gradient.vector.as_slice().to_vec());
        }
        Ok(snapshot)
    }

    /// Data, model and seed must be as they were, see [`RunConfig::same_run`]. With another number of workers the
    /// residuals are re-divided and the data is dealt anew.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), RunError> {
        let damaged = |why: String| SnapshotError::Damaged { name: "checkpoint".into(), why };
        let was = RunConfig::from_toml(snapshot.text("config")?)?;
        was.same_run(&self.config)?;
        if snapshot.text(DIGEST)? != self.digest() {
            return Err(ConfigError::Data { was: was.data, now: self.config.data.clone() }.into());
        }
        let mut samplers = self.samplers.clone();
        if was.workers == self.config.workers {
            for worker in self.seats.clone() {
                let cursor: Cursor = serde_json::from_str(snapshot.text(&format!("{CURSOR}{worker}"))?)
                    .map_err(|e| damaged(format!("worker {worker}'s place in the data: {e}")))?;
                samplers[worker] = Sampler::resume(self.shards[worker].clone(), self.config.batch, cursor)?;
            }
        }
        let pending = self.config.overlap.then(|| self.read_pending(snapshot)).transpose()?.flatten();
        let mut on_link = self.on_link;
        if let Some((_, sum)) = &mut on_link {
            let [gather, sharded, dense] = ON_LINK.map(|name| snapshot.real(name));
            *sum = OnLink { gather: gather?, sharded: sharded?, dense: dense? };
        }
        let statistics = snapshot.vector("batch-statistics")?.to_vec();
        batch_norm::with_statistics(self.model.clone(), &statistics)?;
        self.model = self.rounds.restore(self.model.clone(), snapshot)?;
        (self.samplers, self.statistics, self.on_link) = (samplers, statistics, on_link);
        (self.pending, self.pended) = (pending, None);
        Ok(())
    }
}

/// Exchanges the gradients of the last step while those of this one are computed, at the model that does not know of the
/// exchange: the update is one step late. Any method that asks for one gradient at its x can do so.
fn overlapped(
    group: &mut Group<Post>,
    lr: f64,
    model: &Classifier,
    host: &mut Serving<'_>,
    pending: &mut Option<Vec<Gradient>>,
) -> Result<Option<Round>, RoundError> {
    let seats = group.cluster().seats();
    let models: Vec<Classifier> = seats.clone().map(|worker| group.model_of(worker, model)).collect();
    let last = pending.take();
    let (at, own) = (models.clone(), seats.clone());
    let (fresh, outcome) = std::thread::scope(|scope| {
        let of = |(worker, at): (usize, Classifier)| host.gradient(worker, &at, 1);
        let computing = scope.spawn(move || own.zip(at).map(of).collect::<Result<Vec<_>, _>>());
        let round = |last: Vec<Gradient>| group.round_flat(lr, model, last.into_iter().map(Some).collect());
        let outcome = last.map(round).transpose();
        (computing.join(), outcome)
    });
    let fresh = fresh.map_err(|_| RoundError::host("the thread that computes gradients has panicked"))??;
    let flat = seats.zip(fresh).zip(&models).map(|((worker, grads), at)| group.flatten(at, worker, grads));
    *pending = Some(flat.collect::<Result<_, _>>()?);
    outcome
}

/// One step on the mean gradient of each machine.
fn added_up(
    group: &mut Group<Post>,
    lr: f64,
    model: &Classifier,
    host: &mut Serving<'_>,
    (machine, seats, ranks): (&Machine, &Range<usize>, Option<&Ranks>),
) -> Result<Option<Round>, RoundError> {
    let of = |worker: usize| host.gradient(worker, model, 1).and_then(|grads| group.flatten(model, worker, grads));
    let own = seats.clone().map(of).collect();
    let means = machine.add_up(own, ranks)?;
    group.round_flat(lr, model, means.into_iter().map(Some).collect()).map(Some)
}

/// An error of a round as all processes see it: they tell a divergence from other failures alike.
fn elsewhere(error: RoundError, all: &[Report]) -> RunError {
    let diverged = all.iter().enumerate().find_map(|(rank, report)| Some((rank, report.diverged.clone()?)));
    match diverged {
        Some((rank, why)) if !error.is_divergence() => RunError::DivergedElsewhere { rank, why },
        _ => error.into(),
    }
}

/// What kept another process from its part of a step.
fn failed_elsewhere(all: &[Report]) -> Result<(), RunError> {
    for (rank, report) in all.iter().enumerate() {
        if let Some(why) = report.diverged.clone() {
            return Err(RunError::DivergedElsewhere { rank, why });
        }
        if let Some(why) = report.failed.clone() {
            return Err(RunError::Elsewhere { rank, why });
        }
    }
    Ok(())
}

fn mean(losses: &[Option<f64>]) -> f64 {
    let seen: Vec<f64> = losses.iter().flatten().copied().collect();
    seen.iter().sum::<f64>() / seen.len() as f64
}
