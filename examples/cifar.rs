//! A residual network with batch normalisation on CIFAR-10, on simulated workers.
//!
//! ```text
//! cargo run --example cifar
//! cargo run --example cifar --features wgpu
//! cargo run --example cifar -- --model resnet20 --workers 8 --partition by-class --compressor sign:scaled
//! ```
//!
//! The data is looked for in `--data-dir` and the user's cache and otherwise fetched.

use std::path::PathBuf;
use std::process::ExitCode;

use backburn::train::data::{Options, Partition};
use backburn::train::models::ModelKind;
use backburn::train::run::{Progress, RunConfig, RunFolder, Schedule, megabytes, run};
use backburn::{AnyAlgorithm, AnyCompressor};
use clap::Parser;

/// Train a ResNet on CIFAR-10 with compressed gradients.
#[derive(Parser)]
struct Args {
    /// resnet8, resnet20 or resnet18; any classifier of the library.
    #[arg(long, default_value = "resnet8")]
    model: ModelKind,
    /// Simulated workers.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// iid, by-class or dirichlet:ALPHA.
    #[arg(long, default_value = "iid")]
    partition: Partition,
    /// The method, as `ef-sgd:momentum=0.9`; `backburn methods` lists them.
    #[arg(long, default_value = "ef-sgd:momentum=0.9,weight-decay=0.0005")]
    algorithm: AnyAlgorithm,
    /// The compressor, as `topk:0.01` or `sign:scaled`.
    #[arg(long, default_value = "topk:0.01")]
    compressor: AnyCompressor,
    /// Passes over the (sub)set.
    #[arg(long, default_value_t = 4.0)]
    epochs: f64,
    /// Images a worker and step.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Training images used, the first of every class; 0 is all 50,000.
    #[arg(long, default_value_t = 4000)]
    subset: usize,
    /// The first step size; divided by 10 at half and three quarters of the run.
    #[arg(long, default_value_t = 0.05)]
    lr: f64,
    /// The seed of everything.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// auto, flex, ndarray or wgpu, as compiled in.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Random crops and flips.
    #[arg(long)]
    augment: bool,
    /// A directory with the data set, before the cache is looked at.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// A folder for configuration, metrics, summary and checkpoint.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in --out.
    #[arg(long, requires = "out")]
    resume: bool,
}

fn main() -> ExitCode {
    match train(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn train(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let config = RunConfig {
        data: "cifar10".into(),
        data_dir: args.data_dir,
        subset: args.subset,
        augment: args.augment,
        model: args.model,
        workers: args.workers,
        partition: args.partition,
        batch: args.batch,
        epochs: args.epochs,
        algorithm: args.algorithm,
        compressor: args.compressor,
        seed: args.seed,
        device: args.device,
        schedule: Schedule { lr: args.lr, ..Schedule::default() },
        ..RunConfig::default()
    };
    let options = Options { progress: true, ..Options::default() };
    let folder = args.out.map(RunFolder::new);
    let label = format!("{} {}", config.algorithm, config.compressor);
    let mut progress = Progress::new(label.clone());
    let summary = run(config, &options, folder.as_ref(), args.resume, &mut progress)?;
    println!("{label} on {}, {} parameters, {} steps", summary.device, summary.parameters, summary.steps);
    println!("  last batches' loss  {:.3}", summary.train_loss);
    println!("  test loss           {:.3}", summary.test_loss);
    println!("  test accuracy       {:.1} %", 100.0 * summary.test_accuracy);
    let (up, down) = (megabytes(summary.megabytes_up), megabytes(summary.megabytes_down));
    println!(
        "  sent a worker       {up} MB up ({:.0} times less than dense), {down} MB down",
        summary.compression_ratio
    );
    println!("  time                {:.1} s", summary.seconds);
    Ok(())
}
