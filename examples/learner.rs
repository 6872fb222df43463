//! Four simulated workers under burn-train's `Learner`: its metrics, scheduler and checkpoints, and
//! Burn's own optimizer on the decoded mean of what the workers sent.
//!
//! ```text
//! cargo run --example learner
//! cargo run --example learner --features tui            # with Burn's terminal dashboard
//! cargo run --example learner -- --out learner --epochs 6 --resume 4
//! ```

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use backburn::train::data::{self, Options};
use backburn::train::models::{LearnerNet, ModelKind};
use backburn::train::strategy::GroupStrategy;
use backburn::{EfSgd, Group, TopK};
use burn::data::dataloader::DataLoaderBuilder;
use burn::lr_scheduler::constant::ConstantLr;
use burn::optim::SgdConfig;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};
use clap::Parser;

/// Train a small network on the embedded slice of Fashion-MNIST with 1 % of the gradient.
#[derive(Parser)]
struct Args {
    /// Simulated workers.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// The last epoch.
    #[arg(long, default_value_t = 4)]
    epochs: usize,
    /// Go on from the checkpoint of this epoch.
    #[arg(long)]
    resume: Option<usize>,
    /// Where metrics and checkpoints go.
    #[arg(long, default_value = "learner")]
    out: PathBuf,
}

fn main() -> ExitCode {
    match train(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn train(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let device = backburn::device("auto")?.autodiff();
    let split = data::load("fashion-embedded", &Options::default())?;
    let classifier = ModelKind::ConvNet.build(split.train.shape(), split.train.classes(), 7, &device)?;
    let loader = |batch| DataLoaderBuilder::new(split.train.batcher()).batch_size(batch).shuffle(7);
    let (train, valid) = (loader(16).build(split.train.clone()), loader(100).build(split.test.clone()));

    // The three lines that differ from an uncompressed training.
    let group = Group::new(EfSgd::new(0.0, 0.0)?.with_step_outside(), TopK::ratio(0.01)?).workers(args.workers).seed(7);
    let strategy = TrainingStrategy::Custom(Arc::new(GroupStrategy::new(group, device, &args.out)));
    let training = SupervisedTraining::new(&args.out, train, valid).with_training_strategy(strategy);

    let training = training
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .with_default_checkpointers()
        .num_epochs(args.epochs);
    // With the feature `tui` the Learner shows its dashboard, else a line an epoch.
    #[cfg(not(feature = "tui"))]
    let training = training.renderer(Box::new(backburn::train::strategy::EpochLines::default()));
    let training = match args.resume {
        Some(epoch) => training.checkpoint(epoch),
        None => training,
    };
    let result =
        training.launch(Learner::new(LearnerNet { classifier }, SgdConfig::new().init(), ConstantLr::new(0.05)));
    match result.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(()),
    }
}
