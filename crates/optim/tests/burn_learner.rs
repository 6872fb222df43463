//! Workers under burn-train's `Learner`, with nothing but this crate and Burn.

use std::path::Path;
use std::sync::{Arc, Mutex};

use backburn_optim::learner::{BytesMetric, ContractionMetric, EpochLines, GroupStrategy, Metered, SplitMeans};
use backburn_optim::{EfSgdConfig, Fragments, GroupConfig, LocalSteps, device};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, SgdConfig};

use burn::tensor::{Device, ExecutionError, Tensor, TensorData};
use burn::train::metric::{Adaptor, LossInput, LossMetric};
use burn::train::{InferenceStep, ItemLazy, Learner, SupervisedTraining, TrainOutput, TrainStep, TrainingStrategy};

#[derive(Module, Debug)]
struct Net {
    linear: Linear,
}

#[derive(Clone, Debug)]
struct Loss(Tensor<1>);

impl ItemLazy for Loss {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl Adaptor<LossInput> for Loss {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.0.clone())
    }
}

impl TrainStep for Net {
    type Input = Tensor<2>;
    type Output = Loss;

    fn step(&self, x: Tensor<2>) -> TrainOutput<Loss> {
        let loss = (self.linear.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean();
        TrainOutput::new(self, loss.backward(), Loss(loss))
    }
}

impl InferenceStep for Net {
    type Input = Tensor<2>;
    type Output = Loss;

    fn step(&self, x: Tensor<2>) -> Loss {
        Loss((self.linear.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean())
    }
}

#[derive(Clone, Debug)]
struct Rows;

impl Batcher<u32, Tensor<2>> for Rows {
    fn batch(&self, items: Vec<u32>, device: &Device) -> Tensor<2> {
        let row = |i: u32| (0..8).map(move |j| ((i * 8 + j) as f32 * 0.7).sin());
        let n = items.len();
        Tensor::from_data(TensorData::new(items.into_iter().flat_map(row).collect(), [n, 8]), device)
    }
}

fn config(method: &str, workers: usize) -> GroupConfig {
    GroupConfig::any(method.parse().unwrap(), "topk:0.25".parse().unwrap()).with_workers(workers).with_seed(3)
}

type Means = Arc<Mutex<Vec<SplitMeans>>>;

fn train(group: GroupConfig, accumulation: Option<usize>, out: &Path) -> (Option<String>, Means, f64) {
    let device = device("auto").unwrap().autodiff();
    let loader = || DataLoaderBuilder::new(Rows).batch_size(4).build(InMemDataset::new((0..32).collect()));
    let strategy = GroupStrategy::new(group, device.clone(), out).with_contraction();
    let meter = strategy.meter();
    let means = Means::default();
    let seen = means.clone();
    let lines = EpochLines::new(move |split| seen.lock().unwrap().push(split.clone()));
    let mut training = SupervisedTraining::new(out, loader(), loader())
        .metric_train_numeric(LossMetric::new())
        .metric_train_numeric(BytesMetric::up(meter.clone()))
        .metric_train_numeric(BytesMetric::down(meter.clone()))
        .metric_train_numeric(ContractionMetric::new(meter.clone()))
        .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)))
        .with_application_logger(None)
        .renderer(Box::new(lines))
        .num_epochs(3);
    if let Some(batches) = accumulation {
        training = training.grads_accumulation(batches);
    }
    let model = Net { linear: LinearConfig::new(8, 1).init(&device) };
    let result = training.launch(Learner::new(model, SgdConfig::new().init(), ConstantLr::new(0.05)));
    (result.error.map(|e| e.to_string()), means, meter.reading().steps as f64)
}

#[test]
fn metrics_show_bytes_and_contraction() {
    // Pins that the strategy feeds the metrics: a quarter of 8 coordinates and a dense bias, in both directions.
    for method in ["ef-sgd", "ef-sgd:outside"] {
        let place = tempfile::tempdir().unwrap();
        let (error, means, steps) = train(config(method, 2), None, place.path());
        assert_eq!(error, None);
        assert_eq!(steps, 3.0 * 4.0, "16 items a worker, 4 a batch, 3 epochs");
        let means = means.lock().unwrap();
        let of = |epoch: usize, name: &str| {
            let split = means.iter().find(|m| m.epoch == epoch && !m.means.is_empty()).unwrap();
            split.means.iter().find(|(n, _)| n == name).unwrap().1
        };
        let (up, down, contraction) = (of(2, "Bytes up"), of(2, "Bytes down"), of(2, "Contraction"));
        assert!(up > 10.0 && up < 80.0 && down >= up, "{up} up, {down} down");
        assert!(contraction > 0.2 && contraction <= 1.0, "{contraction}");
        assert!(of(3, "Loss") < of(1, "Loss"), "{means:?}");
    }
}

