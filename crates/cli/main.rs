//! The `backburn` command.

mod data;
mod error;
mod list;
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
    Train(train::Args),
    /// List, fetch and verify data sets.
    Data(data::Args),
    /// List compressors and their arguments.
    Compressors,
    /// List methods and their arguments.
    Methods,
}

fn main() -> ExitCode {
    // A reader that goes away (`| head`) ends the program as it ends any other.
    let outcome = match Cli::parse().command {
        Command::Train(args) => train::train(args),
        Command::Data(args) => data::data(args),
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
