//! The rows of `backburn bench step`: what an optimizer's own step costs beside Burn's, on whole models.

use std::time::Instant;

use backburn_compress::{AnyCompressor, ParameterError};
use backburn_optim::{AnyAlgorithm, EfSgd, Group, GroupConfig, ModelError, RoundError, SetupError, Solo};
use backburn_train::models::{Classifier, ModelKind};
use burn::module::Module;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use serde::Serialize;

use crate::compress::median;

/// The compressors that are measured unless others are asked for.
pub const COMPRESSORS: &[&str] =
    &["identity", "sign:scaled", "topk:0.01", "randk:0.01", "qsgd:s=127,bucket=512,scaled"];

/// Gradients of a group's round.
const GROUP: usize = 4;
/// Images of a batch: few, so that the optimizer's part shows.
const BATCH: usize = 16;
const CLASSES: usize = 10;
const LR: f64 = 1e-3;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Compressors under EF-SGD.
    pub compressors: Vec<AnyCompressor>,
    /// β of all contenders, Burn's too.
    pub momentum: f64,
    /// Timed steps, after a third as many to warm up.
    pub samples: usize,
    /// Where.
    pub device: Device,
}

impl Options {
    /// All of [`COMPRESSORS`], with momentum 0.9, on a device with autodiff.
    pub fn new(device: Device) -> Self {
        let parse = |text: &&str| text.parse().expect("the list holds textual forms");
        Self { compressors: COMPRESSORS.iter().map(parse).collect(), momentum: 0.9, samples: 15, device }
    }
}

