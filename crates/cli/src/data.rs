//! `backburn data list|fetch|verify`.

use std::path::PathBuf;

use backburn::text::Form;
use backburn::train::data::{DataSet, OWN, Options, catalog};
use backburn::train::run::{Table, megabytes};
use clap::Subcommand;
use serde_json::{Value, json};

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
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make sure that a data set is there, fetching it where it is not.
    Fetch {
        /// Its name, or the form of one's own files: see `backburn data list`.
        data: DataSet,
    },
    /// Check a data set's files against their digests; all that are here where none is named.
    Verify {
        /// Its name, or the form of one's own files.
        data: Option<DataSet>,
    },
}

pub fn data(args: Args) -> Result<(), Failure> {
    let options = Options { data_dir: args.data_dir, progress: true, ..Options::default() };
    match args.command {
        Command::List { json: false } => list(&options),
        Command::List { json: true } => list_json(&options),
        Command::Fetch { data } => {
            let location = data.fetch(&options)?;
            say(format_args!("{data}: {location}"))
        }
        Command::Verify { data: Some(data) } => match data.verify(&options)? {
            Some(location) => say(format_args!("{data}: good, {location}")),
            None if data.is_own() => Err(Failure::Error(format!("there is no {data}"))),
            None => Err(Failure::Error(format!("{data} is not on this machine; `backburn data fetch {data}` gets it"))),
        },
        Command::Verify { data: None } => {
            let mut bad = false;
            options.check()?;
            for entry in catalog::CATALOG {
                match DataSet::Published(entry).verify(&options) {
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
    options.check()?;
    let mut table = Table::new(["name", "MB", "licence", "here"]);
    for entry in catalog::CATALOG {
        let place = entry.locate(options).map_or("no".to_string(), |l| l.to_string());
        let size = entry.bytes().map_or("?".into(), |bytes| megabytes(bytes as f64 / 1e6));
        table.row([entry.name.to_string(), size, entry.licence.to_string(), place]);
    }
    say(table.to_string().trim_end())?;
    say("\nfiles of one's own:")?;
    OWN.iter().try_for_each(|form| say(format_args!("  {:<26}{}", form.usage, form.about)))
}

fn list_json(options: &Options) -> Result<(), Failure> {
    options.check()?;
    let row = |entry: &catalog::Entry| {
        json!({
            "name": entry.name,
            "title": entry.title,
            "homepage": entry.homepage,
            "licence": entry.licence,
            "bytes": entry.bytes(),
            "here": entry.locate(options).map(|place| place.to_string()),
        })
    };
    let own = |form: &Form<DataSet>| {
        json!({
            "name": form.name,
            "usage": form.usage,
            "title": form.about,
            "examples": form.examples,
            "options": form.defaults.iter().map(|(option, meaning)| json!({"option": option, "meaning": meaning})).collect::<Value>(),
        })
    };
    say(catalog::CATALOG.iter().map(row).chain(OWN.iter().map(|form| own(form))).collect::<Value>())
}
