//! The `backburn` command.

mod advise;
mod bench;
mod checkpoint;
mod compare;
mod data;
mod error;
mod forms;
mod replay;
mod report;
mod reproduce;
mod stability;
mod train;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::error::{Failure, say};

/// Error-feedback compressed training for Burn.
#[derive(Parser)]
#[command(name = "backburn", version, arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model on simulated workers, or as one of the ranks of an MPI run.
    Train(Box<train::Args>),
    /// Run a grid of methods, compressors and seeds, tune step sizes, and compare all on one page.
    Compare(compare::Args),
    /// Compare runs on one page: loss and accuracy against steps, bytes and seconds, and what is owed.
    Report(report::Args),
    /// Show a checkpoint, or make one file of its parts.
    Checkpoint(checkpoint::Args),
    /// List, fetch and verify data sets.
    Data(data::Args),
    /// Replay worked cases through the methods and compare.
    Replay(replay::Args),
    /// Run the papers' experiments, draw their figures and check their claims.
    Reproduce(reproduce::Args),
    /// Map where ErrorCompensatedX is stable, over α and the share that is sent.
    Stability(stability::Args),
    /// Say whether to compress on a given network, with what, and under which plan.
    Advise(Box<advise::Args>),
    /// Measure speed and size of compressors.
    Bench(bench::Args),
    /// List compressors, or show one.
    Compressors(forms::Args),
    /// List methods, or show one.
    Methods(forms::Args),
    /// Write a shell's completion script.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// The command as its help, its completions and its parser see it.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("train", train::show_defaults)
}

fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "backburn", &mut script);
    say(String::from_utf8_lossy(&script).trim_end())
}

fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    // A reader that goes away (`| head`) ends the program as it ends any other.
    let outcome = match cli.command {
        Command::Train(args) => train::train(*args),
        Command::Compare(args) => compare::compare(args),
        Command::Report(args) => report::report(&args),
        Command::Checkpoint(args) => checkpoint::checkpoint(args),
        Command::Data(args) => data::data(args),
        Command::Replay(args) => replay::replay(&args),
        Command::Reproduce(args) => reproduce::reproduce(args),
        Command::Stability(args) => stability::stability(args),
        Command::Advise(args) => advise::advise(*args),
        Command::Bench(args) => bench::bench(&args),
        Command::Compressors(args) => forms::compressors(&args),
        Command::Methods(args) => forms::methods(&args),
        Command::Completions { shell } => completions(shell),
    };
    match outcome {
        Ok(()) | Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(Failure::Said) => ExitCode::FAILURE,
        Err(Failure::Stopped(signal)) => ExitCode::from(signal.exit_code()),
        Err(Failure::Error(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_is_consistent() {
        super::command().debug_assert();
    }
}
