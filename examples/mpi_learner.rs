//! The training of `learner` in as many processes as `mpirun` starts, one worker each: one call more. Rank 0 says what all
//! have measured; every rank keeps its own checkpoints.
//!
//! ```text
//! cargo build --features mpi --example mpi_learner && mpirun -n 4 target/debug/examples/mpi_learner
//! ```

use std::sync::Arc;

use backburn::burn::learner::{BytesMetric, EpochLines, GroupStrategy, Metered};
use backburn::host::Transport;
use backburn::mpi::Mpi;
use backburn::prelude::*;
use backburn::train::data::{self, Options};
use backburn::train::models::{LearnerNet, ModelKind};
use burn::data::dataloader::DataLoaderBuilder;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut mpi = Mpi::world()?;
    let out = tempfile::tempdir()?;
    let device = backburn::device("auto")?.autodiff();
    let split = data::load("fashion-embedded", &Options::default())?;
    let classifier = ModelKind::ConvNet.build(split.train.shape(), split.train.classes(), 7, &device)?;
    let loader = |batch| DataLoaderBuilder::new(split.train.batcher()).batch_size(batch).shuffle(7);
    let (train, valid) = (loader(16).build(split.train.clone()), loader(100).build(split.test.clone()));
    let dense = 4 * classifier.num_params();

    let method = EfSgd::new().with_step_outside();
    let group = GroupConfig::new(method, TopK::ratio(0.01)?).with_workers(mpi.size()).with_seed(7);
    let strategy = GroupStrategy::new(group, device, out.path());
    let meter = strategy.meter();
    let strategy = strategy.over(mpi.clone()); // the call more
    let (rank, ranks) = (mpi.rank(), mpi.size());
    let lines = EpochLines::new(move |split| {
        if rank == 0 {
            println!("{:?} {:?}: {:?}", split.epoch, split.split, split.means);
        }
    });
    let training = SupervisedTraining::new(out.path(), train, valid)
        .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)))
        .metric_train_numeric(BytesMetric::up(meter.clone()))
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .with_default_checkpointers()
        .with_application_logger(None)
        .renderer(Box::new(lines))
        .num_epochs(2);
    let learner = Learner::new(LearnerNet { classifier }, SgdConfig::new().init(), ConstantLr::new(0.05));
    let result = training.launch(learner);
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }

    let model = result.model.train();
    let probe = GroupConfig::new(EfSgd::new(), TopK::ratio(0.01)?).init(&model)?;
    let x: Vec<u8> = probe.parameters(&model)?.as_slice().iter().flat_map(|x| x.to_le_bytes()).collect();
    let all: Vec<usize> = (0..ranks).collect();
    assert!(mpi.exchange(&x, &all)?.iter().all(|theirs| *theirs == x), "the model is the same in all ranks");
    let up = meter.reading().bytes.up / meter.reading().steps as f64;
    assert!(up * 60.0 < dense as f64, "1 % of the coordinates, places included");
    if rank == 0 {
        println!("{ranks} ranks, each {up:.0} bytes a step; a dense gradient has {dense}");
    }
    Ok(())
}
