//! The loop of the experiments on flat vectors.

use backburn_compress::AnyCompressor;
use backburn_compress::spec::SpecError;
use backburn_optim::RoundError;

use super::cifar::{DOWN, UP};
use crate::problems::{Problem, ReferenceSign, Simulation};
use crate::reproduce::{Curve, Recorder, ReproduceError, is_due};

/// A compressor by its textual form, the reference sign of [`ReferenceSign`] among them.
pub(super) fn compressor(text: &str) -> Result<AnyCompressor, SpecError> {
    match text {
        "reference-sign" => Ok(AnyCompressor::new(ReferenceSign { scaled: false })),
        "reference-sign:scaled" => Ok(AnyCompressor::new(ReferenceSign { scaled: true })),
        text => text.parse(),
    }
}

/// How long a curve is, and how often it is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    /// Steps.
    pub steps: u64,
    /// Points, about.
    pub points: u64,
}

/// Runs a curve from `x`. `measure` is called with the simulation and the number of steps taken,
/// before the first step and at [`is_due`] steps. Where a gradient is no longer finite the run
/// has diverged: the metric `watched` becomes infinite and the curve ends.
#[allow(clippy::too_many_arguments)] // what a run is made of
pub(super) fn simulate(
    curve: &Curve,
    problem: &dyn Problem,
    seed: u64,
    x: Vec<f32>,
    length: Length,
    lr: impl Fn(u64) -> f64,
    watched: &str,
    out: &mut Recorder<'_>,
    mut measure: impl FnMut(&mut Simulation<'_>, f64, &mut Recorder<'_>),
) -> Result<(), ReproduceError> {
    let (algorithm, compressor) = (curve.algorithm.parse()?, compressor(&curve.compressor)?);
    let mut simulation = Simulation::new(algorithm, compressor, problem, curve.workers, seed, x)?;
    let Length { steps, points } = length;
    let mut measure = |simulation: &mut Simulation<'_>, step: f64, out: &mut Recorder<'_>| {
        let before = out.rows().len();
        measure(simulation, step, out);
        let taken = &out.rows()[before..];
        // Beside whatever is recorded stands what it cost.
        if !taken.is_empty() && taken.iter().all(|row| row.metric != UP) {
            record_bytes(simulation, step, out);
        }
    };
    measure(&mut simulation, 0.0, out);
    for step in 0..steps {
        if step.is_multiple_of(64) {
            out.tick(step, steps)?;
        }
        match simulation.step(lr(step)) {
            Ok(()) => {}
            Err(RoundError::NonFinite { .. }) => {
                out.record(watched, (step + 1) as f64, f64::INFINITY);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        if is_due(step + 1, steps, points) {
            measure(&mut simulation, (step + 1) as f64, out);
        }
    }
    Ok(())
}

/// Records what the workers sent so far.
pub(super) fn record_bytes(simulation: &Simulation<'_>, step: f64, out: &mut Recorder<'_>) {
    let [up, down] = simulation.bytes();
    out.record(UP, step, up / 1e6);
    out.record(DOWN, step, down / 1e6);
}
