//! Workers under burn-train's `Learner`, with nothing but this crate and Burn.

use std::path::Path;
use std::sync::{Arc, Mutex};

use backburn_optim::learner::{BytesMetric, ContractionMetric, EpochLines, GroupStrategy, Metered, SplitMeans};
use backburn_optim::{EfSgdConfig, GroupConfig, device};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;

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
