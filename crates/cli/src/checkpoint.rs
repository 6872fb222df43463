//! `backburn checkpoint`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backburn::checkpoint::Snapshot;
use backburn::train::run::{Manifest, RunConfig, RunError, RunFolder, Table};
use clap::Subcommand;

use crate::error::{Failure, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what is in the checkpoint of a run's folder, or in a file.
    Inspect {
        /// The folder or file.
        path: PathBuf,
    },
    /// Make one file of a checkpoint that ranks have written in parts.
    Merge {
        /// The run's folder.
        dir: PathBuf,
        /// The file, which must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub fn checkpoint(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Inspect { path } => inspect(&path),
        Command::Merge { dir, out } => merge(dir, &out),
    }
}

fn merge(dir: PathBuf, out: &Path) -> Result<(), Failure> {
    if out.exists() {
        return Err(Failure::Error(format!("`{}` is there already", out.display())));
    }
    let snapshot = RunFolder::new(dir).checkpoint()?;
    snapshot.save(out)?;
    say(format!(
        "step {} of {} workers in `{}`",
        number(&snapshot, "run.step"),
        number(&snapshot, "cluster.workers"),
        out.display()
    ))
}

fn inspect(path: &Path) -> Result<(), Failure> {
    let (snapshot, manifest) = read(path)?;
    let text = |name: &str| snapshot.text(name).unwrap_or("unknown").to_string();
    let mut facts = Table::new(["what", "value"]);
    facts.row(["step".into(), number(&snapshot, "run.step")]);
    facts.row(["workers".into(), number(&snapshot, "cluster.workers")]);
    facts.row(["method".into(), text("cluster.algorithm")]);
    facts.row(["compressor".into(), text("cluster.compressor")]);
    facts.row(["seed".into(), number(&snapshot, "cluster.seed")]);
    if let Ok(config) = RunConfig::from_toml(&text("config")) {
        facts.row(["data".into(), config.data.to_string()]);
        facts.row(["model".into(), config.model.to_string()]);
    }
    say(facts.to_string().trim_end())?;
    if let Some(manifest) = manifest {
        let mut parts = Table::new(["part", "bytes", "crc32c"]);
        for part in manifest.parts {
            parts.row([format!("{}/{}", manifest.folder, part.file), part.bytes.to_string(), part.crc32c]);
        }
        say(format!("\n{}", parts.to_string().trim_end()))?;
    }
    let mut owners: BTreeMap<(String, u64), (usize, usize, f64)> = BTreeMap::new();
    for (name, x) in &snapshot.vectors {
        let (vectors, floats, square) = owners.entry(owner(name)).or_default();
        *vectors += 1;
        *floats += x.len();
        // Of model tensors that are no floats too: what is meant is whether anything is there.
        *square += x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    }
    let mut table = Table::new(["whose", "vectors", "floats", "norm"]);
    for ((kind, index), (vectors, floats, square)) in owners {
        let whose = if index == 0 { kind } else { format!("{kind} {}", index - 1) };
        table.row([whose, vectors.to_string(), floats.to_string(), format!("{:.4e}", square.sqrt())]);
    }
    say(format!("\n{}", table.to_string().trim_end()))
}

fn read(path: &Path) -> Result<(Snapshot, Option<Manifest>), RunError> {
    if path.is_file() {
        return Ok((Snapshot::load(path)?, None));
    }
    let folder = RunFolder::new(path);
    Ok((folder.checkpoint()?, folder.manifest()?))
}

/// A kind of owner, and one more than its index where there are several.
fn owner(name: &str) -> (String, u64) {
    let mut words = name.split(['.', '/']);
    let kind = words.next().unwrap_or("");
    let index = words.next().and_then(|index| index.parse::<u64>().ok());
    (kind.into(), index.map_or(0, |index| index + 1))
}

fn number(snapshot: &Snapshot, name: &str) -> String {
    snapshot.number(name).map_or("unknown".into(), |number| number.to_string())
}
