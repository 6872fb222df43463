//! Progress on standard error, where it is wanted and there is a terminal.

use std::io::Read;

use indicatif::{ProgressBar, ProgressBarIter, ProgressDrawTarget, ProgressStyle};

/// Says who else is fetching a set.
pub(crate) fn say(shown: bool, name: &str, by: &str) {
    if shown {
        eprintln!("{name}: {by} is fetching it; waiting for that");
    }
}

/// Makes the bars of one source.
pub(crate) struct Progress {
    shown: bool,
    name: &'static str,
}

impl Progress {
    pub(crate) fn new(shown: bool, name: &'static str) -> Self {
        Self { shown, name }
    }

    /// A reader that moves a bar of `length` bytes.
    pub(crate) fn of<R: Read>(&self, reader: R, length: Option<u64>, what: &str) -> ProgressBarIter<R> {
        let bar = ProgressBar::with_draw_target(length, self.target()).with_message(format!("{}: {what}", self.name));
        let template = match length {
            Some(_) => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "{msg} {bytes} {bytes_per_sec}",
        };
        // The templates are constants; the default style serves as well.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.wrap_read(reader)
    }

    /// Shows that something of unknown length goes on, until it is dropped.
    pub(crate) fn wait(&self, what: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, self.target()).with_message(format!("{}: {what}", self.name));
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        bar.with_finish(indicatif::ProgressFinish::AndClear)
    }

    fn target(&self) -> ProgressDrawTarget {
        match self.shown {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        }
    }
}
