//! A training in progress: steps by a schedule, counted, and kept with all its state.

use std::time::Instant;

use backburn_optim::{Bytes, Snapshot, SnapshotError};
use serde::{Deserialize, Serialize};

use super::schedule::StepSizes;
use super::step::Step;
use super::trains::{Keeps, Stepped, Trains};

/// What happens when a gradient is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNonFinite {
    /// The session ends with the parameter's path, the worker and the step; all state is as before.
    #[default]
    Stop,
    /// The round is skipped, residuals untouched, and counted.
    Skip,
}

/// A training in progress.
pub struct Session<T> {
    trains: T,
    schedule: Box<dyn StepSizes>,
    steps: u64,
    on_non_finite: OnNonFinite,
    so_far: SoFar,
}

/// What a session has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoFar {
    /// Steps taken.
    pub steps: u64,
    /// Rounds among them that were skipped for a gradient that was not finite.
    pub skipped: u64,
    /// What a worker sent and received.
    pub bytes: Bytes<f64>,
    /// Seconds spent in steps.
    pub seconds: f64,
    /// The last loss that was a number.
    pub loss: f64,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} of {} steps, {:?})", self.so_far.steps, self.steps, self.trains)
    }
}

impl<T: Trains> Session<T> {
    /// So many steps of sizes γ_t.
    pub fn new(trains: T, schedule: impl StepSizes + 'static, steps: u64) -> Self {
        let so_far = SoFar { steps: 0, skipped: 0, bytes: Bytes::default(), seconds: 0.0, loss: f64::NAN };
        Self { trains, schedule: Box::new(schedule), steps, on_non_finite: OnNonFinite::Stop, so_far }
    }

    /// What happens when a gradient is not finite, instead of an error.
    pub fn on_non_finite(self, on_non_finite: OnNonFinite) -> Self {
        Self { on_non_finite, ..self }
    }

    /// What is trained.
    pub fn trains(&self) -> &T {
        &self.trains
    }

    /// What is trained, to be measured or moved.
    pub fn trains_mut(&mut self) -> &mut T {
        &mut self.trains
    }

    /// Steps taken, and steps in all.
    pub fn progress(&self) -> (u64, u64) {
        (self.so_far.steps, self.steps)
    }

    /// What it has come to.
    pub fn so_far(&self) -> SoFar {
        self.so_far
    }

    /// One step.
    ///
    /// # Errors
    /// Where it cannot be taken: all state is then as before, the step does not count. A gradient that is not finite is
    /// an error unless rounds with one are [skipped](OnNonFinite::Skip).
    pub fn step(&mut self) -> Result<Step, T::Error> {
        let started = Instant::now();
        let number = self.so_far.steps;
        let lr = self.schedule.at(number, self.steps);
        let skips = self.on_non_finite == OnNonFinite::Skip;
        let (stepped, skipped) = match self.trains.step(number, lr) {
            Ok(stepped) => (stepped, false),
            // What was drawn stays drawn, or the same batch would come again.
            Err(error) if skips && T::is_non_finite(&error) => (self.trains.skip(number), true),
            Err(error) => {
                self.trains.undo(number);
                return Err(error);
            }
        };
        let Stepped { loss, bytes } = stepped;
        self.so_far.steps += 1;
        self.so_far.skipped += u64::from(skipped);
        self.so_far.bytes += bytes;
        if loss.is_finite() {
            self.so_far.loss = loss;
        }
        self.so_far.seconds += started.elapsed().as_secs_f64();
        Ok(Step { number, lr, loss, bytes, skipped })
    }
}

impl<T: Keeps> Session<T> {
    /// All state, exactly.
    ///
    /// # Errors
    /// Where it cannot be written down.
    pub fn snapshot(&mut self) -> Result<Snapshot, T::Error> {
        let mut snapshot = self.trains.snapshot()?;
        let SoFar { steps, skipped, bytes, seconds, loss } = self.so_far;
        snapshot.numbers.insert("run.step".into(), steps);
        snapshot.numbers.insert("run.skipped".into(), skipped);
        for (name, real) in REALS.into_iter().zip([bytes.up, bytes.down, seconds, loss]) {
            snapshot.set_real(name, real);
        }
        Ok(snapshot)
    }

    /// Goes on from a snapshot. On an error nothing has changed.
    ///
    /// # Errors
    /// Where it is damaged, or another session's.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), T::Error> {
        let so_far = SoFar::read(snapshot)?;
        self.trains.restore(snapshot)?;
        self.so_far = so_far;
        Ok(())
    }
}

/// What a snapshot calls them.
const REALS: [&str; 4] = ["run.bytes-up", "run.bytes-down", "run.seconds", "run.loss"];

impl SoFar {
    fn read(snapshot: &Snapshot) -> Result<Self, SnapshotError> {
        let [up, down, seconds, loss] = REALS.map(|name| snapshot.real(name));
        Ok(Self {
            steps: snapshot.number("run.step")?,
            skipped: snapshot.number("run.skipped")?,
            bytes: Bytes { up: up?, down: down? },
            seconds: seconds?,
            loss: loss?,
        })
    }
}
