//! `backburn train`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use backburn::DeviceKind;
use backburn::burn::{Fragments, ParameterGroup};
use backburn::host::Transport;
use backburn::network::{Links, Plan, PlanChoice};
use backburn::prelude::{AnyAlgorithm, AnyCompressor, Scope};
use backburn::train::data::{DataSet, Options, Partition};
use backburn::train::models::{GptPlan, ModelKind};
use backburn::train::run::{
    CheckpointEvery, ConfigError, Inner, Interrupt, Length, MemoryLimit, Outcome, Progress, Ranks, Reporter, Run,
    RunConfig, RunError, RunFolder, Signal, Table, megabytes,
};
use backburn::train::session::OnNonFinite;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command, value_parser};
use serde_json::Value;

use crate::error::{Failure, say};

/// Options override what --config says.
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file, as --print-config writes it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the configuration that would run, as TOML, and stop.
    #[arg(long)]
    print_config: bool,

    /// The data set, or files of one's own: see `backburn data list`.
    #[arg(long, help_heading = "Data")]
    data: Option<DataSet>,
    /// A directory with the data set, before the user's cache is looked at.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Never fetch data.
    #[arg(long, help_heading = "Data")]
    offline: bool,
    /// Train on so many examples only, the first of every class; 0 is all.
    #[arg(long, value_name = "EXAMPLES", help_heading = "Data")]
    subset: Option<usize>,
    /// Random crops with padding 4, and flips.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Data")]
    augment: Option<bool>,
    /// How the data is dealt to the workers: iid, by-class or dirichlet:ALPHA.
    #[arg(long, help_heading = "Data")]
    partition: Option<Partition>,

    /// The model. Of text it is gpt, with the arguments [:layers=4,dim=128,heads=4,context=128][,tied].
    #[arg(long, value_parser = Models, help_heading = "Training")]
    model: Option<ModelKind>,
    /// Workers: simulated in one process, divided among the ranks of `mpirun -n N backburn train`, one each unless more
    /// are asked for.
    #[arg(long, value_name = "N", help_heading = "Training")]
    workers: Option<usize>,
    /// Examples a worker and step: images, rows, windows of text.
    #[arg(long, value_name = "EXAMPLES", help_heading = "Training")]
    batch: Option<usize>,
    /// Passes over the data.
    #[arg(long, value_name = "N", help_heading = "Training")]
    epochs: Option<f64>,
    /// Steps, instead of epochs.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..), conflicts_with = "epochs", help_heading = "Training")]
    steps: Option<u64>,
    /// The seed of everything.
    #[arg(long, help_heading = "Training")]
    seed: Option<u64>,
    /// auto, flex, ndarray or wgpu, as compiled in.
    #[arg(long, help_heading = "Training")]
    device: Option<DeviceKind>,
    /// What becomes of a round whose gradient, or what follows from it, is not finite: stop ends the run there, skip
    /// passes it over.
    #[arg(long, value_name = "WHAT", value_parser = on_non_finite(), help_heading = "Training")]
    on_non_finite: Option<OnNonFinite>,
    /// Refuse to begin where more memory is needed: available, none, or an amount such as 1.5GB.
    #[arg(long, value_name = "LIMIT", default_value = "available", help_heading = "Training")]
    memory_limit: MemoryLimit,

    /// The method: see `backburn methods`.
    #[arg(long, value_name = "METHOD", help_heading = "Compression")]
    algorithm: Option<AnyAlgorithm>,
    /// The compressor: see `backburn compressors`.
    #[arg(long, help_heading = "Compression")]
    compressor: Option<AnyCompressor>,
    /// Steps that workers take by themselves between two rounds, with local-sgd, diloco, sparse-loco and mu-loco; 30
    /// where nothing is said.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Compression")]
    local_steps: Option<u64>,
    /// Their optimizer in between, where that is not the method's own: sgd, adamw or muon.
    #[arg(long, value_name = "OPTIMIZER", help_heading = "Compression")]
    inner: Option<Inner>,
    /// The step size of their rounds, where that is not the method's own.
    #[arg(long, value_name = "LR", help_heading = "Compression")]
    outer_lr: Option<f64>,
    /// Exchange one of P fragments of the model at a time, while workers step: P[,delay=τ][,mix=α][,sequential], delay
    /// 1 and mix 0.5 where nothing is said.
    #[arg(long, value_name = "FRAGMENTS", help_heading = "Compression")]
    fragments: Option<Fragments>,
    /// What is compressed as one vector: parameter, global or bucket:SIZE.
    #[arg(long, help_heading = "Compression")]
    scope: Option<Scope>,
    /// Send parameters of fewer coordinates as they are.
    #[arg(long, value_name = "COORDINATES", help_heading = "Compression")]
    dense_below: Option<usize>,

    /// Parameters that are to be treated otherwise, by path: PATHS[:vectors|matrices][,dense|skipped|compressed]
    /// [,weight-decay=λ][,step-size=FACTOR], as `*embed*:dense`; more than once, and the last that matches decides.
    #[arg(long = "group", value_name = "GROUP", help_heading = "Compression")]
    groups: Vec<ParameterGroup>,

    /// Exchange a step's gradients while the next are computed: the model moves one step late.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Compression")]
    overlap: Option<bool>,

    /// How messages get to everybody: auto, gather (everybody hears everybody), sharded (everybody averages a share for
    /// all; the same bits), or hierarchical:WORKERS (a machine's workers add up their gradients, machines gather; under
    /// mpirun without WORKERS: the machines that its ranks run on). auto gathers or shards, whichever is faster on --link by what the last step sent.
    #[arg(long, help_heading = "Compression")]
    plan: Option<PlanChoice>,

    /// Reckon every exchange in seconds on this link: `100Mbit,20ms[,down=RATE]`, or one a worker, as
    /// `3*1Gbit,1ms;10Mbit,50ms`.
    #[arg(long, help_heading = "Compression")]
    link: Option<Links>,

    /// The first step size.
    #[arg(long, help_heading = "Step size")]
    lr: Option<f64>,
    /// Where the step size drops, as fractions of the run; empty for nowhere.
    #[arg(long, value_name = "FRACTION,…", help_heading = "Step size")]
    lr_drops: Option<Drops>,
    /// What the step size is divided by at each drop.
    #[arg(long, value_name = "FACTOR", help_heading = "Step size")]
    lr_factor: Option<f64>,
    /// The share of the run over which the step size grows from 0.
    #[arg(long, value_name = "FRACTION", help_heading = "Step size")]
    warmup: Option<f64>,
    /// The length that these fractions are of, as 100steps or 5epochs, where it is not the run's: with --resume, what
    /// keeps the step sizes of a shorter run.
    #[arg(long, value_name = "LENGTH", help_heading = "Step size")]
    schedule_length: Option<Length>,

    /// Seconds that a rank of an MPI run waits for another before all give up.
    #[cfg_attr(not(feature = "mpi"), allow(dead_code, reason = "only ranks wait for each other"))]
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = value_parser!(u32).range(1..), help_heading = "Training")]
    timeout: u32,

    /// Milliseconds that the ranks of an MPI run wait for a slower one at the start of a step: then it counts as absent from
    /// it, keeps what it owes and catches up. Rank 0, which decides, is waited for. Bits then depend on who was late.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    drop_slow: Option<u32>,

    /// Let MPI add up what adds up (dense messages, random-k, sketches, PowerSGD's factors) in its own order and on its own
    /// way: faster between many ranks. The bits are no longer those of a simulation, and depend on MPI and on the number of
    /// ranks; numbers on their way carry no checksum.
    #[arg(long, help_heading = "Training")]
    fast_reduce: bool,

    /// The folder for configuration, metrics, summary and checkpoint.
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in --out, with its configuration.
    #[arg(long, requires = "out", conflicts_with = "config", help_heading = "Results")]
    resume: bool,
    /// Take the place of the run in --out.
    #[arg(long, requires = "out", conflicts_with = "resume", help_heading = "Results")]
    overwrite: bool,
    /// Measure on the test part after every so many steps too; 0 measures at the end only.
    #[arg(long, value_name = "STEPS", help_heading = "Results")]
    evaluate_every: Option<u64>,
    /// How often what is reached is kept: 5min, 30s, 2h, 100steps or never; at the end, and at a first signal, always.
    #[arg(long, value_name = "DISTANCE", help_heading = "Results")]
    checkpoint_every: Option<CheckpointEvery>,
}

