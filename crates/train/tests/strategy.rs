//! Simulated workers under burn-train's `Learner`: training, and resuming with every worker's state.

use std::path::Path;
use std::sync::Arc;

use backburn_compress::TopK;
use backburn_optim::learner::{EpochLines, GroupStrategy};
use backburn_optim::{AnyAlgorithm, DeviceKind, EfSgd, GroupConfig};
use backburn_train::data::{self, Options};
use backburn_train::models::{LearnerNet, ModelKind, batch_norm};
use burn::data::dataloader::DataLoaderBuilder;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::train::metric::LossMetric;
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

/// Weights and batch statistics after the last epoch, or the error.
fn train(algorithm: &str, out: &Path, epochs: usize, resume: Option<usize>) -> Result<(Vec<f32>, Vec<f32>), String> {
    let device = DeviceKind::Flex.device().unwrap().autodiff();
    let split = data::load("fashion-embedded", &Options::default()).unwrap();
    let images = split.train.subset(&(0..32).collect::<Vec<_>>());
    let classifier = ModelKind::ResNet8.build(images.shape(), images.classes(), 7, &device).unwrap();
    let loader = |shuffle| {
        let builder = DataLoaderBuilder::new(images.batcher()).batch_size(8);
        if shuffle { builder.shuffle(3).build(images.clone()) } else { builder.build(images.clone()) }
    };
    let algorithm: AnyAlgorithm = algorithm.parse().unwrap();
    let group = GroupConfig::any(algorithm, "topk:0.05".parse().unwrap()).with_workers(2).with_seed(5);
    let strategy = GroupStrategy::new(group, device, out);
    let training = SupervisedTraining::new(out, loader(true), loader(false))
        .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)))
        .metric_train_numeric(LossMetric::new())
        .with_default_checkpointers()
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::default()))
        .num_epochs(epochs);
    let training = resume.into_iter().fold(training, |training, epoch| training.checkpoint(epoch));
    let learner = Learner::new(LearnerNet { classifier }, SgdConfig::new().init(), ConstantLr::new(0.05));
    let result = training.launch(learner);
    if let Some(error) = result.error {
        return Err(error.to_string());
    }
    let model = result.model.train();
    let probe = GroupConfig::new(EfSgd::new(), TopK::ratio(0.5).unwrap()).init(&model).unwrap();
    Ok((probe.parameters(&model).unwrap().as_slice().to_vec(), batch_norm::statistics(&model)))
}

#[test]
fn a_resumed_training_is_the_uninterrupted_one() {
    for algorithm in ["ef-sgd:momentum=0.9", "ef-sgd:outside"] {
        let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let expected = train(algorithm, whole.path(), 3, None).unwrap();
        let first = train(algorithm, parts.path(), 1, None).unwrap();
        assert!(parts.path().join("checkpoint/group-1.safetensors").is_file());
        let resumed = train(algorithm, parts.path(), 3, Some(1)).unwrap();
        assert_ne!(first, resumed);
        assert_eq!(expected.1, resumed.1, "{algorithm}: statistics");
        assert_eq!(expected.0, resumed.0, "{algorithm}: weights");
        assert!(expected.0.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn what_it_cannot_serve_is_an_error_of_the_training() {
    let directory = tempfile::tempdir().unwrap();
    let error = train("ecx:estimator=storm", directory.path(), 1, None).unwrap_err();
    assert!(error.contains("for gradients elsewhere"), "{error}");
}
