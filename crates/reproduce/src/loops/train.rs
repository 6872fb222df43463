//! The loop of the experiments that train a classifier.

use backburn_train::data::{Examples, Split};
use backburn_train::run::{RunConfig, Trainer};
use backburn_train::session::Step;

use super::advance::{End, advance, finite, record_bytes};
use crate::error::ReproduceError;
use crate::experiment::{Scale, Setup};
use crate::record::metric::{SECONDS_ON_LINK, TEST_ACCURACY, TEST_LOSS, TRAIN_ACCURACY, TRAIN_LOSS};
use crate::record::{Curve, Recorder, Sums};

/// The configuration of a curve, without what only its experiment knows.
pub(crate) fn config(curve: &Curve, seed: u64, setup: &Setup) -> Result<RunConfig, ReproduceError> {
    Ok(RunConfig {
        workers: curve.workers,
        batch: curve.batch,
        algorithm: curve.algorithm.parse()?,
        compressor: curve.compressor.parse()?,
        seed,
        device: setup.device,
        ..RunConfig::default()
    })
}

/// The images of a set; at small scale, and smaller ones, with fewer for tests, which are read at every point.
pub(crate) fn data(setup: &Setup, published: &'static str) -> Result<Split, ReproduceError> {
    let split = setup.images(published)?;
    let kept = if setup.scale == Scale::Medium { usize::MAX } else { setup.scale.pick(200, 2000, usize::MAX) };
    let kept = kept.min(split.test.len());
    let test = split.test.subset(&(0..kept).collect::<Vec<_>>());
    Ok(Split { train: split.train.clone(), test })
}

/// What is measured, beside the loss and what the test set says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// Points, about.
    pub points: u64,
    /// Whether the accuracy on the training set is measured too: on as many of its images as there are
    /// for tests.
    pub train_accuracy: bool,
}

/// Trains, and records the mean training loss since the last point, test loss, test accuracy and bytes
/// against epochs, and where the configuration has links what all exchanges take there. `stepped` sees every step. A curve that diverges has infinite losses and the
/// accuracy of chance from there on.
pub(crate) fn train(
    config: RunConfig,
    split: impl Into<Split<Examples>>,
    watch: Watch,
    out: &mut Recorder,
    mut stepped: impl FnMut(&mut Trainer, &Step, &mut Sums, &mut Recorder),
) -> Result<End, ReproduceError> {
    let per_step = config.workers * config.batch;
    let mut trainer = Trainer::with_data(config, split)?;
    let epochs = per_step as f64 / trainer.trains().split().train.len().max(1) as f64;
    let probe = watch.train_accuracy.then(|| probe(&trainer));
    let steps = trainer.progress().1;
    let every = (steps / watch.points.max(1)).max(1);
    let due = |taken: u64| taken.is_multiple_of(every) || taken == steps;
    let (end, _) = advance(&mut trainer, Some("checkpoint"), out, |trainer, step, sums, out| {
        sums.average(TRAIN_LOSS.name(), step.loss);
        stepped(trainer, step, sums, out);
        let taken = step.number + 1;
        if due(taken) {
            let epoch = taken as f64 * epochs;
            let test = trainer.trains().evaluate()?;
            out.record(TRAIN_LOSS, epoch, finite(sums.take_average(TRAIN_LOSS.name())));
            if let Some(probe) = &probe {
                out.record(TRAIN_ACCURACY, epoch, trainer.trains().evaluate_on(probe)?.accuracy);
            }
            out.record(TEST_LOSS, epoch, finite(test.loss));
            out.record(TEST_ACCURACY, epoch, test.accuracy);
            record_bytes(trainer.so_far().bytes, epoch, out);
            if let Some(on_link) = trainer.trains().on_link() {
                out.record(SECONDS_ON_LINK, epoch, on_link.best().1);
            }
        }
        Ok(())
    })?;
    if end == End::Diverged {
        let chance = 1.0 / trainer.trains().split().train.classes() as f64;
        for taken in (trainer.progress().0 + 1..=steps).filter(|taken| due(*taken)) {
            let epoch = taken as f64 * epochs;
            out.record(TRAIN_LOSS, epoch, f64::INFINITY);
            if probe.is_some() {
                out.record(TRAIN_ACCURACY, epoch, chance);
            }
            out.record(TEST_LOSS, epoch, f64::INFINITY);
            out.record(TEST_ACCURACY, epoch, chance);
            record_bytes(trainer.so_far().bytes, epoch, out);
        }
    }
    Ok(end)
}

/// Training images, evenly spaced, as many as there are for tests.
fn probe(trainer: &Trainer) -> Examples {
    let split = trainer.trains().split();
    let (all, kept) = (split.train.len(), split.test.len().max(1));
    split.train.subset(&(0..all).step_by(all.div_ceil(kept).max(1)).collect::<Vec<_>>())
}
