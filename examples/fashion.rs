//! Ten simulated workers learn Fashion-MNIST from the slice within the program, offline: plain SGD, EF-SGD with 1 % of
//! the coordinates, and scaled signs with and without error feedback. The signs run once more with one class a
//! worker, where leaving feedback out does the most harm.
//!
//! ```text
//! cargo run --example fashion
//! cargo run --example fashion -- --seeds 1 --steps 200 --device flex
//! ```

use backburn::DeviceKind;
use backburn::train::data::Partition;
use backburn::train::run::{Outcome, Progress, Run, RunConfig, Summary, Table, megabytes};
use backburn::train::session::Schedule;
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
    /// Simulated workers.
    #[arg(long, default_value_t = 10)]
    workers: usize,
    /// auto, flex, ndarray or wgpu, as compiled in.
    #[arg(long, default_value = "auto")]
    device: DeviceKind,
}

/// (what it is called, method, compressor, at least so many times fewer bytes, how the images are dealt)
const RUNS: [(&str, &str, &str, f64, Partition); 6] = [
    ("SGD", "sgd:momentum=0.9", "identity", 1.0, Partition::Iid),
    ("EF-SGD, top-k 1 %", "ef-sgd:momentum=0.9", "topk:0.01", 60.0, Partition::Iid),
    ("scaled sign with feedback", "ef-sgd:momentum=0.9", "sign:scaled", 31.0, Partition::Iid),
    ("scaled sign without", "compressed-sgd:momentum=0.9", "sign:scaled", 31.0, Partition::Iid),
    ("one class a worker: with feedback", "ef-sgd:momentum=0.9", "sign:scaled", 31.0, Partition::ByClass),
    ("one class a worker: without", "compressed-sgd:momentum=0.9", "sign:scaled", 31.0, Partition::ByClass),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut table = Table::new(["method", "accuracy", "spread", "MB up", "MB down", "ratio", "seconds"]);
    let mut accuracies = Vec::new();
    for (name, algorithm, compressor, least, partition) in RUNS {
        let mut summaries: Vec<Summary> = Vec::new();
        for seed in 1..=args.seeds.max(1) {
            let config = RunConfig {
                data: "fashion-embedded".parse()?,
                workers: args.workers,
                batch: 4,
                partition,
                steps: args.steps,
                algorithm: algorithm.parse()?,
                compressor: compressor.parse()?,
                schedule: Schedule { lr: 0.02, ..Schedule::default() },
                seed,
                device: args.device,
                ..RunConfig::default()
            };
            let mut progress = Progress::new(format!("{name}, seed {seed}"));
            let Outcome::Finished(summary) = Run::new(config).run(&mut progress)? else {
                unreachable!("nobody stops it")
            };
            summaries.push(summary);
        }
        let mean = |of: fn(&Summary) -> f64| summaries.iter().map(of).sum::<f64>() / summaries.len() as f64;
        let accuracy = summaries.iter().map(|s| 100.0 * s.test_accuracy);
        let (low, high) = accuracy.fold((f64::MAX, f64::MIN), |(low, high), a| (low.min(a), high.max(a)));
        accuracies.push(100.0 * mean(|s| s.test_accuracy));
        table.row([
            name.to_string(),
            format!("{:.1} %", 100.0 * mean(|s| s.test_accuracy)),
            format!("{low:.1}–{high:.1}"),
            megabytes(mean(|s| s.megabytes.up)),
            megabytes(mean(|s| s.megabytes.down)),
            format!("{:.0}×", mean(|s| s.compression_ratio)),
            format!("{:.1}", mean(|s| s.seconds)),
        ]);
        assert!(mean(|s| s.compression_ratio) >= least, "{name} sends at least {least} times less");
    }
    println!(
        "Fashion-MNIST slice, {} workers × batch 4, {} steps, seeds 1 to {}\n",
        args.workers, args.steps, args.seeds
    );
    println!("{table}");
    println!("MB: bytes of the encoded messages a worker sent, and received from a server, over a run.");
    // What the full job shows; a shortened one has learnt too little.
    if args.steps >= 300 {
        let [sgd, topk, _, _, with, without] = accuracies[..] else { unreachable!("six runs") };
        assert!(topk > sgd - 5.0, "1 % of the coordinates are enough");
        assert!(with > without + 20.0, "where workers differ, signs need feedback");
    }
    Ok(())
}
