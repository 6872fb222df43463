//! The single-worker optimizer in burn-train's `Learner`, with its scheduler and checkpoints.

use backburn_compress::TopK;
use backburn_optim::learner::EpochLines;
use backburn_optim::{DeviceKind, EfSgdConfig};
use backburn_train::data::{self, Examples, Options};
use backburn_train::models::{LearnerNet, ModelKind, evaluate};
use burn::data::dataloader::DataLoaderBuilder;
use burn::lr_scheduler::exponential::ExponentialLrSchedulerConfig;
use burn::train::metric::LossMetric;
use burn::train::{Learner, SupervisedTraining};

#[test]
fn learns_and_sends_little() {
    let place = tempfile::tempdir().unwrap();
    let device = DeviceKind::Auto.device().unwrap().autodiff();
    let split = data::load("fashion-embedded", &Options::default()).unwrap();
    let classifier = ModelKind::Softmax.build(split.train.shape(), split.train.classes(), 7, &device).unwrap();
    let test = Examples::from(split.test.clone());
    let inner = device.clone().inner();
    let before = evaluate(&classifier, &test, &inner);

    let config = EfSgdConfig::new(TopK::ratio(0.02).unwrap()).with_momentum(0.9);
    let (optim, probe) = config.init_with_probe().unwrap();
    let loader =
        |batch| DataLoaderBuilder::new(split.train.batcher()).batch_size(batch).shuffle(7).set_device(device.clone());
    let valid = DataLoaderBuilder::new(split.train.batcher()).batch_size(100).set_device(inner.clone());
    let training =
        SupervisedTraining::new(place.path(), loader(50).build(split.train.clone()), valid.build(split.test.clone()))
            .metrics((LossMetric::new(),))
            .with_default_checkpointers()
            .renderer(Box::new(EpochLines::default()))
            .num_epochs(2);
    let schedule = ExponentialLrSchedulerConfig::new(0.01, 0.99).init().unwrap();
    let result = training.launch(Learner::new(LearnerNet { classifier }, optim, schedule));
    assert!(result.error.is_none());

    let after = evaluate(&result.model.classifier, &test, &inner);
    assert!(after.loss < 0.8 * before.loss, "test loss {} before, {} after", before.loss, after.loss);
    assert_eq!((probe.steps(), probe.rejected()), (80, 0), "one parameter, 2 epochs of 40 steps");
    assert!(probe.bytes_up() * 20 < 80 * 4 * 7840, "{} bytes", probe.bytes_up());
}