/// Fractions between commas.
#[derive(Clone)]
struct Drops(Vec<f64>);

impl std::str::FromStr for Drops {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse().map_err(|_| format!("`{part}` is no number"));
        match text.trim() {
            "" => Ok(Self(Vec::new())),
            text => Ok(Self(text.split(',').map(number).collect::<Result<_, _>>()?)),
        }
    }
}

fn on_non_finite() -> impl TypedValueParser<Value = OnNonFinite> {
    PossibleValuesParser::new(["stop", "skip"])
        .map(|word| if word == "skip" { OnNonFinite::Skip } else { OnNonFinite::Stop })
}

/// Models by name, which shells complete, and arguments, which they do not.
#[derive(Clone)]
struct Models;

impl TypedValueParser for Models {
    type Value = ModelKind;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, text: &OsStr) -> Result<ModelKind, clap::Error> {
        str::parse::<ModelKind>.parse_ref(command, arg, text)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let gpt = ModelKind::Gpt(GptPlan::default());
        Some(Box::new(ModelKind::ALL.into_iter().chain([gpt]).map(|kind| PossibleValue::new(kind.name()))))
    }
}

/// An option that is not given leaves what --config or --resume say, so clap knows no default: the help's are
/// those of the configuration.
pub fn show_defaults(command: clap::Command) -> clap::Command {
    let config = serde_json::to_value(RunConfig::default()).expect("a configuration is plain data");
    let schedule = config["schedule"].as_object().into_iter().flatten();
    let schedule = schedule.flat_map(|(key, value)| [(key.clone(), value), (format!("lr_{key}"), value)]);
    let all: BTreeMap<_, _> =
        config.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value)).chain(schedule).collect();
    command.mut_args(|arg| {
        let text = match all.get(arg.get_id().as_str()) {
            None | Some(Value::Bool(_)) => return arg,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(values)) => values.iter().map(Value::to_string).collect::<Vec<_>>().join(","),
            Some(other) => other.to_string(),
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        arg.help(format!("{help} [default: {text}]"))
    })
}

