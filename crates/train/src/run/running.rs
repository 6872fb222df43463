//! A run from its beginning, or its checkpoint, to its end.

use super::config::RunConfig;
use super::error::RunError;
use super::folder::RunFolder;
use super::interrupt::{Interrupt, Signal};
use super::memory::{Estimate, MemoryLimit};
use super::metrics::Metrics;
use super::ranks::Ranks;
use super::report::Reporter;
use super::summary::Summary;
use super::trainer::Trainer;
use super::watching::Watching;
use crate::data::{Examples, Options, Split};
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
    ranks: Option<Ranks>,
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
            ranks: None,
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

    /// Is one of many processes, each with its share of the workers. All run the same; the first one writes what is written
    /// once, and into the folder all write their own part of a checkpoint: it must be one that all see.
    pub fn with_ranks(self, ranks: impl Into<Option<Ranks>>) -> Self {
        Self { ranks: ranks.into(), ..self }
    }

    /// Trains to the end, and tells `reporter`.
    ///
    /// # Errors
    /// Where it cannot begin or not go on; what was reached is in the folder then, and the run can be resumed. Of many
    /// processes all get an error.
    pub fn run(self, reporter: &mut dyn Reporter) -> Result<Outcome, RunError> {
        self.config.check()?;
        let folder = self.together(self.claim(reporter))?;
        let split = self.together(self.prepare(folder.is_some(), reporter))?;
        let mut trainer = Trainer::over(self.config.clone(), split, self.ranks.clone())?;
        // From here on there is something to keep.
        let hold = self.interrupt.hold();
        if let Some(folder) = &folder {
            match (self.resume, &self.ranks) {
                (true, _) => {
                    let resumed = self.resume(&mut trainer, folder, reporter);
                    self.together(resumed)?;
                }
                (false, None) => folder.begin(&self.config, &trainer.snapshot()?)?,
                (false, Some(ranks)) => folder.begin_in_parts(ranks, &self.config, trainer.snapshot()?)?,
            }
        }
        let writes = folder.as_ref().filter(|_| self.is_first());
        let metrics = writes.map(|folder| Metrics::open(folder, trainer.progress().0)).transpose();
        let metrics = self.together(metrics)?;
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
        let stopped = match &self.ranks {
            None => self.interrupt.asked(),
            // Which signal it was, not every process knows.
            Some(_) if step < steps => Some(self.interrupt.asked().unwrap_or(Signal::Terminate)),
            Some(_) => None,
        };
        if let Some(signal) = stopped {
            reporter.over();
            return Ok(Outcome::Stopped { signal, step, steps });
        }
        drop(hold);
        trainer.trains_mut().settle()?;
        let between = self.ranks.as_ref().map(Ranks::sent).transpose()?;
        let mut summary = trainer.summary(trainer.trains().evaluate()?);
        summary.megabytes_between = between.map(|bytes| bytes as f64 / 1e6);
        let writes = folder.as_ref().filter(|_| self.is_first());
        self.together(writes.map_or(Ok(()), |folder| folder.save_summary(&summary)))?;
        reporter.over();
        check(&trainer, &summary)?;
        Ok(Outcome::Finished(summary))
    }

    fn is_first(&self) -> bool {
        self.ranks.as_ref().is_none_or(Ranks::is_first)
    }

    /// Goes on only if all processes can.
    fn together<T>(&self, own: Result<T, RunError>) -> Result<T, RunError> {
        match &self.ranks {
            None => own,
            Some(ranks) => ranks.agree(own),
        }
    }

    /// The data, where there is memory for all that they take.
    fn prepare(&self, keeps: bool, reporter: &mut dyn Reporter) -> Result<Split<Examples>, RunError> {
        let split = self.config.fit(self.config.load_data(&self.options)?)?;
        let workers = match &self.ranks {
            None => self.config.workers,
            Some(ranks) => ranks.seats(self.config.workers)?.len(),
        };
        let needed = Estimate::new(&RunConfig { workers, ..self.config.clone() }, &split, keeps)?;
        needed.check(self.memory)?;
        reporter.said(&needed.to_string());
        Ok(split)
    }

    /// The folder, where there is one, as ours to write; before anything is fetched or built. Of many processes the first
    /// has it.
    fn claim(&self, reporter: &mut dyn Reporter) -> Result<Option<RunFolder>, RunError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        if !self.is_first() {
            return Ok(Some(folder.clone()));
        }
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

    /// Goes on from the folder's checkpoint.
    fn resume(&self, trainer: &mut Trainer, folder: &RunFolder, reporter: &mut dyn Reporter) -> Result<(), RunError> {
        let snapshot = match &self.ranks {
            None => folder.checkpoint()?,
            Some(ranks) => folder.checkpoint_for(ranks, self.config.workers)?,
        };
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
        if self.is_first() { folder.go_on(&now) } else { Ok(()) }
    }
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