/// One optimizer on one model. Times are medians, in seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The model.
    pub model: String,
    /// Its coordinates.
    pub parameters: usize,
    /// `SGD` is Burn's, the others are EF-SGD with this compressor.
    pub optimizer: String,
    /// Gradients a step: 1 for an optimizer, 4 for a group.
    pub workers: usize,
    /// Of the optimizer's own part of a step.
    pub seconds: f64,
    /// Of forward and backward of so many workers.
    pub gradient_seconds: f64,
    /// `seconds` over those of Burn's SGD; of a group, over as many steps of the optimizer alone.
    pub ratio: f64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// An optimizer cannot be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The group cannot be set up.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The momentum is none.
    #[error(transparent)]
    Momentum(#[from] ParameterError),
    /// A group's round failed.
    #[error(transparent)]
    Round(#[from] RoundError),
}

/// Measures all contenders on a perceptron, a convolutional net and a transformer, and hands on each row.
///
/// # Errors
/// Where a compressor does not go with EF-SGD, or the momentum is not in [0, 1).
pub fn rows(options: &Options, mut each: impl FnMut(&Row)) -> Result<(), StepError> {
    let device = &options.device;
    let shape = [3, 32, 32];
    for kind in [ModelKind::Mlp, ModelKind::ConvNet] {
        let model = kind.build(shape, CLASSES, 1, device).expect("any image will do for these");
        let images = Tensor::<4>::random([BATCH, shape[0], shape[1], shape[2]], Distribution::Default, device);
        let targets = Tensor::<1, Int>::zeros([BATCH], device);
        let loss = |model: &Classifier| model.loss(images.clone(), targets.clone());
        measure(kind.name(), &model, loss, options, &mut each)?;
    }
    let model = TransformerEncoderConfig::new(256, 1024, 4, 6).init(device);
    let x = Tensor::<3>::random([2, 64, 256], Distribution::Default, device);
    let loss = |model: &TransformerEncoder| {
        let y = model.forward(TransformerEncoderInput::new(x.clone()));
        (y.clone() * y).mean()
    };
    measure("transformer", &model, loss, options, &mut each)
}

/// Whoever moves a model: an optimizer at one gradient, or a group at several.
enum Mover {
    Optimizer(ModuleOptimizer),
    Group(Box<Group>),
}

struct Contender<M> {
    name: String,
    mover: Mover,
    /// A model of its own, so that no other holds its tensors.
    model: Option<M>,
    own: Vec<f64>,
    gradients: Vec<f64>,
}

impl<M: Module + Clone> Contender<M> {
    fn new(name: impl ToString, mover: Mover, model: &M) -> Self {
        Self { name: name.to_string(), mover, model: Some(model.clone()), own: Vec::new(), gradients: Vec::new() }
    }

    fn workers(&self) -> usize {
        if matches!(self.mover, Mover::Group(_)) { GROUP } else { 1 }
    }

    /// One step, kept where it counts.
    fn step(&mut self, loss: &impl Fn(&M) -> Tensor<1>, device: &Device, counts: bool) -> Result<(), RoundError> {
        let model = self.model.take().expect("put back by the last step");
        let of = |_| GradientsParams::from_grads(loss(&model).backward(), &model);
        let (mut grads, gradients) = timed(device, || (0..self.workers()).map(of).collect::<Vec<_>>());
        let (moved, own) = timed(device, || match &mut self.mover {
            Mover::Optimizer(optimizer) => Ok(optimizer.step(LR, model, grads.pop().expect("one"))),
            Mover::Group(group) => group.round(LR, &model, grads).map(|round| round.apply(model)),
        });
        self.model = Some(moved?);
        if counts {
            self.own.push(own);
            self.gradients.push(gradients);
        }
        Ok(())
    }
}

/// A device that works ahead is waited for.
fn timed<T>(device: &Device, work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = work();
    let _ = device.sync();
    (result, started.elapsed().as_secs_f64())
}

fn measure<M: Module + Clone>(
    name: &str,
    model: &M,
    loss: impl Fn(&M) -> Tensor<1>,
    options: &Options,
    each: &mut impl FnMut(&Row),
) -> Result<(), StepError> {
    let momentum = (options.momentum > 0.0).then(|| MomentumConfig::new().with_momentum(options.momentum));
    let stock = SgdConfig::new().with_momentum(momentum.map(|m| m.with_dampening(0.0))).init();
    let mut contenders = vec![Contender::new("SGD", Mover::Optimizer(stock), model)];
    let method = EfSgd::new().with_momentum(options.momentum)?;
    for compressor in &options.compressors {
        let solo = Solo::any(AnyAlgorithm::new(method), compressor.clone())?.init();
        contenders.push(Contender::new(compressor, Mover::Optimizer(solo), model));
        let group = GroupConfig::any(AnyAlgorithm::new(method), compressor.clone());
        let group = Mover::Group(Box::new(group.with_workers(GROUP).init(model)?));
        contenders.push(Contender::new(compressor, group, model));
    }
    // In turn, so that what else the machine does is shared by all.
    let warm = options.samples.div_ceil(3);
    for step in 0..warm + options.samples {
        for contender in &mut contenders {
            contender.step(&loss, &options.device, step >= warm)?;
        }
    }
    let (mut stock, mut alone) = (f64::NAN, f64::NAN);
    for Contender { name: optimizer, mover, own, gradients, .. } in contenders {
        let (seconds, gradient_seconds) = (median(own), median(gradients));
        let workers = if matches!(mover, Mover::Group(_)) { GROUP } else { 1 };
        if stock.is_nan() {
            stock = seconds;
        }
        let of = if workers == 1 { stock } else { workers as f64 * alone };
        alone = if workers == 1 { seconds } else { alone };
        let (model, parameters) = (name.into(), model.num_params());
        each(&Row { model, parameters, optimizer, workers, seconds, gradient_seconds, ratio: seconds / of });
    }
    Ok(())
}

/// A header, and a line a row.
pub fn render(rows: &[Row]) -> String {
    let width = rows.iter().map(|r| r.optimizer.len()).max().unwrap_or(0).max("optimizer".len());
    let head = ["model", "parameters", "workers", "own ms", "gradients ms", "share", "ratio"];
    let [model, parameters, workers, own, gradients, share, ratio] = head;
    let mut text = format!(
        "{model:11}  {:width$}  {parameters:>10} {workers:>7} {own:>8} {gradients:>12} {share:>6} {ratio:>6}\n",
        "optimizer"
    );
    for r in rows {
        text += &format!(
            "{:11}  {:width$}  {:>10} {:>7} {:>8.2} {:>12.2} {:>5.1}% {:>5.2}x\n",
            r.model,
            r.optimizer,
            r.parameters,
            r.workers,
            1e3 * r.seconds,
            1e3 * r.gradient_seconds,
            100.0 * r.seconds / (r.seconds + r.gradient_seconds),
            r.ratio,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every contender gives one row a model, and Burn's own is the measure of all.
    #[test]
    fn every_contender_is_measured_on_every_model() {
        let compressors = vec!["topk:0.01".parse().unwrap(), "sign:scaled".parse().unwrap()];
        let device = backburn_optim::device("flex").unwrap().autodiff();
        let mut all = Vec::new();
        rows(&Options { compressors, momentum: 0.9, samples: 1, device }, |r| all.push(r.clone())).unwrap();
        assert_eq!(all.len(), 3 * (1 + 2 * 2));
        assert!(all.iter().all(|r| r.seconds > 0.0 && r.gradient_seconds > 0.0 && r.parameters > 1000));
        assert!(all.iter().filter(|r| r.optimizer == "SGD").all(|r| r.ratio == 1.0 && r.workers == 1));
        assert_eq!(render(&all).lines().count(), all.len() + 1);
    }
}
