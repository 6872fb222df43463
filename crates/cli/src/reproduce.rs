//! `backburn reproduce`: the papers' experiments by name.

use std::path::PathBuf;

use backburn::DeviceKind;
use backburn::train::data::Options;
use backburn::train::run::{Interrupt, Table};
use backburn_reproduce::{About, EXPERIMENTS, ReproduceError, Request, Scale, clock, reproduce as run};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use crate::error::{Failure, say};

/// What the command takes.
#[derive(clap::Args)]
pub struct Args {
    /// Experiments by name, or all.
    #[arg(required_unless_present = "list", value_name = "NAME", value_parser = names())]
    names: Vec<String>,
    /// small takes minutes on two cores, medium nights, paper has the published settings and wants a GPU.
    #[arg(long, default_value = "small", value_parser = scales())]
    scale: Scale,
    /// Where results, figures, claims and the report go.
    #[arg(long, default_value = "reproduction", value_name = "DIR")]
    out: PathBuf,
    /// Show names, sources, claims and expected times, and run nothing.
    #[arg(long)]
    list: bool,
    /// With --list, as JSON.
    #[arg(long, requires = "list")]
    json: bool,
    /// Go on from what an earlier run into the same directory has left.
    #[arg(long)]
    resume: bool,
    /// Let go of what an earlier run into the same directory has measured.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Tune step sizes over the paper's grid first.
    #[arg(long)]
    tune: bool,
    /// A directory with data sets, before the cache is looked at.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto, flex, ndarray or wgpu, as compiled in; for the experiments that train a model.
    #[arg(long, default_value = "auto")]
    device: DeviceKind,
    /// Curves at a time; 0 is one a core, and one alone where a card trains a model.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(EXPERIMENTS.iter().map(|e| e.about().name).chain(["all"]))
}

fn scales() -> impl TypedValueParser<Value = Scale> {
    PossibleValuesParser::new(["small", "medium", "paper"]).try_map(|name| name.parse::<Scale>())
}

/// Runs or lists experiments. A claim that does not hold, or an experiment whose data is missing, is shown
/// and is no failure of the command; an experiment that breaks off is one.
pub fn reproduce(args: Args) -> Result<(), Failure> {
    if args.list {
        return if args.json { list_json() } else { list() };
    }
    let interrupt = Interrupt::listen(|signal| {
        Some(format!("{signal}: stopping, and what is finished is kept; once more ends at once"))
    })?;
    let _hold = interrupt.hold();
    let request = Request {
        resume: args.resume,
        overwrite: args.overwrite,
        tune: args.tune,
        data: Options { data_dir: args.data_dir, progress: true, ..Options::default() },
        device: args.device,
        threads: args.threads,
        progress: true,
        stop: interrupt.flag(),
        ..Request::new(args.names, args.scale, args.out)
    };
    let outcome = match run(&request) {
        Err(ReproduceError::Occupied(folder)) => {
            let folder = folder.display();
            return Err(Failure::Error(format!(
                "`{folder}` holds what an earlier run has measured: --resume goes on, --overwrite begins anew"
            )));
        }
        outcome => outcome?,
    };
    for done in &outcome.finished {
        let (finished, all) = done.curves;
        say(format!("{}: {finished} of {all} curves, {}", done.name, clock(done.time)))?;
        for claim in &done.claims {
            say(format!("  {}: {}", claim.word(), claim.claim))?;
            say(format!("    measured {}; required: {}", claim.measured, claim.required))?;
        }
    }
    for failed in &outcome.failed {
        eprintln!("{} {}: {}", failed.name, if failed.skipped { "was skipped" } else { "failed" }, failed.why);
    }
    say(format!("report: {}", outcome.index.display()))?;
    if let Some(signal) = interrupt.asked() {
        say("stopped before the end: the report shows how far it came; --resume goes on")?;
        return Err(Failure::Stopped(signal));
    }
    match outcome.failed.iter().all(|failed| failed.skipped) {
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

fn list() -> Result<(), Failure> {
    let mut table = Table::new(["experiment", "small, two cores", "medium, two cores", "paper, GPU", "source"]);
    for experiment in EXPERIMENTS {
        let about = experiment.about();
        let medium = experiment.at_medium().unwrap_or("–");
        table.row([about.name, about.time[0], medium, about.time[1], about.source]);
    }
    say(&table)?;
    for about in EXPERIMENTS.iter().map(|e| e.about()) {
        say(format!("{}: {}", about.name, about.title))?;
        for claim in about.claims {
            say(format!("  - {claim}"))?;
        }
    }
    Ok(())
}

fn list_json() -> Result<(), Failure> {
    let row = |about: About, medium: Option<&str>| {
        let About { name, title, source, claims, time: [small, paper] } = about;
        json!({"name": name, "title": title, "source": source, "claims": claims, "small": small, "medium": medium, "paper": paper})
    };
    say(EXPERIMENTS.iter().map(|e| row(e.about(), e.at_medium())).collect::<Value>())
}
