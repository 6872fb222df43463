//! A session as a curve: its checkpoints, its wish to stop, what it adds up.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use backburn_optim::Bytes;
use backburn_train::session::{Ending, Keeps, Session, Step, Watch};

use crate::error::ReproduceError;
use crate::record::metric::{MEGABYTES_DOWN, MEGABYTES_UP};
use crate::record::{Recorder, Sums};

/// At least so long between two checkpoints.
const CHECKPOINT: Duration = Duration::from_secs(120);

/// Once this sum is set there is nothing more to see of a curve: it ends whole.
pub(crate) const ENOUGH: &str = "enough";

/// How a curve ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// After all its steps.
    Whole,
    /// At a gradient that was not finite.
    Diverged,
}

/// Records a session.
struct Recording<'a, F> {
    out: &'a mut Recorder,
    checkpoint: Option<&'a str>,
    sums: Sums,
    saved: Instant,
    stepped: F,
}

impl<T, F> Watch<T> for Recording<'_, F>
where
    T: Keeps,
    ReproduceError: From<T::Error>,
    F: FnMut(&mut Session<T>, &Step, &mut Sums, &mut Recorder) -> Result<(), ReproduceError>,
{
    type Error = ReproduceError;

    fn before(&mut self, session: &mut Session<T>) -> Result<ControlFlow<()>, ReproduceError> {
        let (step, steps) = session.progress();
        match self.out.tick(step, steps) {
            Ok(()) if self.sums.get(ENOUGH).is_some() => Ok(ControlFlow::Break(())),
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(ReproduceError::Stopped) => Ok(ControlFlow::Break(())),
            Err(error) => Err(error),
        }
    }

    fn after(&mut self, session: &mut Session<T>, step: &Step) -> Result<(), ReproduceError> {
        (self.stepped)(session, step, &mut self.sums, self.out)?;
        if self.saved.elapsed() > CHECKPOINT {
            self.keep(session)?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    fn keep(&mut self, session: &mut Session<T>) -> Result<(), ReproduceError> {
        self.checkpoint.map_or(Ok(()), |checkpoint| save(session, &self.sums, checkpoint, self.out))
    }
}

/// Steps a session to its end, from the checkpoint of this name where there is one. When the curve is stopped it
/// leaves one, with the rows and sums of the same step.
///
/// # Errors
/// Where a step, or what `stepped` does after it, fails; [`ReproduceError::Stopped`] where the curve is to stop.
pub(crate) fn advance<T: Keeps>(
    session: &mut Session<T>,
    checkpoint: Option<&str>,
    out: &mut Recorder,
    stepped: impl FnMut(&mut Session<T>, &Step, &mut Sums, &mut Recorder) -> Result<(), ReproduceError>,
) -> Result<(End, Sums), ReproduceError>
where
    ReproduceError: From<T::Error>,
{
    let mut sums = Sums::default();
    if let Some(name) = checkpoint
        && let Some(snapshot) = out.load(name)?
    {
        session.restore(&snapshot)?;
        sums = Sums::load_from(&snapshot);
    }
    let mut recording = Recording { out, checkpoint, sums, saved: Instant::now(), stepped };
    let ending = session.run(&mut recording)?;
    match ending {
        Ending::Whole => Ok((End::Whole, recording.sums)),
        Ending::Diverged(_) => Ok((End::Diverged, recording.sums)),
        Ending::Stopped if recording.sums.get(ENOUGH).is_some() => Ok((End::Whole, recording.sums)),
        Ending::Stopped => Err(ReproduceError::Stopped),
    }
}

/// Writes a checkpoint.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn save<T: Keeps>(
    session: &mut Session<T>,
    sums: &Sums,
    checkpoint: &str,
    out: &Recorder,
) -> Result<(), ReproduceError>
where
    ReproduceError: From<T::Error>,
{
    let mut snapshot = session.snapshot()?;
    sums.save_into(&mut snapshot);
    out.save(checkpoint, snapshot)
}

/// Records what a worker has sent and received so far.
pub(crate) fn record_bytes(bytes: Bytes<f64>, x: f64, out: &mut Recorder) {
    let Bytes { up, down } = bytes.megabytes();
    out.record(MEGABYTES_UP, x, up);
    out.record(MEGABYTES_DOWN, x, down);
}

/// A loss that is no longer a number counts as infinite.
pub(crate) fn finite(loss: f64) -> f64 {
    if loss.is_nan() { f64::INFINITY } else { loss }
}
