//! A run from its beginning, or its checkpoint, to its end.

use super::config::RunConfig;
use super::error::RunError;
use super::folder::RunFolder;
use super::interrupt::{Interrupt, Signal};
use super::memory::{Estimate, MemoryLimit};
use super::metrics::Metrics;
use super::report::Reporter;
use super::summary::Summary;
use super::trainer::Trainer;
use super::watching::Watching;
use crate::data::Options;
use crate::session::{Ending, StepSizes};

/// A run: what it is made of, where its data and results are, and what may stop it.
#[derive(Clone, Debug)]
pub struct Run {
    config: RunConfig,
    options: Options,
    folder: Option<RunFolder>,
    resume: bool,
    interrupt: Interrupt,
    memory: MemoryLimit,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With its last step.
    Finished(Summary),
    /// By a signal. What was reached is in the folder, where there is one.
    Stopped {
        /// The signal.
        signal: Signal,
        /// Steps taken.
        step: u64,
        /// Steps in all.
        steps: u64,
    },
}

impl Run {
    /// Of this configuration, which leaves nothing behind.
    pub fn new(config: RunConfig) -> Self {
        Self {
            config,
            options: Options::default(),
            folder: None,
            resume: false,
            interrupt: Interrupt::default(),
            memory: MemoryLimit::default(),
        }
    }

    /// With data from there.
    pub fn with_options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Writes into this folder.
    pub fn with_folder(self, folder: RunFolder) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// Goes on from the folder's checkpoint.
    pub fn with_resume(self, resume: bool) -> Self {
        Self { resume, ..self }
    }

    /// Is stopped by it: after the step in progress, and with what was reached in the folder.
    pub fn with_interrupt(self, interrupt: Interrupt) -> Self {
        Self { interrupt, ..self }
    }

    /// Refuses to begin where it would need more.
    pub fn with_memory_limit(self, memory: MemoryLimit) -> Self {
        Self { memory, ..self }
    }

    /// Trains to the end, and tells `reporter`.
    ///
    /// # Errors
    /// Where it cannot begin or not go on; what was reached is in the folder then, and the run can be resumed.
    pub fn run(self, reporter: &mut dyn Reporter) -> Result<Outcome, RunError> {
        self.config.check()?;
        let folder = self.claim(reporter)?;
        let split = self.config.load_data(&self.options)?;
        let needed = Estimate::new(&self.config, &split, folder.is_some())?;
        needed.check(self.memory)?;
        reporter.said(&needed.to_string());
        let mut trainer = Trainer::with_data(self.config.clone(), split)?;
        // From here on there is something to keep.
        let hold = self.interrupt.hold();
        if let Some(folder) = &folder {
            match self.resume {
                true => resume(&mut trainer, folder, reporter)?,
                false => folder.begin(&self.config, &trainer.snapshot()?)?,
            }
        }
        let metrics = folder.as_ref().map(|folder| Metrics::open(folder, trainer.progress().0)).transpose()?;
        if let Some(missing) = metrics.as_ref().map(Metrics::missing).filter(|missing| *missing > 0) {
            reporter.said(&format!("warning: metrics.jsonl has lost the lines of {missing} steps"));
        }
        reporter.started(&trainer);
        let mut watching = Watching::new(folder.as_ref(), metrics, &self.interrupt, reporter);
        match trainer.run(&mut watching)? {
            Ending::Diverged(error) => return Err(error),
            Ending::Stopped => {}
            Ending::Whole => watching.save(&mut trainer)?,
        }
        let (step, steps) = trainer.progress();
        if let Some(signal) = self.interrupt.asked() {
            reporter.over();
            return Ok(Outcome::Stopped { signal, step, steps });
        }
        drop(hold);
        let summary = trainer.summary(trainer.trains().evaluate()?);
        if let Some(folder) = &folder {
            folder.save_summary(&summary)?;
        }
        reporter.over();
        check(&trainer, &summary)?;
        Ok(Outcome::Finished(summary))
    }

    /// The folder, where there is one, as ours to write; before anything is fetched or built.
    fn claim(&self, reporter: &mut dyn Reporter) -> Result<Option<RunFolder>, RunError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        if !self.resume {
            folder.check_vacant()?; // before anything is put into a folder of somebody else's
        }
        let folder = folder.locked()?;
        if !self.resume {
            folder.check_vacant()?;
        }
        if !folder.is_locked() {
            reporter.said("warning: this file system has no locks, and a second process could write the same folder");
        }
        Ok(Some(folder))
    }
}

/// Goes on from the folder's checkpoint.
fn resume(trainer: &mut Trainer, folder: &RunFolder, reporter: &mut dyn Reporter) -> Result<(), RunError> {
    let snapshot = folder.checkpoint()?;
    trainer.restore(&snapshot)?;
    let (reached, steps) = trainer.progress();
    if reached > steps {
        return Err(RunError::Behind { reached, steps });
    }
    let now = trainer.trains().config().clone();
    let before = RunConfig::from_toml(snapshot.text("config")?)?;
    if let Some(word) = step_size_word(&before, &now, reached, trainer.trains().split().train.len()) {
        reporter.said(&word);
    }
    folder.go_on(&now)
}

/// What becomes of the step size where a run goes on over another length than it began with.
fn step_size_word(before: &RunConfig, now: &RunConfig, reached: u64, examples: usize) -> Option<String> {
    let over = |config: &RunConfig| config.steps_of_schedule(examples);
    let at = |config: &RunConfig, step| config.step_sizes(examples).at(step, config.steps_for(examples));
    if reached == 0 || now.schedule.is_constant() || before.schedule != now.schedule || over(before) == over(now) {
        return None;
    }
    let (last, next) = (at(before, reached - 1), at(now, reached));
    let (was, is) = (over(before), over(now));
    Some(format!(
        "the step sizes ran over {was} steps, and run over {is} now: {last} is followed by {next} at step {reached}; \
         --schedule-length {was}steps keeps them as they were"
    ))
}

/// Refuses an end that is none: weights or a loss that are no numbers, or not a step taken.
fn check(trainer: &Trainer, summary: &Summary) -> Result<(), RunError> {
    if let Some(path) = trainer.trains().first_non_finite()? {
        return Err(RunError::NotFinite(format!("weights of `{path}`")));
    }
    if !trainer.trains().split().test.is_empty() && !summary.test_loss.is_finite() {
        return Err(RunError::NotFinite(format!("the test loss is {}", summary.test_loss)));
    }
    if summary.steps > 0 && summary.skipped == summary.steps {
        return Err(RunError::NotFinite(format!("gradients, at each of {} steps; all were skipped", summary.steps)));
    }
    Ok(())
}
