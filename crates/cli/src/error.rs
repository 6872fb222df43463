//! How a command fails.

use std::io::{ErrorKind, Write};

use backburn::train::run::Signal;

/// Why a command did not succeed.
pub enum Failure {
    /// Something to say on standard error.
    Error(String),
    /// All has been said; only the exit code is left.
    Said,
    /// A signal ended it, and all has been said.
    Stopped(Signal),
    /// Whoever read the output has gone.
    Pipe,
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(chain(&error))
    }
}

/// What an error says, and what its sources add to it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        source = error.source();
    }
    said
}

/// Writes a line to standard output.
pub fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(Failure::Pipe),
        Err(e) => Err(Failure::Error(format!("cannot write to standard output: {e}"))),
    }
}
