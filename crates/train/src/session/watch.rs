//! Who follows a session.

use std::ops::ControlFlow;

use super::step::Step;
use super::stepping::Session;
use super::trains::Trains;

/// Follows a session from step to step. The default lets it go on, and keeps nothing.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use backburn_train::session::{Session, Trains, Watch};
///
/// /// Stops before this step.
/// struct Until(u64);
///
/// impl<T: Trains> Watch<T> for Until {
///     type Error = T::Error;
///
///     fn before(&mut self, session: &mut Session<T>) -> Result<ControlFlow<()>, T::Error> {
///         Ok(if session.progress().0 < self.0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
///     }
/// }
/// ```
pub trait Watch<T: Trains> {
    /// What can go wrong in watching; a step's own errors are among it.
    type Error: From<T::Error>;

    /// A step is about to begin. `Break` stops the session before it.
    ///
    /// # Errors
    /// Ends the session.
    fn before(&mut self, session: &mut Session<T>) -> Result<ControlFlow<()>, Self::Error> {
        let _ = session;
        Ok(ControlFlow::Continue(()))
    }

    /// A step was taken.
    ///
    /// # Errors
    /// Ends the session.
    fn after(&mut self, session: &mut Session<T>, step: &Step) -> Result<(), Self::Error> {
        let _ = (session, step);
        Ok(())
    }

    /// The session ends before its time, and what was reached is to be kept.
    ///
    /// # Errors
    /// Where it cannot be.
    fn keep(&mut self, session: &mut Session<T>) -> Result<(), Self::Error> {
        let _ = session;
        Ok(())
    }
}

impl<T: Trains> Watch<T> for () {
    type Error = T::Error;
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending<E> {
    /// After all its steps.
    Whole,
    /// By the wish of who watched.
    Stopped,
    /// At a gradient that was not finite.
    Diverged(E),
}

impl<T: Trains> Session<T> {
    /// Steps to the end, or until the watch stops it or a gradient is not finite. However it ends, an error of a step
    /// included, the watch is asked to keep what was reached unless all steps were taken.
    ///
    /// # Errors
    /// Those of a step, and the watch's own.
    pub fn run<W: Watch<T> + ?Sized>(&mut self, watch: &mut W) -> Result<Ending<T::Error>, W::Error> {
        let (first, steps) = self.progress();
        for _ in first..steps {
            if watch.before(self)?.is_break() {
                watch.keep(self)?;
                return Ok(Ending::Stopped);
            }
            match self.step() {
                Ok(step) => watch.after(self, &step)?,
                Err(error) => {
                    watch.keep(self)?;
                    return if T::is_non_finite(&error) { Ok(Ending::Diverged(error)) } else { Err(error.into()) };
                }
            }
        }
        Ok(Ending::Whole)
    }
}

#[cfg(test)]
mod tests {
    use backburn_optim::{Bytes, Snapshot, SnapshotError};

    use super::*;
    use crate::session::stepping::{OnNonFinite, SoFar};
    use crate::session::trains::{Keeps, Stepped};

    /// x ← x − γx, and not a number at one step.
    #[derive(Debug)]
    struct Decay {
        x: f64,
        drawn: u64,
        bad: u64,
    }

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("not finite")]
        NonFinite,
        #[error(transparent)]
        Snapshot(#[from] SnapshotError),
    }

    impl Trains for Decay {
        type Error = Failure;

        fn step(&mut self, step: u64, lr: f64) -> Result<Stepped, Failure> {
            self.drawn += 1;
            if step == self.bad {
                return Err(Failure::NonFinite);
            }
            let loss = self.x;
            self.x -= lr * self.x;
            Ok(Stepped { loss, bytes: Bytes { up: 4.0, down: 2.0 } })
        }

        fn is_non_finite(error: &Failure) -> bool {
            matches!(error, Failure::NonFinite)
        }

        fn undo(&mut self, _: u64) {
            self.drawn -= 1;
        }
    }

    impl Keeps for Decay {
        fn snapshot(&mut self) -> Result<Snapshot, Failure> {
            let mut snapshot = Snapshot::default();
            snapshot.set_real("x", self.x);
            snapshot.numbers.insert("drawn".into(), self.drawn);
            Ok(snapshot)
        }

        fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
            (self.x, self.drawn) = (snapshot.real("x")?, snapshot.number("drawn")?);
            Ok(())
        }
    }

    fn session(bad: u64) -> Session<Decay> {
        Session::new(Decay { x: 1.0, drawn: 0, bad }, |step: u64, _: u64| 1.0 / (step as f64 + 2.0), 6)
    }

    /// Stops before a step, and keeps.
    #[derive(Default)]
    struct StopAt(Option<u64>, Vec<Snapshot>, Vec<u64>);

    impl Watch<Decay> for StopAt {
        type Error = Failure;

        fn before(&mut self, session: &mut Session<Decay>) -> Result<ControlFlow<()>, Failure> {
            let stops = self.0 == Some(session.progress().0);
            Ok(if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }

        fn after(&mut self, _: &mut Session<Decay>, step: &Step) -> Result<(), Failure> {
            self.2.push(step.number);
            Ok(())
        }

        fn keep(&mut self, session: &mut Session<Decay>) -> Result<(), Failure> {
            self.1.push(session.snapshot()?);
            Ok(())
        }
    }

    #[test]
    fn a_stopped_session_goes_on_as_if_it_had_not_been() {
        let mut whole = session(u64::MAX);
        assert!(matches!(whole.run(&mut ()), Ok(Ending::Whole)));
        let (mut first, mut second) = (session(u64::MAX), session(u64::MAX));
        let mut watch = StopAt(Some(3), vec![], vec![]);
        assert!(matches!(first.run(&mut watch), Ok(Ending::Stopped)));
        second.restore(&watch.1[0]).unwrap();
        let mut watch = StopAt(None, vec![], vec![]);
        second.run(&mut watch).unwrap();
        assert_eq!(watch.2, [3, 4, 5]);
        let comparable = |s: &Session<Decay>| (s.trains().x.to_bits(), SoFar { seconds: 0.0, ..s.so_far() });
        assert_eq!(comparable(&second), comparable(&whole));
        assert_eq!(whole.so_far().bytes, Bytes { up: 24.0, down: 12.0 });
        assert!(second.restore(&Snapshot::default()).is_err());
        assert_eq!(second.progress(), (6, 6));
    }

    #[test]
    fn what_is_not_finite_ends_it_or_is_skipped() {
        let mut ends = session(2);
        let mut watch = StopAt::default();
        assert!(matches!(ends.run(&mut watch), Ok(Ending::Diverged(Failure::NonFinite))));
        assert_eq!((ends.progress().0, ends.trains().drawn, watch.1.len()), (2, 2, 1));
        let mut skips = session(2).on_non_finite(OnNonFinite::Skip);
        skips.run(&mut ()).unwrap();
        let so_far = skips.so_far();
        assert_eq!((so_far.steps, so_far.skipped, so_far.bytes.up, skips.trains().drawn), (6, 1, 20.0, 6));
    }
}