pub fn train(args: Args) -> Result<(), Failure> {
    if args.print_config {
        return alone(args);
    }
    launched(args)
}

/// As one of the ranks of an MPI run, where this process was launched as one.
#[cfg(feature = "mpi")]
fn launched(args: Args) -> Result<(), Failure> {
    use backburn::mpi::{Mpi, is_launched};
    if !is_launched() {
        return alone(args);
    }
    let timeout = std::time::Duration::from_secs(args.timeout.into());
    let mut mpi = Mpi::world_within(timeout)?;
    if let Some(patience) = args.drop_slow {
        mpi = mpi.with_drop_slow(std::time::Duration::from_millis(patience.into()));
    }
    let ranks = Ranks::new(mpi.clone()).with_fast_reduce(args.fast_reduce);
    let outcome = run_in(args, Some(ranks));
    if let Err(Failure::Error(own)) = &outcome {
        mpi.fail(own);
    }
    let rank = backburn::host::Transport::rank(&mpi);
    let there = mpi.leave();
    let missing = (0..backburn::host::Transport::size(&mpi)).find(|rank| !there.contains(rank));
    let outcome = match (outcome, missing) {
        (Ok(()), Some(rank)) => Err(Failure::Error(format!("rank {rank} has not come to its end within {timeout:?}"))),
        (outcome, _) => outcome,
    };
    match outcome {
        // Of those that can speak one does.
        Err(Failure::Error(own)) if there.first() == Some(&rank) => {
            let named = own.contains("rank ");
            Err(Failure::Error(if named { own } else { format!("rank {rank}: {own}") }))
        }
        Err(Failure::Error(_)) => {
            // Once a process has failed, mpirun ends the others: the one that speaks comes first.
            std::thread::sleep(std::time::Duration::from_millis(500));
            Err(Failure::Said)
        }
        outcome => outcome,
    }
}

#[cfg(not(feature = "mpi"))]
fn launched(args: Args) -> Result<(), Failure> {
    // As many runs beside each other are not what is meant.
    if ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"].iter().any(|name| std::env::var_os(name).is_some()) {
        return Err(Failure::Error("this build knows no MPI; build it with `--features mpi`".into()));
    }
    alone(args)
}

fn alone(args: Args) -> Result<(), Failure> {
    if args.drop_slow.is_some() {
        return Err(Failure::Error("--drop-slow is for ranks: `mpirun -n 4 backburn train --drop-slow 500 …`".into()));
    }
    if args.fast_reduce {
        return Err(Failure::Error("--fast-reduce is for ranks: `mpirun -n 4 backburn train --fast-reduce …`".into()));
    }
    run_in(args, None)
}

