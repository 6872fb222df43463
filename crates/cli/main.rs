//! The `backburn` command.

mod bench;
mod data;
mod error;
mod list;
mod replay;
mod reproduce;
mod stability;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Error-feedback compressed training for Burn.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a classifier on simulated workers.
    Train(Box<train::Args>),
    /// List, fetch and verify data sets.
    Data(data::Args),
    /// Replay worked cases through the methods and compare.
    Replay(replay::Args),
    /// Run the papers' experiments, draw their figures and check their claims.
    Reproduce(reproduce::Args),
    /// Map where ErrorCompensatedX is stable, over α and the share that is sent.
    Stability(stability::Args),
    /// Measure speed and size of compressors.
    Bench(bench::Args),
    /// List compressors and their arguments.
    Compressors,
    /// List methods and their arguments.
    Methods,
}

fn main() -> ExitCode {
    // A reader that goes away (`| head`) ends the program as it ends any other.
    let outcome = match Cli::parse().command {
        Command::Train(args) => train::train(*args),
        Command::Data(args) => data::data(args),
        Command::Replay(args) => replay::replay(&args),
        Command::Reproduce(args) => reproduce::reproduce(args),
        Command::Stability(args) => stability::stability(args),
        Command::Bench(args) => bench::bench(&args),
        Command::Compressors => list::compressors(),
        Command::Methods => list::methods(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error::Failure::Pipe) => ExitCode::SUCCESS,
        Err(error::Failure::Said) => ExitCode::FAILURE,
        Err(error::Failure::Error(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
