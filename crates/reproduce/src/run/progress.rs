//! How far an experiment is, and how long it still takes.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::words::clock;

/// Seconds between two plain lines.
const QUIET: Duration = Duration::from_secs(15);

/// A bar on a terminal; elsewhere a line now and then. On standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    /// What is counted, such as `curves`.
    what: &'static str,
    started: Instant,
    /// What was done at the start, and so says nothing about speed.
    cached: f64,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// For a run of which the share `cached` is already there.
    pub fn new(label: String, what: &'static str, cached: f64, visible: bool) -> Self {
        let bar = (visible && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{prefix:34} {bar:24} {percent:>3} % {msg}");
            let bar = ProgressBar::new(1000).with_prefix(label.clone());
            style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        });
        let told = Instant::now();
        let told = if visible { told } else { told + Duration::from_secs(1 << 30) };
        Self { label, what, started: Instant::now(), cached, bar, told }
    }

    /// The share that is done.
    pub fn show(&mut self, done: f64, counted: (usize, usize)) {
        let elapsed = self.started.elapsed();
        let left =
            (done - self.cached > 1e-4).then(|| elapsed.mul_f64(((1.0 - done) / (done - self.cached)).clamp(0.0, 1e6)));
        let left = left.map_or_else(|| "estimating".into(), |left| format!("about {} left", clock(left)));
        let message = format!("{}/{} {}, {} so far, {left}", counted.0, counted.1, self.what, clock(elapsed));
        match &self.bar {
            Some(bar) => {
                bar.set_position((1000.0 * done) as u64);
                bar.set_message(message);
            }
            None if Instant::now().saturating_duration_since(self.told) > QUIET => {
                eprintln!("{}: {:.0} %, {message}", self.label, 100.0 * done);
                self.told = Instant::now();
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
