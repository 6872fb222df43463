//! Simulated workers that train a classifier.

use std::sync::OnceLock;

use backburn_compress::{Message, Payload, message_bytes};
use backburn_optim::{Group, GroupConfig, Observation, OnLink, Snapshot, SnapshotError, device, device_name};
use burn::tensor::Device;

use super::config::{ConfigError, RunConfig};
use super::error::RunError;
use super::serving::Serving;
use crate::data::{Cursor, Examples, Sampler, Split};
use crate::models::{Classifier, Evaluation, batch_norm, evaluate};
use crate::session::{MeanBytes, Stepped, Trains};

/// n simulated workers, their shares of the data, and one model.
pub struct Workers {
    config: RunConfig,
    device: Device,
    split: Split<Examples>,
    /// Of the training data, once it was asked for.
    digest: OnceLock<String>,
    shards: Vec<Vec<usize>>,
    samplers: Vec<Sampler>,
    /// Where the samplers were before the last step.
    before: Vec<Sampler>,
    model: Classifier,
    group: Group,
    /// The common batch statistics.
    statistics: Vec<f32>,
    /// The mean loss of the last step's batches, that of a failed one included.
    loss: f64,
    /// What the last step's exchange takes on the configuration's links, and what all so far do.
    on_link: Option<(OnLink, OnLink)>,
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
    pub fn new(config: RunConfig, mut split: Split<Examples>) -> Result<Self, RunError> {
        config.check()?;
        if config.augment && !split.train.are_images() {
            return Err(ConfigError::Augment(config.data.to_string()).into());
        }
        let device = device(&config.device)?.autodiff();
        if config.subset > 0 && config.subset < split.train.len() {
            split.train = split.train.first_of_each(config.subset);
        }
        let shards = config.partition.split(split.train.labels(), config.workers, config.seed)?;
        let samplers = (shards.iter().enumerate())
            .map(|(w, shard)| Sampler::new(shard.clone(), config.batch, config.seed, w as u32))
            .collect::<Result<Vec<_>, _>>()?;
        let model = config.model.build(split.train.shape(), split.train.classes(), config.seed, &device)?;
        let group = GroupConfig::any(config.algorithm.clone(), config.compressor.clone())
            .with_workers(config.workers)
            .with_seed(config.seed)
            .with_scope(config.scope)
            .with_dense_below(config.dense_below)
            .init(&model)?;
        let statistics = batch_norm::statistics(&model);
        let before = samplers.clone();
        let on_link = config.link.as_ref().map(|_| Default::default());
        let loss = f64::NAN;
        let digest = OnceLock::new();
        Ok(Self { config, device, split, digest, shards, samplers, before, model, group, statistics, loss, on_link })
    }

    /// Loss and accuracy on the test part, with the common batch statistics.
    ///
    /// # Errors
    /// Where these do not fit the model.
    pub fn evaluate(&self) -> Result<Evaluation, RunError> {
        self.evaluate_on(&self.split.test)
    }

    /// As [`evaluate`](Self::evaluate), on other examples.
    ///
    /// # Errors
    /// As there.
    pub fn evaluate_on(&self, examples: &Examples) -> Result<Evaluation, RunError> {
        Ok(evaluate(&self.model()?, examples, 256, &self.device.clone().inner()))
    }

    /// What is trained on, and measured on.
    pub fn split(&self) -> &Split<Examples> {
        &self.split
    }

    /// Measures what every worker owes.
    pub fn observe(&mut self) -> Observation {
        self.group.observe()
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
        let x = self.group.parameters(&self.model).map_err(SnapshotError::from)?;
        let bad = backburn_compress::first_non_finite(&x);
        let path = bad.and_then(|at| self.group.layout().parameter_at(at)).map(|p| p.path.clone());
        let statistics = || self.statistics.iter().any(|x| !x.is_finite()).then(|| "batch statistics".into());
        Ok(path.or_else(statistics))
    }

    /// The workers' methods and what they owe.
    pub fn group(&self) -> &Group {
        &self.group
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

    /// That of the training data.
    fn digest(&self) -> &str {
        self.digest.get_or_init(|| self.split.train.digest())
    }

    /// The configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The device's short name.
    pub fn device_name(&self) -> String {
        device_name(&self.device)
    }

    /// The bytes of one uncompressed step: every unit dense, and the batch statistics.
    pub fn dense_bytes(&self) -> f64 {
        let units = self.group.layout().units().iter();
        let bytes: usize = units.map(|u| Payload::floats(vec![0.0; u.len()]).num_bytes()).sum();
        let beside = batch_statistics_bytes(&self.statistics);
        message_bytes(&Message::new()) as f64 + bytes as f64 + beside
    }
}

/// The bytes of a dense payload with them, where there are any.
fn batch_statistics_bytes(statistics: &[f32]) -> f64 {
    if statistics.is_empty() { 0.0 } else { batch_norm::message_bytes(statistics.len()) }
}

/// What a snapshot calls the training data's digest.
const DIGEST: &str = "data.digest";

/// What a snapshot calls the seconds on a link.
const ON_LINK: [&str; 3] = ["link.gather", "link.sharded", "link.dense"];

impl Trains for Workers {
    type Error = RunError;

