//! `backburn report`: a page over runs.

use std::path::PathBuf;

use backburn_reproduce::compare_runs;

use crate::error::{Failure, say};

/// What the command takes.
#[derive(clap::Args)]
pub struct Args {
    /// Folders that `backburn train --out` has written, finished or not; a folder of such folders stands for all in it.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page: one file that needs nothing else.
    #[arg(long, default_value = "report.html", value_name = "FILE")]
    out: PathBuf,
}

/// Loss and accuracy against steps, bytes and seconds, and what is owed.
pub fn report(args: &Args) -> Result<(), Failure> {
    compare_runs(&args.runs, &args.out)?;
    say(format!("report: {}", args.out.display()))
}
