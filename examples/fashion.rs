//! Ten simulated workers learn Fashion-MNIST from the slice in `datasets/`, offline: plain SGD,
//! EF-SGD with 1 % of the coordinates, and scaled signs with and without error feedback. The signs
//! run once more with one class a worker, where leaving feedback out does the most harm.
//!
//! ```text
//! cargo run --example fashion
//! cargo run --example fashion -- --seeds 1 --steps 200 --device flex
//! ```

use std::process::ExitCode;

use backburn::train::data::{Options, Partition};
use backburn::train::run::{Progress, RunConfig, Schedule, Summary, Table, megabytes, run};
use clap::Parser;

/// Compare plain SGD with error-feedback compression on ten simulated workers.
#[derive(Parser)]
struct Args {
    /// Seeds a method; the table shows their mean and spread.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Steps a run.
    #[arg(long, default_value_t = 300)]
    steps: u64,
    /// Images a worker and step.
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// Simulated workers.
    #[arg(long, default_value_t = 10)]
    workers: usize,
    /// auto, flex, ndarray or wgpu, as compiled in.
    #[arg(long, default_value = "auto")]
    device: String,
}

/// (what it is called, method, compressor, how the images are dealt)
const RUNS: [(&str, &str, &str, Partition); 6] = [
    ("SGD", "sgd:momentum=0.9", "identity", Partition::Iid),
    ("EF-SGD, top-k 1 %", "ef-sgd:momentum=0.9", "topk:0.01", Partition::Iid),
    ("scaled sign with feedback", "ef-sgd:momentum=0.9", "sign:scaled", Partition::Iid),
    ("scaled sign without", "compressed-sgd:momentum=0.9", "sign:scaled", Partition::Iid),
    ("one class a worker: with feedback", "ef-sgd:momentum=0.9", "sign:scaled", Partition::ByClass),
    ("one class a worker: without", "compressed-sgd:momentum=0.9", "sign:scaled", Partition::ByClass),
];

const LR: f64 = 0.02;

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    if args.seeds == 0 {
        return Err("--seeds must be at least 1, and is 0".into());
    }
    let mut rows = Vec::new();
    for (name, algorithm, compressor, partition) in RUNS {
        let mut summaries = Vec::new();
        for seed in 1..=args.seeds {
            let config = RunConfig {
                data: "fashion-embedded".into(),
                workers: args.workers,
                batch: args.batch,
                partition,
                steps: args.steps,
                algorithm: algorithm.parse()?,
                compressor: compressor.parse()?,
                schedule: Schedule { lr: LR, ..Schedule::default() },
                seed,
                device: args.device.clone(),
                ..RunConfig::default()
            };
            let mut progress = Progress::new(format!("{name}, seed {seed}"));
            summaries.push(run(config, &Options::default(), None, false, &mut progress)?);
        }
        rows.push((name, summaries));
    }
    print(args, &rows);
    Ok(())
}

fn print(args: &Args, rows: &[(&str, Vec<Summary>)]) {
    let first = &rows[0].1[0];
    println!(
        "Fashion-MNIST slice, convnet of {} parameters on {}, {} workers × batch {}, {} steps, seeds 1 to {}\n",
        first.parameters, first.device, args.workers, args.batch, args.steps, args.seeds
    );
    let mut table = Table::new(["method", "accuracy", "spread", "MB up", "MB down", "ratio", "seconds"]);
    for (name, summaries) in rows {
        let mean = |of: fn(&Summary) -> f64| summaries.iter().map(of).sum::<f64>() / summaries.len() as f64;
        let accuracies = summaries.iter().map(|s| 100.0 * s.test_accuracy);
        let (low, high) = accuracies.fold((f64::MAX, f64::MIN), |(l, h), a| (l.min(a), h.max(a)));
        table.row([
            name.to_string(),
            format!("{:.1} %", 100.0 * mean(|s| s.test_accuracy)),
            format!("{low:.1}–{high:.1}"),
            megabytes(mean(|s| s.megabytes_up)),
            megabytes(mean(|s| s.megabytes_down)),
            format!("{:.0}×", mean(|s| s.compression_ratio)),
            format!("{:.1}", mean(|s| s.seconds)),
        ]);
    }
    println!("{table}");
    println!("MB: bytes of the encoded messages a worker sent, and received from a server, over a run.");
}
