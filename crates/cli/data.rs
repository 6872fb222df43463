//! `backburn data list|fetch|verify`.

use std::path::PathBuf;

use backburn::train::data::{Options, catalog};
use backburn::train::run::{Table, megabytes};
use clap::Subcommand;

use crate::error::{Failure, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// A directory with the data, before the user's cache is looked at.
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Name, size, licence and whereabouts of every data set.
    List,
    /// Make sure that a data set is there, fetching it where it is not.
    Fetch {
        /// Its name.
        name: String,
    },
    /// Check a data set's files against their digests; all that are here where none is named.
    Verify {
        /// Its name.
        name: Option<String>,
    },
}

pub fn data(args: Args) -> Result<(), Failure> {
    let options = Options { data_dir: args.data_dir, progress: true, ..Options::default() };
    match args.command {
        Command::List => list(&options),
        Command::Fetch { name } => {
            let location = catalog::fetch(&name, &options)?;
            say(format_args!("{name}: {location}"))
        }
        Command::Verify { name: Some(name) } => match catalog::verify(&name, &options)? {
            Some(location) => say(format_args!("{name}: good, {location}")),
            None => Err(Failure::Error(format!("{name} is not on this machine; `backburn data fetch {name}` gets it"))),
        },
        Command::Verify { name: None } => {
            let mut bad = false;
            for entry in catalog::CATALOG {
                match catalog::verify(entry.name, &options) {
                    Ok(Some(location)) => say(format_args!("{}: good, {location}", entry.name))?,
                    Ok(None) => say(format_args!("{}: not on this machine", entry.name))?,
                    Err(error) => {
                        bad = true;
                        say(format_args!("{}: {error}", entry.name))?;
                    }
                }
            }
            if bad { Err(Failure::Said) } else { Ok(()) }
        }
    }
}

fn list(options: &Options) -> Result<(), Failure> {
    let mut table = Table::new(["name", "MB", "licence", "here"]);
    for entry in catalog::CATALOG {
        let place = entry.locate(options).map_or("no".to_string(), |l| l.to_string());
        table.row([entry.name.to_string(), megabytes(entry.bytes() as f64 / 1e6), entry.licence.to_string(), place]);
    }
    say(table.to_string().trim_end())
}
