//! A residual network with batch normalisation on CIFAR-10, on four simulated workers that send 1 % of the
//! coordinates, and once more with whole gradients.
//!
//! ```text
//! cargo run --example cifar                      # the first 4,000 images; the data is fetched once
//! cargo run --example cifar --features wgpu      # on a GPU, where one is found
//! cargo run --example cifar -- --data fashion-embedded --steps 8
//! ```
//!
//! `backburn train` has all the other options.

use backburn::train::data::Options;
use backburn::train::models::ModelKind;
use backburn::train::run::{Outcome, Progress, Run, RunConfig, Table, megabytes};
use clap::Parser;

/// Train a small ResNet with compressed gradients.
#[derive(Parser)]
struct Args {
    /// Another data set of images.
    #[arg(long, default_value = "cifar10")]
    data: String,
    /// Steps; 0 is four epochs.
    #[arg(long, default_value_t = 0)]
    steps: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut table = Table::new(["method", "test accuracy", "MB up", "MB down", "seconds"]);
    let mut sent = Vec::new();
    for (algorithm, compressor) in [("ef-sgd", "topk:0.01"), ("sgd", "identity")] {
        let config = RunConfig {
            data: args.data.parse()?,
            subset: 4000,
            augment: true,
            model: ModelKind::ResNet8,
            workers: 4,
            batch: 16,
            epochs: 4.0,
            steps: args.steps,
            algorithm: format!("{algorithm}:momentum=0.9,weight-decay=0.0005").parse()?,
            compressor: compressor.parse()?,
            ..RunConfig::default()
        };
        let options = Options { progress: true, ..Options::default() };
        let name = format!("{algorithm} {compressor}");
        let run = Run::new(config).with_options(options);
        let Outcome::Finished(summary) = run.run(&mut Progress::new(name.clone()))? else {
            unreachable!("nobody stops it")
        };
        assert!(summary.test_loss.is_finite());
        sent.push(summary.megabytes.up);
        table.row([
            name,
            format!("{:.1} %", 100.0 * summary.test_accuracy),
            megabytes(summary.megabytes.up),
            megabytes(summary.megabytes.down),
            format!("{:.1}", summary.seconds),
        ]);
    }
    println!("{table}");
    // The batch statistics are averaged as they are, and counted.
    assert!(sent[1] / sent[0] > 40.0, "about 1 % of the bytes");
    Ok(())
}
