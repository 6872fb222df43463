//! A run from its beginning, or its checkpoint, to its end.

use super::config::RunConfig;
use super::error::RunError;
use super::folder::RunFolder;
use super::metrics::Metrics;
use super::report::Reporter;
use super::summary::Summary;
use super::trainer::Trainer;
use super::workers::Workers;
use crate::data::Options;
use crate::session::{Ending, Step, Watch};

/// Writes into a folder, where there is one, and tells a reporter.
struct Watching<'a> {
    folder: Option<&'a RunFolder>,
    metrics: Option<Metrics>,
    reporter: &'a mut dyn Reporter,
}

impl Watch<Workers> for Watching<'_> {
    type Error = RunError;

    fn after(&mut self, trainer: &mut Trainer, step: &Step) -> Result<(), RunError> {
        if let Some(metrics) = &mut self.metrics {
            let seen = trainer.trains_mut().observe();
            metrics.write(step, &seen, trainer.trains().step_on_link())?;
        }
        self.reporter.stepped(step, trainer.progress().1);
        let every = trainer.trains().config().checkpoint_every;
        if every > 0 && (step.number + 1).is_multiple_of(every) {
            self.keep(trainer)?;
        }
        Ok(())
    }

    fn keep(&mut self, trainer: &mut Trainer) -> Result<(), RunError> {
        self.folder.map_or(Ok(()), |folder| folder.save_checkpoint(&trainer.snapshot()?))
    }
}

/// Trains to the end, writing into `folder` where there is one, and telling `reporter`. With
/// `resume` it goes on from the folder's checkpoint.
///
/// # Errors
/// Where it cannot begin or not go on; what was reached is in the folder then, and `resume` goes on from there.
pub fn run(
    config: RunConfig,
    options: &Options,
    folder: Option<&RunFolder>,
    resume: bool,
    reporter: &mut dyn Reporter,
) -> Result<Summary, RunError> {
    // Before anything is fetched or built.
    folder.filter(|_| !resume).map_or(Ok(()), RunFolder::check_vacant)?;
    let mut trainer = Trainer::load(config, options)?;
    if let Some(folder) = folder {
        if resume {
            trainer.restore(&folder.checkpoint()?)?;
            folder.save_config(trainer.trains().config())?;
        } else {
            folder.begin(trainer.trains().config())?;
        }
    }
    let metrics = folder.map(|f| Metrics::open(f, trainer.progress().0)).transpose()?;
    reporter.started(&trainer);
    let mut watching = Watching { folder, metrics, reporter };
    if let Ending::Diverged(error) = trainer.run(&mut watching)? {
        return Err(error);
    }
    watching.keep(&mut trainer)?;
    let summary = trainer.summary(trainer.trains().evaluate()?);
    if let Some(folder) = folder {
        folder.save_summary(&summary)?;
    }
    watching.reporter.finished(&summary);
    Ok(summary)
}
