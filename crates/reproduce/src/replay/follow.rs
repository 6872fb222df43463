//! A case as a session: its step sizes, its gradients, and the iterates that it goes through.

use backburn_optim::{Bytes, Traffic, Vector};
use backburn_train::session::{Session, Step, Stepped, Trains, Watch};

use super::setup::Setup;
use super::{Case, Ran, ReplayError, tolerance};

/// Workers of some host, to which a round's gradients are given.
pub(super) trait Runner {
    fn step(&mut self, lr: f64, gradients: &[Vector]) -> Result<Traffic, ReplayError>;
    fn x(&self) -> Vector;
    fn residual_norms(&mut self) -> Vec<f64>;
}

/// Workers that are given what was recorded, and all that they send.
struct Recorded<'a, R> {
    runner: R,
    gradients: &'a [Vec<Vector>],
    sent: Bytes,
}

impl<R: Runner> Trains for Recorded<'_, R> {
    type Error = ReplayError;

    fn step(&mut self, step: u64, lr: f64) -> Result<Stepped, ReplayError> {
        let traffic = self.runner.step(lr, &self.gradients[step as usize])?;
        self.sent += traffic.total();
        Ok(Stepped { loss: f64::NAN, bytes: traffic.per_worker() })
    }

    /// What was recorded is finite: a case that is not has failed like any other.
    fn is_non_finite(_: &ReplayError) -> bool {
        false
    }
}

struct Iterates(Vec<Vector>);

impl<R: Runner> Watch<Recorded<'_, R>> for Iterates {
    type Error = ReplayError;

    fn after(&mut self, session: &mut Session<Recorded<'_, R>>, _: &Step) -> Result<(), ReplayError> {
        self.0.push(session.trains().runner.x());
        Ok(())
    }
}

/// Runs a case from its x_0 to its end, and compares.
pub(super) fn follow<R: Runner>(case: &Case, setup: &Setup, runner: R) -> Result<Ran, ReplayError> {
    let mut xs = Iterates(vec![runner.x()]);
    let recorded = Recorded { runner, gradients: &setup.gradients, sent: Bytes::default() };
    let lr = case.lr.clone();
    let mut session = Session::new(recorded, move |step: u64, _: u64| lr[step as usize], case.lr.len() as u64);
    session.run(&mut xs)?;
    let Iterates(xs) = xs;
    let Recorded { runner, sent, .. } = session.trains_mut();
    let pairs = setup.iterates.iter().flat_map(|ys| xs.iter().zip(ys)).flat_map(|(x, y)| x.as_slice().iter().zip(y));
    let errors: Vec<(f64, f64)> = pairs.map(|(x, y)| ((f64::from(*x) - y).abs(), *y)).collect();
    Ok(Ran {
        iterates: xs.iter().map(|x| setup.nested(x.as_slice())).collect(),
        bytes_up: sent.up,
        bytes_down: sent.down,
        residual_norms: runner.residual_norms(),
        max_error: setup
            .iterates
            .as_ref()
            .map(|_| errors.iter().fold(0.0, |most, (e, _)| if e.is_finite() { e.max(most) } else { f64::MAX })),
        agrees: errors.iter().all(|(e, y)| *e <= tolerance(*y)),
    })
}