fn run_in(args: Args, ranks: Option<Ranks>) -> Result<(), Failure> {
    let first = ranks.as_ref().is_none_or(Ranks::is_first);
    let mut folder = args.out.clone().map(|out| RunFolder::new(out).with_overwrite(args.overwrite));
    let options = Options { offline: args.offline, progress: true, ..Options::default() };
    let (print, resume, memory) = (args.print_config, args.resume, args.memory_limit);
    if let Some(run) = folder.as_mut().filter(|_| resume && !print) {
        run.config()?; // where there is none, nothing is put beside it
        if first {
            *run = run.locked()?;
        }
    }
    let (workers, drop_slow) = (args.workers, args.drop_slow);
    let mut config = configure(args, folder.as_ref())?;
    if drop_slow.is_some() {
        config.plan = match config.plan {
            PlanChoice::Auto | PlanChoice::Is(Plan::Gather) => PlanChoice::Is(Plan::Gather),
            plan => {
                return Err(Failure::Error(format!(
                    "--drop-slow gathers, and --plan is {plan}: a share needs its server"
                )));
            }
        };
        if config.algorithm.is_gossip() {
            let method = &config.algorithm;
            return Err(Failure::Error(format!(
                "`{method}` needs every neighbour in every step, and --drop-slow leaves some out"
            )));
        }
    }
    if let Some(ranks) = &ranks {
        config.workers = workers.unwrap_or(Transport::size(ranks));
        config.plan = ranks.on_machines(config.plan, config.workers);
    }
    config.check().map_err(|error| match error {
        ConfigError::Setup(error) => RunError::Setup(error),
        error => RunError::Config(error),
    })?;
    if print {
        return say(config.to_toml().trim_end());
    }
    let label = format!("{} {}", config.algorithm, config.compressor);
    let link = config.link.as_ref().map(Links::to_string);
    let (plan, hears_mean) = (config.plan, config.algorithm.hears_mean());
    let out = folder.as_ref().map(|folder| folder.path().display().to_string());
    let mut progress = Progress::new(label.clone());
    let mut silent = ();
    let reporter: &mut dyn Reporter = if first { &mut progress } else { &mut silent };
    let keeps = out.is_some();
    let many = ranks.is_some();
    let interrupt = Interrupt::listen(move |signal| first.then(|| asked(signal, keeps, many)))?;
    let mut run = Run::new(config).with_options(options).with_resume(resume).with_ranks(ranks);
    run = run.with_interrupt(interrupt).with_memory_limit(memory);
    if let Some(folder) = folder {
        run = run.with_folder(folder);
    }
    let summary = match run.run(reporter) {
        Ok(Outcome::Finished(summary)) => summary,
        Ok(Outcome::Stopped { signal, step, steps }) => {
            if first {
                eprintln!("{}", stopped(signal, step, steps, out.as_deref()));
            }
            return Err(Failure::Stopped(signal));
        }
        Err(RunError::Occupied { path }) => {
            let path = path.display();
            return Err(Failure::Error(format!(
                "`{path}` is there already: --resume goes on, --overwrite begins anew"
            )));
        }
        Err(RunError::Memory(error)) => {
            return Err(Failure::Error(format!("{error}; --memory-limit none runs it all the same")));
        }
        Err(error) => return Err(error.into()),
    };
    if !first {
        return Ok(());
    }
    let [quality, loss] = match summary.perplexity {
        None => ["accuracy", "test loss"],
        Some(_) => ["perplexity", "validation loss"],
    };
    let headings = ["run", quality, loss, "MB up", "MB down", "ratio", "steps", "seconds"].map(String::from);
    let mut row = vec![
        label,
        summary.perplexity.map_or(format!("{:.2} %", 100.0 * summary.test_accuracy), |of| format!("{of:.3}")),
        if summary.test_loss.abs() < 1e6 {
            format!("{:.4}", summary.test_loss)
        } else {
            format!("{:.4e}", summary.test_loss)
        },
        megabytes(summary.megabytes.up),
        megabytes(summary.megabytes.down),
        format!("{:.1}×", summary.compression_ratio),
        summary.steps.to_string(),
        format!("{:.1}", summary.seconds),
    ];
    let mut headings = headings.to_vec();
    if let (Some(link), Some(on_link)) = (link, summary.seconds_on_link) {
        let (plan, best) = match plan {
            PlanChoice::Auto if hears_mean => on_link.best(),
            PlanChoice::Is(Plan::Sharded) => (Plan::Sharded, on_link.sharded),
            PlanChoice::Auto | PlanChoice::Machines | PlanChoice::Is(_) => (Plan::Gather, on_link.gather),
        };
        headings.extend([format!("s at {link}"), "dense there".into()]);
        let how = if plan == Plan::Gather { "gathered" } else { "sharded" };
        row.extend([format!("{best:.1} {how}"), format!("{:.1}", on_link.dense)]);
    }
    let mut table = Table::new(headings);
    table.row(row);
    say(table.to_string().trim_end())?;
    if let Some(share) = summary.round_share {
        eprintln!("rounds took {:.2} % of the time of the steps between them", 100.0 * share);
    }
    if summary.skipped > 0 {
        eprintln!("{} rounds were skipped for gradients that were not finite", summary.skipped);
    }
    Ok(())
}