    fn step(&mut self, _: u64, lr: f64) -> Result<Stepped, RunError> {
        let n = self.config.workers;
        self.before.clone_from(&self.samplers);
        let mut host = Serving {
            examples: &self.split.train,
            shards: &self.shards,
            samplers: &mut self.samplers,
            augment: self.config.augment,
            device: &self.device,
            common: &self.statistics,
            draws: vec![Vec::new(); n],
            losses: vec![None; n],
            statistics: vec![None; n],
        };
        let outcome = self.group.round_with(lr, &self.model, &mut host);
        let (losses, statistics) = (host.losses, host.statistics);
        self.loss = mean(&losses);
        let round = outcome?;
        let mut bytes = MeanBytes::from(round.traffic());
        let load = round.load();
        self.model = round.apply(self.model.clone());
        let seen: Vec<Vec<f32>> = statistics.into_iter().flatten().collect();
        if !seen.is_empty() {
            self.statistics = batch_norm::average(&seen)?;
            let beside = batch_statistics_bytes(&self.statistics);
            bytes += MeanBytes { up: beside, down: beside };
        }
        if let (Some(links), Some((last, sum))) = (&self.config.link, &mut self.on_link) {
            *last = OnLink::of(&load.with_beside(batch_statistics_bytes(&self.statistics)), links);
            *sum += *last;
        }
        Ok(Stepped { loss: self.loss, bytes })
    }

    fn is_non_finite(error: &RunError) -> bool {
        matches!(error, RunError::Round(error) if error.is_divergence())
    }

    fn undo(&mut self, _: u64) {
        self.samplers.clone_from(&self.before);
    }

    fn skip(&mut self, _: u64) -> Stepped {
        if let Some((last, _)) = &mut self.on_link {
            *last = OnLink::default();
        }
        Stepped { loss: self.loss, bytes: MeanBytes::default() }
    }

    /// Weights, residuals, momenta, memos, random streams (by their seed and step), positions in the data, batch
    /// statistics.
    fn snapshot(&mut self) -> Result<Snapshot, RunError> {
        let mut snapshot = self.group.snapshot(&self.model)?;
        snapshot.vectors.insert("batch-statistics".into(), self.statistics.clone());
        snapshot.texts.insert("config".into(), self.config.to_toml());
        snapshot.texts.insert(DIGEST.into(), self.digest().into());
        if let Some(OnLink { gather, sharded, dense }) = self.on_link() {
            ON_LINK.into_iter().zip([gather, sharded, dense]).for_each(|(name, s)| snapshot.set_real(name, s));
        }
        let cursors: Vec<Cursor> = self.samplers.iter().map(Sampler::cursor).collect();
        let cursors = serde_json::to_string(&cursors).expect("a cursor is plain numbers");
        snapshot.texts.insert("data.cursors".into(), cursors);
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
        let cursors: Vec<Cursor> = serde_json::from_str(snapshot.text("data.cursors")?)
            .map_err(|e| damaged(format!("its data positions: {e}")))?;
        let samplers = if cursors.len() == self.shards.len() {
            (self.shards.iter().zip(cursors))
                .map(|(shard, cursor)| Sampler::resume(shard.clone(), self.config.batch, cursor))
                .collect::<Result<Vec<_>, _>>()?
        } else {
            self.samplers.clone()
        };
        let mut on_link = self.on_link;
        if let Some((_, sum)) = &mut on_link {
            let [gather, sharded, dense] = ON_LINK.map(|name| snapshot.real(name));
            *sum = OnLink { gather: gather?, sharded: sharded?, dense: dense? };
        }
        let statistics = snapshot.vector("batch-statistics")?.to_vec();
        batch_norm::with_statistics(self.model.clone(), &statistics)?;
        self.model = self.group.restore(self.model.clone(), snapshot)?;
        (self.samplers, self.statistics, self.on_link) = (samplers, statistics, on_link);
        Ok(())
    }
}

fn mean(losses: &[Option<f64>]) -> f64 {
    let seen: Vec<f64> = losses.iter().flatten().copied().collect();
    seen.iter().sum::<f64>() / seen.len() as f64
}
