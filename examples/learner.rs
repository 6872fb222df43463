//! Four simulated workers under burn-train's `Learner`: its metrics, scheduler and checkpoints, and
//! Burn's own optimizer on the decoded mean of what the workers sent.
//!
//! ```text
//! cargo run --example learner
//! cargo run --example learner -- --out learner --epochs 6 --resume 4
//! ```

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use backburn::train::data::{self, ImageBatch, Images, Options};
use backburn::train::models::{Classifier, ModelKind};
use backburn::train::strategy::GroupStrategy;
use backburn::{EfSgd, Group, TopK};
use burn::data::dataloader::DataLoaderBuilder;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::optim::SgdConfig;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::renderer::{MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep, TrainingStrategy,
};
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
