//! `backburn compare`: a grid of runs, and the page over them.

use std::path::PathBuf;

use backburn::train::data::Options;
use backburn::train::run::Interrupt;
use backburn_reproduce::{Grid, GridRequest, compare_grid};

use crate::error::{Failure, say};

/// What the command takes.
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file with methods, compressors, seeds, and tables [tune] and [run].
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where runs and page go [default: the file's name without its ending]. What is finished there is kept, and what is
    /// not goes on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say what would be run, and stop.
    #[arg(long)]
    plan: bool,
    /// Runs at a time; 0 is one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// A directory with the data set, before the user's cache is looked at.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Never fetch data.
    #[arg(long)]
    offline: bool,
}

/// Runs what is left of the grid. A run that fails does not keep the others from running, and is a failure of the command.
pub fn compare(args: Args) -> Result<(), Failure> {
    let file = args.file.display();
    let text = std::fs::read_to_string(&args.file);
    let text = text.map_err(|e| Failure::Error(format!("cannot read `{file}`: {e}")))?;
    let grid = Grid::from_toml(&text).map_err(|e| Failure::Error(format!("`{file}`: {e}")))?;
    grid.left_out().iter().for_each(|why| eprintln!("left out: {why}"));
    if args.plan {
        return grid.plan().into_iter().try_for_each(say);
    }
    let stem = || args.file.file_stem().map_or("comparison".into(), PathBuf::from);
    let out = args.out.clone().unwrap_or_else(stem);
    if out.is_file() {
        return Err(Failure::Error(format!("`{}` is a file; --out is a folder", out.display())));
    }
    let interrupt = Interrupt::listen(|signal| {
        Some(format!("{signal}: checkpoints follow this step, and the same command goes on; once more ends at once"))
    })?;
    let _hold = interrupt.hold();
    let request = GridRequest {
        out,
        data: Options { data_dir: args.data_dir, offline: args.offline, progress: true, ..Options::default() },
        threads: args.threads,
        progress: true,
        interrupt: interrupt.clone(),
    };
    let compared = compare_grid(&grid, &request)?;
    compared.at_the_edge.iter().for_each(|word| eprintln!("{word}"));
    for (folder, why) in &compared.failed {
        eprintln!("`{}` failed: {why}", folder.display());
    }
    if let Some(page) = &compared.page {
        say(format!("report: {}", page.display()))?;
    }
    match interrupt.asked() {
        Some(signal) => {
            say("stopped before the end; the same command goes on")?;
            Err(Failure::Stopped(signal))
        }
        None if compared.failed.is_empty() => Ok(()),
        None => Err(Failure::Said),
    }
}
