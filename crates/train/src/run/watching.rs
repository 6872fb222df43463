//! What follows a run's steps: metrics, checkpoints, a signal.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::error::RunError;
use super::folder::RunFolder;
use super::interrupt::Interrupt;
use super::metrics::Metrics;
use super::ranks::Wish;
use super::report::Reporter;
use super::trainer::Trainer;
use super::workers::Workers;
use crate::session::{Step, Watch};

/// Writes into a folder, where there is one, tells a reporter, and stops at a signal.
pub(super) struct Watching<'a> {
    folder: Option<&'a RunFolder>,
    metrics: Option<Metrics>,
    interrupt: &'a Interrupt,
    reporter: &'a mut dyn Reporter,
    kept: Instant,
    /// The step that was kept last.
    at: Option<u64>,
}

impl<'a> Watching<'a> {
    pub fn new(
        folder: Option<&'a RunFolder>,
        metrics: Option<Metrics>,
        interrupt: &'a Interrupt,
        reporter: &'a mut dyn Reporter,
    ) -> Self {
        Self { folder, metrics, interrupt, reporter, kept: Instant::now(), at: None }
    }

    /// Writes a checkpoint, after the metrics that lead up to it.
    pub fn save(&mut self, trainer: &mut Trainer) -> Result<(), RunError> {
        let Some(folder) = self.folder else { return Ok(()) };
        let reached = trainer.progress().0;
        if self.at == Some(reached) {
            return Ok(());
        }
        let synced = self.metrics.as_mut().map_or(Ok(()), Metrics::sync);
        match trainer.trains().ranks().cloned() {
            None => {
                synced?;
                folder.save_checkpoint(&trainer.snapshot()?)?;
            }
            Some(ranks) => {
                ranks.agree(synced)?;
                folder.save_parts(&ranks, trainer.snapshot()?)?;
            }
        }
        (self.kept, self.at) = (Instant::now(), Some(reached));
        Ok(())
    }
}

impl Watch<Workers> for Watching<'_> {
    type Error = RunError;

    fn before(&mut self, trainer: &mut Trainer) -> Result<ControlFlow<()>, RunError> {
        let workers = trainer.trains_mut();
        let stop = self.interrupt.asked().is_some();
        let stops = match workers.ranks() {
            None => stop,
            // All stop before the same step, and keep the same ones: what is wished now is granted with the next step.
            Some(ranks) => {
                let due = ranks.is_first() && workers.config().checkpoint_every.is_overdue(self.kept.elapsed());
                workers.wish(Wish { stop, keep: due });
                workers.granted().stop
            }
        };
        Ok(if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn after(&mut self, trainer: &mut Trainer, step: &Step) -> Result<(), RunError> {
        let (taken, steps) = trainer.progress();
        let every = trainer.trains().config().evaluate_every;
        let measured = match every > 0 && taken.is_multiple_of(every) {
            true => {
                trainer.trains_mut().settle()?;
                Some(trainer.trains().measure()?)
            }
            false => None,
        };
        // All processes look, and the first one writes.
        if self.folder.is_some() {
            let seen = trainer.trains_mut().observe_all()?;
            if let Some(metrics) = &mut self.metrics {
                metrics.write(step, &seen, trainer.trains().step_on_link(), measured.as_ref())?;
            }
        }
        self.reporter.stepped(step, steps);
        if let Some(measured) = measured {
            self.reporter.said(&format!("step {taken}: {measured}"));
        }
        let workers = trainer.trains();
        let since = match workers.ranks() {
            None => self.kept.elapsed(),
            Some(_) if workers.granted().keep => Duration::MAX,
            Some(_) => Duration::ZERO,
        };
        match workers.config().checkpoint_every.is_due(taken, since) {
            true => self.save(trainer),
            false => Ok(()),
        }
    }

    fn keep(&mut self, trainer: &mut Trainer) -> Result<(), RunError> {
        self.save(trainer)
    }
}
