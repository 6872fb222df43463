//! The loop of the experiments that train under burn-train's `Learner`, with its metrics and checkpoints:
//! simulated workers are its strategy.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use backburn_compress::Scope;
use backburn_optim::{Bytes, DeviceKind, GroupConfig, write_atomically};
use burn::data::dataloader::DataLoaderBuilder;
use burn::lr_scheduler::constant::ConstantLr;
use burn::optim::SgdConfig;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

use super::advance::{End, finite};
use crate::error::ReproduceError;
use crate::record::metric::{MEGABYTES_DOWN, MEGABYTES_UP, TEST_ACCURACY, TEST_LOSS, TRAIN_LOSS};
use crate::record::{Curve, CurveName, GroupName, Metric, Recorder, Results, Row};
use backburn_optim::learner::{EpochLines, GroupProgress, GroupStrategy, SplitMeans, StrategyError};
use backburn_train::data::Split;
use backburn_train::models::{LearnerNet, ModelKind};

/// What such a training is made of. The method is one that leaves the step to the learner's optimizer,
/// or owns it.
pub(crate) struct Training {
    pub model: ModelKind,
    /// Each worker has one contiguous part of the training images.
    pub split: Split,
    pub scope: Scope,
    pub epochs: usize,
    pub augment: bool,
    pub seed: u64,
    pub device: DeviceKind,
}

/// All that is measured.
const MEASURED: [Metric; 5] = [TRAIN_LOSS, TEST_LOSS, TEST_ACCURACY, MEGABYTES_UP, MEGABYTES_DOWN];

/// Epoch by epoch what was measured, and what was sent until then.
type Measured = BTreeMap<usize, Vec<(Metric, f64)>>;

/// Where that is kept for an attempt that goes on.
fn file(directory: &Path) -> PathBuf {
    directory.join("epochs.csv")
}

/// As text; unlike JSON it has infinite numbers.
fn to_csv(measured: &Measured) -> String {
    let row = |epoch: usize, (metric, value): &(Metric, f64)| Row {
        group: GroupName::default(),
        curve: CurveName::default(),
        seed: 0,
        metric: *metric,
        x: epoch as f64,
        value: *value,
    };
    let rows = measured.iter().flat_map(|(epoch, values)| values.iter().map(|value| row(*epoch, value)));
    Results::new(rows.collect()).to_csv()
}

fn from_csv(text: &str) -> Result<Measured, ReproduceError> {
    let mut measured = Measured::new();
    for row in Results::from_csv(text)?.rows() {
        // What else there is was written by another version.
        if let Some(metric) = MEASURED.into_iter().find(|metric| row.metric == *metric) {
            measured.entry(row.x as usize).or_default().push((metric, row.value));
        }
    }
    Ok(measured)
}

