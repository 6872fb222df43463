//! Simulated workers under burn-train's `Learner`: training, and resuming with every worker's state.

use std::path::Path;
use std::sync::{Arc, Mutex};

use backburn_compress::TopK;
use backburn_optim::learner::{BytesMetric, EpochLines, GroupStrategy};
use backburn_optim::{AnyAlgorithm, DeviceKind, EfSgd, GroupConfig, Threads};
use backburn_train::data::{self, Options};
use backburn_train::models::{LearnerNet, ModelKind, batch_norm};
use burn::data::dataloader::DataLoaderBuilder;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

/// Weights and batch statistics after the last epoch, or the error.
type Trained = Result<(Vec<f32>, Vec<f32>), String>;

fn train(algorithm: &str, out: &Path, epochs: usize, resume: Option<usize>) -> Trained {
    train_as(None, algorithm, out, epochs, resume).map(|(model, _)| model)
}

/// Weights and batch statistics, and what the metrics of each epoch say.
type Told = ((Vec<f32>, Vec<f32>), Vec<String>);

/// As one of the ranks, where there is a transport.
fn train_as(
    rank: Option<Threads>,
    algorithm: &str,
    out: &Path,
    epochs: usize,
    resume: Option<usize>,
) -> Result<Told, String> {
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
    let meter = strategy.meter();
    let strategy = match rank {
        None => TrainingStrategy::Custom(Arc::new(strategy)),
        Some(rank) => TrainingStrategy::Custom(Arc::new(strategy.over(rank))),
    };
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = said.clone();
    let lines = EpochLines::new(move |split| seen.lock().unwrap().push(format!("{:?} {:?}", split.epoch, split.means)));
    let training = SupervisedTraining::new(out, loader(true), loader(false))
        .with_training_strategy(strategy)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .metric_train_numeric(BytesMetric::up(meter))
        .with_default_checkpointers()
        .with_application_logger(None)
        .renderer(Box::new(lines))
        .num_epochs(epochs);
    let training = resume.into_iter().fold(training, |training, epoch| training.checkpoint(epoch));
    let learner = Learner::new(LearnerNet { classifier }, SgdConfig::new().init(), ConstantLr::new(0.05));
    let result = training.launch(learner);
    if let Some(error) = result.error {
        return Err(error.to_string());
    }
    let model = result.model.train();
    let probe = GroupConfig::new(EfSgd::new(), TopK::ratio(0.5).unwrap()).init(&model).unwrap();
    let reached = (probe.parameters(&model).unwrap().as_slice().to_vec(), batch_norm::statistics(&model));
    let said = said.lock().unwrap().clone();
    Ok((reached, said))
}

/// Two ranks, each with a directory of its own, give the weights, the statistics and the metrics of two simulated workers,
/// also from a checkpoint on.
#[test]
fn ranks_give_the_bits_and_the_metrics_of_one_process() {
    for algorithm in ["ef-sgd:momentum=0.9", "ef-sgd:outside"] {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let expected = train_as(None, algorithm, &at("one"), 3, None).unwrap();
        let in_ranks = |epochs, resume| {
            std::thread::scope(|scope| {
                let start = |(rank, link): (usize, Threads)| {
                    let out = at(&format!("rank-{rank}"));
                    scope.spawn(move || train_as(Some(link), algorithm, &out, epochs, resume).unwrap())
                };
                let threads: Vec<_> = Threads::links(2).into_iter().enumerate().map(start).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            })
        };
        let mut said: Vec<Vec<String>> = in_ranks(1, None).into_iter().map(|(_, said)| said).collect();
        for (rank, (model, later)) in in_ranks(3, Some(1)).into_iter().enumerate() {
            assert_eq!(model, expected.0, "{algorithm}: rank {rank}");
            said[rank].extend(later);
            assert_eq!(said[rank], expected.1, "{algorithm}: metrics of rank {rank}");
        }
    }
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
