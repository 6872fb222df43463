//! What a run shows while it goes on.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::trainer::Trainer;
use crate::session::Step;

/// Follows a run. The default shows nothing.
///
/// ```
/// use backburn_train::run::Reporter;
/// use backburn_train::session::Step;
///
/// /// The losses, for a plot of one's own.
/// #[derive(Default)]
/// struct Losses(Vec<f64>);
///
/// impl Reporter for Losses {
///     fn stepped(&mut self, step: &Step, _: u64) {
///         self.0.push(step.loss);
///     }
/// }
///
/// let mut losses = Losses::default(); // for `Run::run`
/// losses.stepped(&Step { number: 0, lr: 0.1, loss: 2.5, bytes: Default::default(), skipped: false }, 10);
/// assert_eq!(losses.0, [2.5]);
/// ```
pub trait Reporter {
    /// The data is there and the model is built.
    fn started(&mut self, trainer: &Trainer) {
        let _ = trainer;
    }

    /// A step was taken.
    fn stepped(&mut self, step: &Step, steps: u64) {
        let _ = (step, steps);
    }

    /// Something to know, in a sentence.
    fn said(&mut self, word: &str) {
        let _ = word;
    }

    /// No more steps will be taken.
    fn over(&mut self) {}
}

impl Reporter for () {}

/// A progress bar on a terminal; elsewhere a plain line every few seconds and ten times a run.
#[derive(Debug)]
pub struct Progress {
    label: String,
    bar: Option<ProgressBar>,
    told: Instant,
    smooth: Option<f64>,
}

impl Progress {
    /// Under this label, on standard error.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), bar: None, told: Instant::now(), smooth: None }
    }
}

impl Reporter for Progress {
    fn started(&mut self, trainer: &Trainer) {
        let (step, steps) = trainer.progress();
        if let Some(warning) = trainer.trains().group().cluster().warning() {
            eprintln!("warning: {warning}");
        }
        if step >= steps {
            eprintln!("{}: all {steps} steps have been taken already", self.label);
        }
        if std::io::stderr().is_terminal() {
            let style = "{prefix:28} {bar:30} {pos}/{len} {elapsed} (about {eta} left) {msg}";
            let bar = ProgressBar::new(steps).with_prefix(self.label.clone());
            // The template is a constant; the default style serves as well.
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.set_position(step);
            self.bar = Some(bar);
        } else {
            eprintln!("{}: {} steps on {}", self.label, steps.saturating_sub(step), trainer.trains().device_kind());
        }
    }

    fn stepped(&mut self, step: &Step, steps: u64) {
        if step.loss.is_finite() {
            self.smooth = Some(self.smooth.map_or(step.loss, |s| 0.95 * s + 0.05 * step.loss));
        }
        let smooth = self.smooth.unwrap_or(step.loss);
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("loss {smooth:.3}"));
                bar.inc(1);
            }
            None => {
                let tenth = (steps / 10).max(1);
                let due = (step.number + 1).is_multiple_of(tenth) && self.told.elapsed() > Duration::from_secs(2);
                if due || self.told.elapsed() > Duration::from_secs(20) {
                    eprintln!("{}: step {}/{steps}, loss {smooth:.3}", self.label, step.number + 1);
                    self.told = Instant::now();
                }
            }
        }
    }

    fn said(&mut self, word: &str) {
        let say = || eprintln!("{}: {word}", self.label);
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn over(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
