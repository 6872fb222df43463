//! What a run shows while it goes on, and tables of what runs came to.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{StepReport, Summary, Trainer};

/// Follows a run. The default shows nothing.
pub trait Reporter {
    /// The data is there and the model is built.
    fn started(&mut self, trainer: &Trainer) {
        let _ = trainer;
    }

    /// A step was taken.
    fn stepped(&mut self, step: &StepReport, steps: u64) {
        let _ = (step, steps);
    }

    /// The run is over.
    fn finished(&mut self, summary: &Summary) {
        let _ = summary;
    }
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
        if let Some(warning) = trainer.group().cluster().warning() {
            eprintln!("warning: {warning}");
        }
        if step >= steps {
            eprintln!("{}: all {steps} steps have been taken already", self.label);
        }
        if std::io::stderr().is_terminal() {
            let style = "{prefix:28} {bar:30} {pos}/{len} {elapsed} (about {eta} left) {msg}";
            let style = ProgressStyle::with_template(style).expect("a valid template");
            let bar = ProgressBar::new(steps).with_style(style).with_prefix(self.label.clone());
            bar.set_position(step);
            self.bar = Some(bar);
        } else {
            eprintln!("{}: {} steps on {}", self.label, steps.saturating_sub(step), trainer.device_name());
        }
    }

    fn stepped(&mut self, step: &StepReport, steps: u64) {
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
                let due = (step.step + 1).is_multiple_of(tenth) && self.told.elapsed() > Duration::from_secs(2);
                if due || self.told.elapsed() > Duration::from_secs(20) {
                    eprintln!("{}: step {}/{steps}, loss {smooth:.3}", self.label, step.step + 1);
                    self.told = Instant::now();
                }
            }
        }
    }

    fn finished(&mut self, _: &Summary) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Megabytes with three significant figures.
pub fn megabytes(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else if value >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.digits$}")
}

/// A plain text table: the first column to the left, the others to the right.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these headings.
    pub fn new<S: Into<String>>(headings: impl IntoIterator<Item = S>) -> Self {
        Self { rows: vec![headings.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |c: usize| self.rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (i, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(c, (cell, width))| match c {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
            if i == 0 {
                writeln!(f, "{}", "-".repeat(widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1)))?;
            }
        }
        Ok(())
    }
}
