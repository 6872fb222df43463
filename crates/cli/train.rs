//! `backburn train`.

use std::path::PathBuf;

use backburn::train::data::{Options, Partition};
use backburn::train::models::ModelKind;
use backburn::train::run::{OnNonFinite, Progress, RunConfig, RunFolder, Table, megabytes, run};
use backburn::{AnyAlgorithm, AnyCompressor, Scope};

use crate::error::{Failure, say};

/// Options override what --config says; what neither says has a default (see --print-config).
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file, as --print-config writes it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print the configuration that would run, as TOML, and stop.
    #[arg(long)]
    print_config: bool,
    /// The data set: see `backburn data list`.
    #[arg(long)]
    data: Option<String>,
    /// A directory with the data set, before the user's cache is looked at.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Never fetch data.
    #[arg(long)]
    offline: bool,
    /// Train on so many images only, the first of every class; 0 is all.
    #[arg(long)]
    subset: Option<usize>,
    /// Random crops with padding 4, and flips.
    #[arg(long)]
    augment: bool,
    /// The model.
    #[arg(long)]
    model: Option<ModelKind>,
    /// Simulated workers.
    #[arg(long)]
    workers: Option<usize>,
    /// iid, by-class or dirichlet:ALPHA.
    #[arg(long)]
    partition: Option<Partition>,
    /// Images a worker and step.
    #[arg(long)]
    batch: Option<usize>,
    /// Passes over the data.
    #[arg(long)]
    epochs: Option<f64>,
    /// Steps, instead of epochs.
    #[arg(long)]
    steps: Option<u64>,
    /// The method: see `backburn methods`.
    #[arg(long)]
    algorithm: Option<AnyAlgorithm>,
    /// The compressor: see `backburn compressors`.
    #[arg(long)]
    compressor: Option<AnyCompressor>,
    /// What is compressed as one vector: parameter, global or bucket:SIZE.
    #[arg(long)]
    scope: Option<Scope>,
    /// Send parameters of fewer coordinates as they are.
    #[arg(long)]
    dense_below: Option<usize>,
    /// The first step size.
    #[arg(long)]
    lr: Option<f64>,
    /// Where the step size drops, as fractions of the run.
    #[arg(long, value_delimiter = ',')]
    lr_drops: Option<Vec<f64>>,
    /// What the step size is divided by at each drop.
    #[arg(long)]
    lr_factor: Option<f64>,
    /// The share of the run over which the step size grows from 0.
    #[arg(long)]
    warmup: Option<f64>,
    /// The seed of everything.
    #[arg(long)]
    seed: Option<u64>,
    /// auto, flex, ndarray or wgpu, as compiled in.
    #[arg(long)]
    device: Option<String>,
    /// Skip rounds with a gradient that is not finite instead of stopping.
    #[arg(long)]
    skip_non_finite: bool,
    /// Steps between checkpoints; 0 keeps only the last.
    #[arg(long)]
    checkpoint_every: Option<u64>,
    /// The folder for configuration, metrics, summary and checkpoint.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in --out, with its configuration.
    #[arg(long, requires = "out", conflicts_with = "config")]
    resume: bool,
}

pub fn train(args: Args) -> Result<(), Failure> {
    let folder = args.out.clone().map(RunFolder::new);
    let options = Options { offline: args.offline, progress: true, ..Options::default() };
    let (print, resume) = (args.print_config, args.resume);
    let config = configure(args, folder.as_ref())?;
    config.check()?;
    if print {
        return say(config.to_toml().trim_end());
    }
    let label = format!("{} {}", config.algorithm, config.compressor);
    let mut progress = Progress::new(label.clone());
    let summary = run(config, &options, folder.as_ref(), resume, &mut progress)?;
    let mut table = Table::new(["run", "accuracy", "test loss", "MB up", "MB down", "ratio", "steps", "seconds"]);
    table.row([
        label,
        format!("{:.2} %", 100.0 * summary.test_accuracy),
        format!("{:.4}", summary.test_loss),
        megabytes(summary.megabytes_up),
        megabytes(summary.megabytes_down),
        format!("{:.1}×", summary.compression_ratio),
        summary.steps.to_string(),
        format!("{:.1}", summary.seconds),
    ]);
    say(table.to_string().trim_end())?;
    if summary.skipped > 0 {
        eprintln!("{} rounds were skipped for gradients that were not finite", summary.skipped);
    }
    Ok(())
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
    set(&mut c.epochs, args.epochs);
    set(&mut c.steps, args.steps);
    set(&mut c.algorithm, args.algorithm);
    set(&mut c.compressor, args.compressor);
    set(&mut c.scope, args.scope);
    set(&mut c.dense_below, args.dense_below);
    set(&mut c.schedule.lr, args.lr);
    set(&mut c.schedule.drops, args.lr_drops);
    set(&mut c.schedule.factor, args.lr_factor);
    set(&mut c.schedule.warmup, args.warmup);
    set(&mut c.seed, args.seed);
    set(&mut c.device, args.device);
    set(&mut c.checkpoint_every, args.checkpoint_every);
    c.augment |= args.augment;
    if args.skip_non_finite {
        c.on_non_finite = OnNonFinite::Skip;
    }
    Ok(c)
}
