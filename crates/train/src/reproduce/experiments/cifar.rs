//! The loop of the experiments that train a classifier.

use std::time::{Duration, Instant};

use backburn_optim::RoundError;

use super::sums::Sums;
use crate::data::{Images, Split};
use crate::reproduce::{Curve, Recorder, ReproduceError, Setup};
use crate::run::{RunConfig, RunError, StepReport, Trainer};

pub(super) const LOSS: &str = "train loss";
pub(super) const TRAIN_ACCURACY: &str = "train accuracy";
pub(super) const TEST_LOSS: &str = "test loss";
pub(super) const ACCURACY: &str = "test accuracy";
pub(super) const UP: &str = "megabytes up";
pub(super) const DOWN: &str = "megabytes down";

/// At least so long between two checkpoints.
pub(super) const CHECKPOINT: Duration = Duration::from_secs(120);

/// The configuration of a curve, without what only its experiment knows.
pub(super) fn config(curve: &Curve, seed: u64, setup: &Setup) -> Result<RunConfig, ReproduceError> {
    Ok(RunConfig {
        workers: curve.workers,
        batch: curve.batch,
        algorithm: curve.algorithm.parse()?,
        compressor: curve.compressor.parse()?,
        seed,
        device: setup.device.clone(),
        ..RunConfig::default()
    })
}

/// The images of a set; at small scale with fewer for tests, which are read at every point.
pub(super) fn data(setup: &Setup, published: &'static str) -> Result<Split, ReproduceError> {
    let split = setup.images(published)?;
    let kept = setup.scale.pick(200, 2000, usize::MAX).min(split.test.len());
    let test = split.test.subset(&(0..kept).collect::<Vec<_>>());
    Ok(Split { train: split.train.clone(), test })
}

/// How a curve ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// After all its steps.
    Whole,
    /// At a gradient that was not finite.
    Diverged,
}

/// What is measured, beside the loss and what the test set says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    /// Points, about.
    pub points: u64,
    /// Whether the accuracy on the training set is measured too: on as many of its images as there are
    /// for tests.
    pub train_accuracy: bool,
}

/// Trains, and records the mean training loss since the last point, test loss, test accuracy and bytes
/// against epochs. `stepped` sees every step. A curve that diverges has infinite losses and the
/// accuracy of chance from there on.
pub(super) fn train(
    config: RunConfig,
    split: Split,
    watch: Watch,
    out: &mut Recorder<'_>,
    mut stepped: impl FnMut(&mut Trainer, &StepReport, &mut Sums, &mut Recorder<'_>),
) -> Result<Ending, ReproduceError> {
    let per_step = config.workers * config.batch;
    let mut trainer = Trainer::with_data(config, split)?;
    let epochs = per_step as f64 / trainer.images().len().max(1) as f64;
    let probe = watch.train_accuracy.then(|| probe(&trainer));
    let steps = trainer.progress().1;
    let every = (steps / watch.points.max(1)).max(1);
    let due = |taken: u64| taken.is_multiple_of(every) || taken == steps;
    let ending = advance(&mut trainer, "checkpoint", out, |trainer, report, sums, out| {
        sums.average(LOSS, report.loss);
        stepped(trainer, report, sums, out);
        let taken = report.step + 1;
        if due(taken) {
            let epoch = taken as f64 * epochs;
            let test = trainer.evaluate()?;
            out.record(LOSS, epoch, finite(sums.take_average(LOSS)));
            if let Some(probe) = &probe {
                out.record(TRAIN_ACCURACY, epoch, trainer.evaluate_on(probe)?.accuracy);
            }
            out.record(TEST_LOSS, epoch, finite(test.loss));
            out.record(ACCURACY, epoch, test.accuracy);
            record_bytes(&trainer.summary(test), epoch, out);
        }
        Ok(())
    })?;
    if ending.0 == Ending::Diverged {
        let chance = 1.0 / trainer.images().classes() as f64;
        let summary = trainer.summary(trainer.evaluate()?);
        for taken in (trainer.progress().0 + 1..=steps).filter(|taken| due(*taken)) {
            let epoch = taken as f64 * epochs;
            out.record(LOSS, epoch, f64::INFINITY);
            if probe.is_some() {
                out.record(TRAIN_ACCURACY, epoch, chance);
            }
            out.record(TEST_LOSS, epoch, f64::INFINITY);
            out.record(ACCURACY, epoch, chance);
            record_bytes(&summary, epoch, out);
        }
    }
    Ok(ending.0)
}

/// Steps a trainer to its end, from its checkpoint where there is one. When the curve is stopped it
/// leaves one, with the rows and sums of the same step.
pub(super) fn advance(
    trainer: &mut Trainer,
    checkpoint: &str,
    out: &mut Recorder<'_>,
    mut stepped: impl FnMut(&mut Trainer, &StepReport, &mut Sums, &mut Recorder<'_>) -> Result<(), ReproduceError>,
) -> Result<(Ending, Sums), ReproduceError> {
    let mut sums = Sums::default();
    if let Some(snapshot) = out.load(checkpoint)? {
        trainer.restore(&snapshot)?;
        sums = Sums::load_from(&snapshot);
    }
    let (first, steps) = trainer.progress();
    let mut saved = Instant::now();
    for step in first..steps {
        if let Err(stopped) = out.tick(step, steps) {
            save(trainer, &sums, checkpoint, out)?;
            return Err(stopped);
        }
        let report = match trainer.step() {
            Ok(report) => report,
            Err(RunError::Round(RoundError::NonFinite { .. })) => return Ok((Ending::Diverged, sums)),
            Err(error) => return Err(error.into()),
        };
        stepped(trainer, &report, &mut sums, out)?;
        if saved.elapsed() > CHECKPOINT {
            save(trainer, &sums, checkpoint, out)?;
            saved = Instant::now();
        }
    }
    Ok((Ending::Whole, sums))
}

/// Writes a checkpoint.
pub(super) fn save(
    trainer: &mut Trainer,
    sums: &Sums,
    checkpoint: &str,
    out: &Recorder<'_>,
) -> Result<(), ReproduceError> {
    let mut snapshot = trainer.snapshot();
    sums.save_into(&mut snapshot);
    out.save(checkpoint, snapshot)
}

fn record_bytes(summary: &crate::run::Summary, epoch: f64, out: &mut Recorder<'_>) {
    out.record(UP, epoch, summary.megabytes_up);
    out.record(DOWN, epoch, summary.megabytes_down);
}

/// Training images, evenly spaced, as many as there are for tests.
fn probe(trainer: &Trainer) -> Images {
    let (all, kept) = (trainer.images().len(), trainer.test_images().len().max(1));
    trainer.images().subset(&(0..all).step_by(all.div_ceil(kept).max(1)).collect::<Vec<_>>())
}

/// A loss that is no longer a number counts as infinite.
pub(super) fn finite(loss: f64) -> f64 {
    if loss.is_nan() { f64::INFINITY } else { loss }
}
