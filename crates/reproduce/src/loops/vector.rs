//! The loop of the experiments on flat vectors.

use backburn_compress::AnyCompressor;
use backburn_compress::TextError;
use backburn_train::session::Session;

use super::advance::{End, advance, record_bytes};
use crate::error::ReproduceError;
use crate::problems::{Problem, ReferenceSign, Simulation};
use crate::record::{Curve, Metric, Recorder, is_due};

/// A compressor by its textual form, the reference sign of [`ReferenceSign`] among them.
pub(crate) fn compressor(text: &str) -> Result<AnyCompressor, TextError> {
    match text {
        "reference-sign" => Ok(AnyCompressor::new(ReferenceSign { scaled: false })),
        "reference-sign:scaled" => Ok(AnyCompressor::new(ReferenceSign { scaled: true })),
        text => text.parse(),
    }
}

/// How long a curve is, and how often it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// Steps.
    pub steps: u64,
    /// Points, about.
    pub points: u64,
}

/// A curve on a problem: what a run is made of.
pub(crate) struct Descent<'p> {
    curve: &'p Curve,
    problem: &'p dyn Problem,
    seed: u64,
    start: Vec<f32>,
    length: Length,
    watched: Metric,
    lr: Box<dyn Fn(u64) -> f64 + Send>,
}

impl<'p> Descent<'p> {
    /// From `start`, under the curve's own step size. `watched` is the metric that becomes infinite where the run
    /// diverges.
    pub fn new(
        curve: &'p Curve,
        problem: &'p dyn Problem,
        seed: u64,
        start: Vec<f32>,
        length: Length,
        watched: Metric,
    ) -> Self {
        let lr = curve.lr;
        Self { curve, problem, seed, start, length, watched, lr: Box::new(move |_| lr) }
    }

    /// Under another step size, a function of the step.
    pub fn with_lr(self, lr: impl Fn(u64) -> f64 + Send + 'static) -> Self {
        Self { lr: Box::new(lr), ..self }
    }

    /// Runs it. `measure` is called with the simulation and the number of steps taken, before the first step and at
    /// [`is_due`] steps; beside whatever it records stands what it cost. Where a gradient is no longer finite the run
    /// has diverged: the metric watched becomes infinite and the curve ends.
    ///
    /// # Errors
    /// Where method and compressor do not go together, or the curve is to stop.
    pub fn run(
        self,
        out: &mut Recorder,
        mut measure: impl FnMut(&mut Simulation<'_>, f64, &mut Recorder),
    ) -> Result<(), ReproduceError> {
        let Self { curve, problem, seed, start, length: Length { steps, points }, watched, lr } = self;
        let (algorithm, compressor) = (curve.algorithm.parse()?, compressor(&curve.compressor)?);
        let simulation = Simulation::new(algorithm, compressor, problem, curve.workers, seed, start)?;
        let mut session = Session::new(simulation, move |step, _| lr(step), steps);
        let mut measure = |session: &mut Session<Simulation<'_>>, taken: u64, out: &mut Recorder| {
            let before = out.rows().len();
            measure(session.trains_mut(), taken as f64, out);
            if out.rows().len() > before {
                record_bytes(session.so_far().bytes, taken as f64, out);
            }
        };
        measure(&mut session, 0, out);
        let (end, _) = advance(&mut session, None, out, |session, step, _, out| {
            let taken = step.number + 1;
            if is_due(taken, steps, points) {
                measure(session, taken, out);
            }
            Ok(())
        })?;
        if end == End::Diverged {
            out.record(watched, (session.progress().0 + 1) as f64, f64::INFINITY);
        }
        Ok(())
    }
}
