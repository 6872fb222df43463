//! The loop.

use std::time::Instant;

use backburn_compress::payload::Values;
use backburn_compress::{Payload, message_bytes};
use backburn_optim::{Group, Observation, RoundError, Snapshot, SnapshotError, device, device_name};
use burn::tensor::Device;

use super::folder::{Metrics, RunFolder, Summary};
use super::host::TrainHost;
use super::report::Reporter;
use super::{OnNonFinite, RunConfig, RunError};
use crate::data::{self, Cursor, Images, Options, Sampler, Split};
use crate::models::{Classifier, Evaluation, batch_norm, evaluate};

/// What one step came to.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The step's number, from 0.
    pub step: u64,
    /// γ.
    pub lr: f64,
    /// The mean training loss over the workers' batches.
    pub loss: f64,
    /// Bytes each worker sent, the mean over workers; batch statistics included.
    pub bytes_up: f64,
    /// Bytes each worker received from a server.
    pub bytes_down: f64,
    /// Whether the round was skipped for a gradient that was not finite.
    pub skipped: bool,
}

/// A run in progress: n simulated workers, one model.
pub struct Trainer {
    config: RunConfig,
    device: Device,
    split: Split,
    shards: Vec<Vec<usize>>,
    samplers: Vec<Sampler>,
    model: Classifier,
    group: Group,
    statistics: Vec<f32>,
    step: u64,
    steps: u64,
    bytes_up: f64,
    bytes_down: f64,
    dense_bytes: f64,
    skipped: u64,
    seconds: f64,
    last_loss: f64,
}

impl Trainer {
    /// Loads the data, builds the model, deals the data to the workers.
    pub fn new(config: RunConfig, options: &Options) -> Result<Self, RunError> {
        config.check()?;
        let mut options = options.clone();
        options.data_dir = config.data_dir.clone().or(options.data_dir);
        let split = data::load(&config.data, &options)?;
        Self::with_data(config, split)
    }

    /// As [`new`](Self::new), on data that is already there.
    pub fn with_data(config: RunConfig, mut split: Split) -> Result<Self, RunError> {
        config.check()?;
        let device = device(&config.device)?.autodiff();
        if config.subset > 0 && config.subset < split.train.len() {
            split.train = split.train.subset(&first_of_each(&split.train, config.subset));
        }
        let shards = config.partition.split(split.train.labels(), config.workers, config.seed)?;
        let samplers = (shards.iter().enumerate())
            .map(|(w, shard)| Sampler::new(shard.clone(), config.batch, config.seed, w as u32))
            .collect::<Result<Vec<_>, _>>()?;
        let model = config.model.build(split.train.shape(), split.train.classes(), config.seed, &device)?;
        let group = Group::any(config.algorithm.clone(), config.compressor.clone())
            .workers(config.workers)
            .seed(config.seed)
            .scope(config.scope)
            .dense_below(config.dense_below)
            .init(&model)?;
        let statistics = batch_norm::statistics(&model);
        let steps = config.steps_for(split.train.len());
        let dense_bytes = dense_bytes(&group, statistics.len());
        Ok(Self {
            config,
            device,
            split,
            shards,
            samplers,
            model,
            group,
            statistics,
            step: 0,
            steps,
            bytes_up: 0.0,
            bytes_down: 0.0,
            dense_bytes,
            skipped: 0,
            seconds: 0.0,
            last_loss: f64::NAN,
        })
    }

