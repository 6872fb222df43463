//! Four simulated workers under burn-train's `Learner`: its metrics, scheduler and checkpoints, and Burn's own
//! optimizer on the decoded mean of what the workers sent.
//!
//! ```text
//! cargo run --example learner
//! cargo run --example learner --features tui            # with Burn's terminal dashboard
//! cargo run --example learner -- --out learner          # keeps metrics and checkpoints, and then
//! cargo run --example learner -- --out learner --epochs 6 --resume 4
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use backburn::burn::learner::{BytesMetric, GroupStrategy, Metered};
use backburn::prelude::*;
use backburn::train::data::{self, Options};
use backburn::train::models::{LearnerNet, ModelKind};
use burn::data::dataloader::DataLoaderBuilder;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};
use clap::Parser;

/// Train a small network on the embedded slice of Fashion-MNIST with 1 % of the gradient.
#[derive(Parser)]
struct Args {
    /// The last epoch.
    #[arg(long, default_value_t = 4)]
    epochs: usize,
    /// Go on from the checkpoint of this epoch.
    #[arg(long, requires = "out")]
    resume: Option<usize>,
    /// Where metrics and checkpoints stay; without it they are gone at the end.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let scratch = tempfile::tempdir()?;
    let out = args.out.as_deref().unwrap_or(scratch.path());

    let device = backburn::device("auto")?.autodiff();
    let split = data::load("fashion-embedded", &Options::default())?;
    let classifier = ModelKind::ConvNet.build(split.train.shape(), split.train.classes(), 7, &device)?;
    let loader = |batch| DataLoaderBuilder::new(split.train.batcher()).batch_size(batch).shuffle(7);
    let (train, valid) = (loader(16).build(split.train.clone()), loader(100).build(split.test.clone()));
    let dense = 4 * classifier.num_params();

    // What differs from an uncompressed training.
    let method = EfSgd::new().with_step_outside();
    let group = GroupConfig::new(method, TopK::ratio(0.01)?).with_workers(4).with_seed(7);
    let strategy = GroupStrategy::new(group, device, out);
    let meter = strategy.meter();
    let training = SupervisedTraining::new(out, train, valid)
        .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)))
        .metric_train_numeric(BytesMetric::up(meter.clone()));

    let training = training
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .with_default_checkpointers()
        .num_epochs(args.epochs);
    // With the feature `tui` the Learner shows its dashboard, else a line an epoch.
    #[cfg(not(feature = "tui"))]
    let training = training.renderer(Box::new(backburn::burn::learner::EpochLines::default()));
    let training = match args.resume {
        Some(epoch) => training.checkpoint(epoch),
        None => training,
    };
    let result =
        training.launch(Learner::new(LearnerNet { classifier }, SgdConfig::new().init(), ConstantLr::new(0.05)));
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }

    let sent = meter.reading();
    let [up, down] = [sent.bytes.up, sent.bytes.down].map(|bytes| bytes / sent.steps as f64);
    println!("a worker and step: {up:.0} bytes up, {down:.0} down; a dense gradient has {dense}");
    assert!(up * 60.0 < dense as f64, "1 % of the coordinates, places included");
    assert!(down * 10.0 < dense as f64, "the mean of four is not much denser than four messages");
    Ok(())
}
