//! The loop of the experiments that train a classifier.

use std::time::{Duration, Instant};

use backburn_optim::{Snapshot, write_atomically};

use crate::data::Split;
use crate::reproduce::{Curve, Recorder, ReproduceError, Results, Setup};
use crate::run::{RunConfig, StepReport, Trainer};

pub(super) const LOSS: &str = "train loss";
pub(super) const TEST_LOSS: &str = "test loss";
pub(super) const ACCURACY: &str = "test accuracy";

/// At least so long between two checkpoints.
const CHECKPOINT: Duration = Duration::from_secs(120);

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

/// Trains, and records the mean training loss since the last point, test loss, test accuracy and bytes at
/// about `points` points, against epochs. `stepped` sees every step. A run that is stopped leaves a
/// checkpoint, and the next attempt goes on from it.
pub(super) fn train(
    config: RunConfig,
    split: Split,
    points: u64,
    out: &mut Recorder<'_>,
    mut stepped: impl FnMut(&mut Trainer, &StepReport, &mut Recorder<'_>),
) -> Result<(), ReproduceError> {
    let images = if config.subset > 0 { config.subset.min(split.train.len()) } else { split.train.len() };
    let epochs = (config.workers * config.batch) as f64 / images.max(1) as f64;
    let mut trainer = Trainer::with_data(config, split)?;
    resume(&mut trainer, out)?;
    let (first, steps) = trainer.progress();
    let every = (steps / points.max(1)).max(1);
    let mut losses = Vec::new();
    let mut bytes = last_bytes(out);
    let mut saved = Instant::now();
    for step in first..steps {
        if let Err(stopped) = out.tick(step, steps) {
            save(&mut trainer, out)?;
            return Err(stopped);
        }
        let report = trainer.step()?;
        bytes[0] += report.bytes_up / 1e6;
        bytes[1] += report.bytes_down / 1e6;
        losses.push(report.loss);
        stepped(&mut trainer, &report, out);
        if (step + 1).is_multiple_of(every) || step + 1 == steps {
            let epoch = (step + 1) as f64 * epochs;
            let test = trainer.evaluate()?;
            out.record(LOSS, epoch, crate::reproduce::mean(losses.drain(..)).unwrap_or(f64::NAN));
            out.record(TEST_LOSS, epoch, test.loss);
            out.record(ACCURACY, epoch, test.accuracy);
            out.record("megabytes up", epoch, bytes[0]);
            out.record("megabytes down", epoch, bytes[1]);
            // Between points there is nothing to keep but the state itself.
            if saved.elapsed() > CHECKPOINT {
                save(&mut trainer, out)?;
                saved = Instant::now();
            }
        }
    }
    Ok(())
}

fn last_bytes(out: &Recorder<'_>) -> [f64; 2] {
    ["megabytes up", "megabytes down"]
        .map(|metric| out.rows().iter().rev().find(|r| r.metric == metric).map_or(0.0, |r| r.value))
}

fn save(trainer: &mut Trainer, out: &Recorder<'_>) -> Result<(), ReproduceError> {
    trainer.snapshot().save(&out.scratch().join("checkpoint.safetensors"))?;
    let rows = Results::new(out.rows().to_vec()).to_csv();
    Ok(write_atomically(&out.scratch().join("rows.csv"), rows.as_bytes())?)
}

fn resume(trainer: &mut Trainer, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
    let checkpoint = out.scratch().join("checkpoint.safetensors");
    let Ok(rows) = std::fs::read_to_string(out.scratch().join("rows.csv")) else {
        return Ok(());
    };
    trainer.restore(&Snapshot::load(&checkpoint)?).map_err(ReproduceError::from)?;
    out.restore(Results::from_csv(&rows)?.rows().to_vec());
    Ok(())
}