/// What is said at a first signal.
fn asked(signal: Signal, keeps: bool, many: bool) -> String {
    match keeps {
        // Who can still stop together is not known here: `mpirun` sends this too where a rank has died.
        _ if many => format!("{signal}: all ranks are to stop; once more ends at once"),
        true => format!("{signal}: a checkpoint follows this step; once more ends at once"),
        false => format!("{signal}: the run ends with this step, and without --out nothing is kept"),
    }
}

/// What is said when a signal has ended the run.
fn stopped(signal: Signal, step: u64, steps: u64, out: Option<&str>) -> String {
    match out {
        None => format!("{signal}: stopped at step {step} of {steps}; without --out nothing is kept"),
        Some(out) => {
            let plain = !out.is_empty() && out.chars().all(|c| c.is_alphanumeric() || "/._-+=,:@".contains(c));
            let quoted = if plain { out.into() } else { format!("'{}'", out.replace('\'', r"'\''")) };
            format!(
                "{signal}: stopped at step {step} of {steps}, and a checkpoint is kept\n\
                 `backburn train --resume --out {quoted}` goes on"
            )
        }
    }
}

/// The configuration of the run: file or folder first, then options.
fn configure(args: Args, folder: Option<&RunFolder>) -> Result<RunConfig, Failure> {
    let mut c = match (&args.config, folder) {
        (_, Some(folder)) if args.resume => folder.config()?,
        (Some(path), _) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|e| Failure::Error(format!("cannot read `{}`: {e}", path.display())))?;
            RunConfig::from_toml(&text).map_err(|e| Failure::Error(format!("`{}`: {e}", path.display())))?
        }
        (None, _) => RunConfig::default(),
    };
    fn set<T>(place: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *place = value;
        }
    }
    c.data_dir = args.data_dir.or(c.data_dir);
    set(&mut c.data, args.data);
    set(&mut c.subset, args.subset);
    set(&mut c.model, args.model);
    set(&mut c.workers, args.workers);
    set(&mut c.partition, args.partition);
    set(&mut c.batch, args.batch);
    // One length: whichever is given takes the other's place.
    match (args.steps, args.epochs) {
        (Some(steps), _) => c.steps = steps,
        (None, Some(epochs)) => (c.steps, c.epochs) = (0, epochs),
        (None, None) => {}
    }
    set(&mut c.algorithm, args.algorithm);
    set(&mut c.compressor, args.compressor);
    set(&mut c.local_steps, args.local_steps);
    c.inner = args.inner.or(c.inner);
    c.outer_lr = args.outer_lr.or(c.outer_lr);
    c.fragments = args.fragments.or(c.fragments);
    set(&mut c.scope, args.scope);
    set(&mut c.dense_below, args.dense_below);
    set(&mut c.groups, Some(args.groups).filter(|groups| !groups.is_empty()));
    set(&mut c.schedule.lr, args.lr);
    set(&mut c.schedule.drops, args.lr_drops.map(|drops| drops.0));
    set(&mut c.schedule.factor, args.lr_factor);
    set(&mut c.schedule.warmup, args.warmup);
    c.link = args.link.or(c.link);
    set(&mut c.seed, args.seed);
    set(&mut c.device, args.device);
    set(&mut c.evaluate_every, args.evaluate_every);
    set(&mut c.checkpoint_every, args.checkpoint_every);
    set(&mut c.augment, args.augment);
    set(&mut c.overlap, args.overlap);
    set(&mut c.plan, args.plan);
    set(&mut c.on_non_finite, args.on_non_finite);
    c.schedule_length = args.schedule_length.or(c.schedule_length);
    Ok(c)
}
