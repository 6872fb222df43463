//! What follows a run's steps: metrics, checkpoints, a signal.

use std::ops::ControlFlow;
use std::time::Instant;

use super::error::RunError;
use super::folder::RunFolder;
use super::interrupt::Interrupt;
use super::metrics::Metrics;
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
}

impl<'a> Watching<'a> {
    pub fn new(
        folder: Option<&'a RunFolder>,
        metrics: Option<Metrics>,
        interrupt: &'a Interrupt,
        reporter: &'a mut dyn Reporter,
    ) -> Self {
        Self { folder, metrics, interrupt, reporter, kept: Instant::now() }
    }

    /// Writes a checkpoint, after the metrics that lead up to it.
    pub fn save(&mut self, trainer: &mut Trainer) -> Result<(), RunError> {
        let Some(folder) = self.folder else { return Ok(()) };
        if let Some(metrics) = &mut self.metrics {
            metrics.sync()?;
        }
        folder.save_checkpoint(&trainer.snapshot()?)?;
        self.kept = Instant::now();
        Ok(())
    }
}

impl Watch<Workers> for Watching<'_> {
    type Error = RunError;

    fn before(&mut self, _: &mut Trainer) -> Result<ControlFlow<()>, RunError> {
        Ok(if self.interrupt.asked().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn after(&mut self, trainer: &mut Trainer, step: &Step) -> Result<(), RunError> {
        if let Some(metrics) = &mut self.metrics {
            let seen = trainer.trains_mut().observe();
            metrics.write(step, &seen, trainer.trains().step_on_link())?;
        }
        let (taken, steps) = trainer.progress();
        self.reporter.stepped(step, steps);
        match trainer.trains().config().checkpoint_every.is_due(taken, self.kept.elapsed()) {
            true => self.save(trainer),
            false => Ok(()),
        }
    }

    fn keep(&mut self, trainer: &mut Trainer) -> Result<(), RunError> {
        self.save(trainer)
    }
}