#[test]
fn what_it_cannot_serve_is_refused_at_the_start() {
    // Pins that no option is ignored: several minibatches, accumulation, gradients elsewhere, fewer items than workers.
    let refused = |group: GroupConfig, accumulation| {
        let place = tempfile::tempdir().unwrap();
        let (error, _, steps) = train(group, accumulation, place.path());
        assert_eq!(steps, 0.0);
        error.expect("refused")
    };
    for method in ["neolithic:rounds=4", "ef21-sgdm:eta=0.1,b-init=2", "ecx:estimator=storm", "beer"] {
        let error = refused(config(method, 2), None);
        assert!(error.contains("asks for several minibatches a step"), "{method}: {error}");
    }
    let error = refused(config("ef-sgd", 2), Some(4));
    assert!(error.contains("accumulated over 4 batches"), "{error}");
    let error = refused(config("ef-sgd", 33), None);
    assert!(error.contains("not enough data: 33 workers"), "{error}");
    let error = refused(config("ef-sgd", usize::MAX / 2), None);
    assert!(error.contains("not enough data"), "before any memory is taken: {error}");
}

#[test]
fn a_probe_is_read_like_a_meter() {
    // Pins that one worker's optimizer feeds the same metrics.
    let (mut optim, probe) = EfSgdConfig::new(backburn_compress::ScaledSign).init_with_probe().unwrap();
    let device = device("auto").unwrap().autodiff();
    let mut model = Net { linear: LinearConfig::new(8, 1).init(&device) };
    for _ in 0..3 {
        let output = TrainStep::step(&model, Rows.batch(vec![1, 2], &device));
        model = optim.step(0.1, model, output.grads);
    }
    let reading = probe.reading();
    assert_eq!((reading.steps, reading.bytes.up), (3, probe.bytes_up() as f64));
    assert!(reading.bytes.up > 0.0);
}

/// H = 3, and epochs of four steps: an epoch ends between two rounds, a run is gone on with
/// from there, and all is what [`LocalSteps`] by themselves come to.
#[test]
fn local_steps_are_those_of_a_plain_loop_and_survive_a_restart() {
    let device = device("auto").unwrap().autodiff();
    let items = || InMemDataset::new((0..32).collect::<Vec<u32>>());
    let loader = || DataLoaderBuilder::new(Rows).batch_size(4).build(items());
    let start = Net { linear: LinearConfig::new(8, 1).init(&device) };
    let adamw = || AdamWConfig::new().with_weight_decay(0.1).init();
    let whole = Fragments::WHOLE;
    let train = |out: &Path, epochs: usize, resume: Option<usize>| {
        let strategy = GroupStrategy::new(config("sparse-loco", 2), device.clone(), out);
        let strategy = strategy.with_local_steps(3, 0.9, whole, adamw);
        let meter = strategy.meter();
        let training = SupervisedTraining::new(out, loader(), loader())
            .metric_train_numeric(LossMetric::new())
            .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)))
            .with_default_checkpointers()
            .with_application_logger(None)
            .renderer(Box::new(EpochLines::default()))
            .num_epochs(epochs);
        let training = resume.into_iter().fold(training, |training, epoch| training.checkpoint(epoch));
        let result = training.launch(Learner::new(start.clone(), SgdConfig::new().init(), ConstantLr::new(0.05)));
        assert_eq!(result.error.map(|e| e.to_string()), None);
        (result.model.linear.weight.val().into_data().try_to_vec::<f32>().unwrap(), meter.reading().bytes.up)
    };
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (expected, up) = train(one.path(), 3, None);
    train(two.path(), 1, None);
    let (resumed, _) = train(two.path(), 3, Some(1));
    assert_eq!(expected, resumed);

    let group = config("sparse-loco", 2).init(&start).unwrap();
    let mut local = LocalSteps::new(group, start, adamw(), 3).unwrap();
    let mut sent = Vec::new();
    for step in 0..12u32 {
        let rows = |worker: usize| (0..4).map(|i| 16 * worker as u32 + 4 * (step % 4) + i).collect();
        let gradient = |worker: usize, replica: &Net| TrainStep::step(replica, Rows.batch(rows(worker), &device)).grads;
        sent.extend(local.step(0.05, 0.9, gradient).unwrap().map(|traffic| traffic.per_worker().up));
    }
    assert_eq!(local.model().linear.weight.val().into_data().try_to_vec::<f32>().unwrap(), expected);
    assert!(sent.len() == 4 && up > 0.0);
}