/// Trains, and records after each epoch the mean training loss, test loss, test accuracy and bytes. A curve
/// that is stopped goes on from its last epoch; one that diverges has infinite losses and the accuracy of
/// chance from there on.
pub(crate) fn train(training: Training, curve: &Curve, out: &mut Recorder) -> Result<End, ReproduceError> {
    let Training { model, split, scope, epochs, augment, seed, device } = training;
    let device = device.device()?.autodiff();
    let directory = out.scratch().to_path_buf();
    let images = split.train;
    let classes = images.classes();
    let classifier = model.build(images.shape(), classes, seed, &device)?;
    let group = GroupConfig::any(curve.algorithm.parse()?, curve.compressor.parse()?);
    let group = group.with_workers(curve.workers).with_seed(seed).with_scope(scope);
    let steps = (images.len() / curve.workers).div_ceil(curve.batch) * epochs;

    let sent = Arc::new(Mutex::new(Bytes::default()));
    let stopped = Arc::new(AtomicBool::new(false));
    let follow = {
        let (ticker, sent, stopped) = (out.ticker(), sent.clone(), stopped.clone());
        move |progress: &GroupProgress| {
            *sent.lock().unwrap_or_else(PoisonError::into_inner) = progress.bytes;
            // At an epoch's end there is no step to stop before.
            if progress.steps < steps as u64 && ticker.tick(progress.steps, steps as u64).is_err() {
                stopped.store(true, Ordering::Relaxed);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    };
    let strategy = GroupStrategy::new(group, device.clone(), &directory).followed_by(Arc::new(follow));
    let read = std::fs::read_to_string(file(&directory)).ok();
    let mut before = read.map(|text| from_csv(&text)).transpose()?.unwrap_or_default();
    let last = strategy.last_epoch().filter(|last| before.contains_key(last));
    before.retain(|epoch, _| Some(*epoch) <= last);
    let measured = Arc::new(Mutex::new(before));
    if last < Some(epochs) {
        let renderer = {
            let (measured, directory) = (measured.clone(), directory.clone());
            EpochLines::new(move |split| keep(split, &measured, &sent, &directory))
        };
        let batcher = if augment { images.batcher().augmented(seed) } else { images.batcher() };
        let train = DataLoaderBuilder::new(batcher).batch_size(curve.batch).shuffle(seed).build(images.clone());
        let valid = DataLoaderBuilder::new(images.batcher()).batch_size(100).build(split.test);
        let training = SupervisedTraining::new(&directory, train, valid)
            .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)))
            .metric_train_numeric(LossMetric::new())
            .metric_valid_numeric(LossMetric::new())
            .metric_valid_numeric(AccuracyMetric::new())
            .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
            .with_default_checkpointers()
            .with_application_logger(None)
            .renderer(Box::new(renderer))
            .num_epochs(epochs);
        let training = last.into_iter().fold(training, |training, epoch| training.checkpoint(epoch));
        let learner = Learner::new(LearnerNet { classifier }, SgdConfig::new().init(), ConstantLr::new(curve.lr));
        if let Some(error) = training.launch(learner).error {
            if !diverged(&*error) {
                return Err(ReproduceError::Training(error.to_string()));
            }
            record(&measured.lock().unwrap_or_else(PoisonError::into_inner), out);
            let last = |name: Metric| out.rows().iter().rfind(|row| row.metric == name).map(|row| row.value);
            let bytes = [MEGABYTES_UP, MEGABYTES_DOWN].map(|name| (name, last(name).unwrap_or(0.0)));
            let lost = [(TRAIN_LOSS, f64::INFINITY), (TEST_LOSS, f64::INFINITY), (TEST_ACCURACY, 1.0 / classes as f64)];
            let first = out.rows().iter().map(|row: &Row| row.x as usize).max().unwrap_or(0) + 1;
            for epoch in first..=epochs {
                lost.iter().chain(&bytes).for_each(|(name, value)| out.record(*name, epoch as f64, *value));
            }
            return Ok(End::Diverged);
        }
    }
    record(&measured.lock().unwrap_or_else(PoisonError::into_inner), out);
    if stopped.load(Ordering::Relaxed) { Err(ReproduceError::Stopped) } else { Ok(End::Whole) }
}

/// Takes an epoch's means; with the test set's the epoch is whole, and is written before its checkpoint is.
fn keep(split: &SplitMeans, measured: &Mutex<Measured>, sent: &Mutex<Bytes<f64>>, directory: &Path) {
    let trains = split.split.to_lowercase().contains("train");
    let mut measured = measured.lock().unwrap_or_else(PoisonError::into_inner);
    let values = measured.entry(split.epoch).or_default();
    for (name, mean) in &split.means {
        match (name.as_str(), trains) {
            ("Loss", true) => values.push((TRAIN_LOSS, finite(*mean))),
            ("Loss", false) => values.push((TEST_LOSS, finite(*mean))),
            ("Accuracy", false) => values.push((TEST_ACCURACY, mean / 100.0)),
            _ => {}
        }
    }
    if !trains {
        let Bytes { up, down } = sent.lock().unwrap_or_else(PoisonError::into_inner).megabytes();
        values.extend([(MEGABYTES_UP, up), (MEGABYTES_DOWN, down)]);
        // Where it cannot be written, an attempt that goes on begins anew.
        let _ = write_atomically(&file(directory), to_csv(&measured).as_bytes());
    }
}

/// Records whole epochs.
fn record(measured: &Measured, out: &mut Recorder) {
    for (epoch, values) in measured.iter().filter(|(_, values)| values.iter().any(|(name, _)| *name == MEGABYTES_UP)) {
        values.iter().for_each(|(name, value)| out.record(*name, *epoch as f64, *value));
    }
}

/// Whether it ended with a gradient that was not finite.
fn diverged(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(StrategyError::Round(error)) = error.downcast_ref()
            && error.is_divergence()
        {
            return true;
        }
        cause = error.source();
    }
    false
}