    /// One step. Where a gradient is not finite and the configuration says stop, an error, with all
    /// state as before the step.
    pub fn step(&mut self) -> Result<StepReport, RunError> {
        let started = Instant::now();
        let n = self.config.workers;
        let lr = self.config.schedule.at(self.step, self.steps);
        let before: Vec<Sampler> = self.samplers.clone();
        let mut host = TrainHost {
            images: &self.split.train,
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
        let mut report =
            StepReport { step: self.step, lr, loss: mean(&losses), bytes_up: 0.0, bytes_down: 0.0, skipped: false };
        match outcome {
            Ok(round) => {
                report.bytes_up = round.traffic().up_per_worker();
                report.bytes_down = round.traffic().down_per_worker();
                self.model = round.apply(self.model.clone());
                let seen: Vec<Vec<f32>> = statistics.into_iter().flatten().collect();
                if !seen.is_empty() {
                    self.statistics = batch_norm::average(&seen)?;
                    let bytes = batch_norm::message_bytes(self.statistics.len());
                    report.bytes_up += bytes;
                    report.bytes_down += bytes;
                }
            }
            Err(RoundError::NonFinite { .. }) if self.config.on_non_finite == OnNonFinite::Skip => {
                // The data moves on, or the same batch would come again.
                report.skipped = true;
                self.skipped += 1;
            }
            Err(error) => {
                self.samplers = before;
                return Err(error.into());
            }
        }
        self.step += 1;
        self.bytes_up += report.bytes_up;
        self.bytes_down += report.bytes_down;
        if report.loss.is_finite() {
            self.last_loss = report.loss;
        }
        self.seconds += started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Loss and accuracy on the test set, with the common batch statistics.
    pub fn evaluate(&self) -> Result<Evaluation, RunError> {
        self.evaluate_on(&self.split.test)
    }

    /// As [`evaluate`](Self::evaluate), on other images.
    pub fn evaluate_on(&self, images: &Images) -> Result<Evaluation, RunError> {
        let model = batch_norm::with_statistics(self.model.clone(), &self.statistics)?;
        Ok(evaluate(&model, images, 256, &self.device.clone().inner()))
    }

    /// The images that it trains on.
    pub fn images(&self) -> &Images {
        &self.split.train
    }

    /// Those that it is tested on.
    pub fn test_images(&self) -> &Images {
        &self.split.test
    }

    /// Measures what every worker owes.
    pub fn observe(&mut self) -> Observation {
        self.group.observe()
    }

    /// The model as it is, statistics included.
    pub fn model(&self) -> Result<Classifier, RunError> {
        Ok(batch_norm::with_statistics(self.model.clone(), &self.statistics)?)
    }

    /// The workers.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The device's short name.
    pub fn device_name(&self) -> String {
        device_name(&self.device)
    }

    /// Steps taken, and steps in all.
    pub fn progress(&self) -> (u64, u64) {
        (self.step, self.steps)
    }

    /// Bytes a worker would have sent without compression in as many steps.
    pub fn dense_bytes(&self) -> f64 {
        self.dense_bytes * (self.step - self.skipped) as f64
    }

    /// What the run has come to.
    pub fn summary(&self, evaluation: Evaluation) -> Summary {
        Summary {
            steps: self.step,
            skipped: self.skipped,
            train_loss: self.last_loss,
            test_loss: evaluation.loss,
            test_accuracy: evaluation.accuracy,
            megabytes_up: self.bytes_up / 1e6,
            megabytes_down: self.bytes_down / 1e6,
            compression_ratio: if self.bytes_up > 0.0 { self.dense_bytes() / self.bytes_up } else { f64::NAN },
            seconds: self.seconds,
            parameters: self.group.layout().len() as u64,
            device: self.device_name(),
        }
    }

    /// All state of the run, exactly: weights, residuals, momenta, memos, random streams (by their
    /// seed and step), positions in the data, batch statistics, counters.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = self.group.snapshot(&self.model);
        snapshot.vectors.insert("batch-statistics".into(), self.statistics.clone());
        snapshot.texts.insert("config".into(), self.config.to_toml());
        let cursors: Vec<Cursor> = self.samplers.iter().map(Sampler::cursor).collect();
        let cursors = serde_json::to_string(&cursors).expect("a cursor is plain numbers");
        snapshot.texts.insert("data.cursors".into(), cursors);
        snapshot.numbers.insert("run.step".into(), self.step);
        snapshot.numbers.insert("run.skipped".into(), self.skipped);
        snapshot.set_real("run.bytes-up", self.bytes_up);
        snapshot.set_real("run.bytes-down", self.bytes_down);
        snapshot.set_real("run.seconds", self.seconds);
        snapshot.set_real("run.loss", self.last_loss);
        snapshot
    }

    /// Goes on from a snapshot of the same run: data, model and seed must be as they were, see
    /// [`RunConfig::same_run`]. With another number of workers the residuals are re-divided and the data is
    /// dealt anew. On an error nothing has changed.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), RunError> {
        let damaged = |why: String| SnapshotError::Damaged { name: "checkpoint".into(), why };
        RunConfig::from_toml(snapshot.text("config")?)?.same_run(&self.config)?;
        let cursors: Vec<Cursor> = serde_json::from_str(snapshot.text("data.cursors")?)
            .map_err(|e| damaged(format!("its data positions: {e}")))?;
        let samplers = if cursors.len() == self.shards.len() {
            (self.shards.iter().zip(cursors))
                .map(|(shard, cursor)| Sampler::resume(shard.clone(), self.config.batch, cursor))
                .collect::<Result<Vec<_>, _>>()?
        } else {
            self.samplers.clone()
        };
        let statistics = snapshot.vector("batch-statistics")?.to_vec();
        batch_norm::with_statistics(self.model.clone(), &statistics)?;
        let (step, skipped) = (snapshot.number("run.step")?, snapshot.number("run.skipped")?);
        let reals = ["run.bytes-up", "run.bytes-down", "run.seconds", "run.loss"];
        let [up, down, seconds, loss] = reals.map(|name| snapshot.real(name));
        let (up, down, seconds, loss) = (up?, down?, seconds?, loss?);
        self.model = self.group.restore(self.model.clone(), snapshot)?;
        (self.samplers, self.statistics, self.step, self.skipped) = (samplers, statistics, step, skipped);
        (self.bytes_up, self.bytes_down, self.seconds, self.last_loss) = (up, down, seconds, loss);
        Ok(())
    }
}

/// Trains to the end, writing into `folder` where there is one, and telling `reporter`. With
/// `resume` it goes on from the folder's checkpoint.
pub fn run(
    config: RunConfig,
    options: &Options,
    folder: Option<&RunFolder>,
    resume: bool,
    reporter: &mut dyn Reporter,
) -> Result<Summary, RunError> {
    let mut trainer = Trainer::new(config, options)?;
    if let Some(folder) = folder {
        if resume {
            trainer.restore(&folder.checkpoint()?)?;
            folder.save_config(trainer.config())?;
        } else {
            folder.begin(trainer.config())?;
        }
    }
    let (first, steps) = trainer.progress();
    let mut metrics = folder.map(|f| Metrics::open(f, first)).transpose()?;
    reporter.started(&trainer);
    for _ in first..steps {
        let step = trainer.step();
        let report = match step {
            Ok(report) => report,
            Err(error) => {
                // What was reached is kept, and --resume goes on from there.
                if let Some(folder) = folder {
                    folder.save_checkpoint(&trainer.snapshot())?;
                }
                return Err(error);
            }
        };
        if let Some(metrics) = &mut metrics {
            let observation = trainer.observe();
            metrics.write(&report, &observation)?;
        }
        reporter.stepped(&report, steps);
        let every = trainer.config().checkpoint_every;
        if let Some(folder) = folder
            && every > 0
            && (report.step + 1).is_multiple_of(every)
        {
            folder.save_checkpoint(&trainer.snapshot())?;
        }
    }
    let summary = trainer.summary(trainer.evaluate()?);
    if let Some(folder) = folder {
        folder.save_checkpoint(&trainer.snapshot())?;
        folder.save_summary(&summary)?;
    }
    reporter.finished(&summary);
    Ok(summary)
}

/// The first images of every class, `count` in all, in the set's order.
fn first_of_each(images: &Images, count: usize) -> Vec<usize> {
    let quota = count.div_ceil(images.classes());
    let mut taken = vec![0; images.classes()];
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    for (i, label) in images.labels().iter().enumerate() {
        let taken = &mut taken[usize::from(*label)];
        if *taken < quota && chosen.len() < count {
            *taken += 1;
            chosen.push(i);
        }
    }
    chosen
}

/// The bytes of one uncompressed step: every unit dense, and the batch statistics.
fn dense_bytes(group: &Group, statistics: usize) -> f64 {
    let units = group.layout().units().iter();
    let bytes: usize = units.map(|u| Payload::Dense(Values::F32(vec![0.0; u.len()])).num_bytes()).sum();
    message_bytes(&[]) as f64 + bytes as f64 + if statistics > 0 { batch_norm::message_bytes(statistics) } else { 0.0 }
}

fn mean(losses: &[Option<f64>]) -> f64 {
    let seen: Vec<f64> = losses.iter().flatten().copied().collect();
    seen.iter().sum::<f64>() / seen.len() as f64
}
