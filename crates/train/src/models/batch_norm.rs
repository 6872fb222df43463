//! What batch normalisation remembers, made common to all workers.
//!
//! A forward pass in training moves a layer's running mean and variance. With several workers these
//! must stay common, so that all ranks and every repetition have the same model. The rule: before each
//! worker's forward pass put the common statistics into its model ([`with_statistics`]); afterwards
//! read its own ([`statistics`]); [`average`] those of all workers in rank order, as a dense payload
//! that is counted as traffic. A rejected round puts the common ones back. Before a model is saved,
//! pass it through [`with_statistics`] too: Burn's record takes only what has been flushed.
//!
//! Burn keeps the newest update of each thread aside until it is asked for; `valid()` is what flushes
//! it. Clones of a model share their statistics: give nodes that hold models of their own a model
//! built anew each, and use one thread a model.

use backburn_compress::Payload;
use backburn_compress::payload::Values;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// Why statistics do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// For another model.
    #[error("{found} running statistics do not fit a model that has {expected}")]
    Length {
        /// What the model has.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An average over nobody.
    #[error("there are no workers whose statistics could be averaged")]
    NoWorkers,
    /// Workers disagree about the model.
    #[error("worker {worker} has {found} running statistics, worker 0 has {expected}")]
    Worker {
        /// The worker.
        worker: usize,
        /// What worker 0 has.
        expected: usize,
        /// What it has.
        found: usize,
    },
}

/// Whether a tensor's own name says that it is a running statistic.
pub(crate) fn is_statistic(name: &str) -> bool {
    matches!(name, "running_mean" | "running_var")
}

/// All running means and variances of `model` in visit order, after flushing what is pending on any
/// thread. Empty where it has no batch normalisation.
pub fn statistics<M: Module>(model: &M) -> Vec<f32> {
    let mut read = Read::default();
    model.valid().visit(&mut read);
    if read.found.is_empty() {
        return Vec::new();
    }
    // One transfer from the device instead of one a layer.
    let data = Tensor::cat(read.found, 0).into_data().convert::<f32>();
    data.iter::<f32>().collect()
}

/// The same model with these running means and variances, in the order of [`statistics`]; pending
/// updates are dropped. Parameters are not touched. The model's clones change with it.
///
/// # Errors
/// Where the number differs from the model's; then nothing has changed but that updates are flushed.
pub fn with_statistics<M: Module>(model: M, statistics: &[f32]) -> Result<M, StatisticsError> {
    let mut own = Read::default();
    // Flushes too: what is still pending would later overwrite the new values.
    model.valid().visit(&mut own);
    let expected = own.found.iter().map(|tensor| tensor.shape().num_elements()).sum();
    if expected != statistics.len() {
        return Err(StatisticsError::Length { expected, found: statistics.len() });
    }
    Ok(model.map(&mut Write { path: Vec::new(), rest: statistics }))
}

/// The bytes of a message with so many statistics, which are sent as they are.
pub(crate) fn message_bytes(len: usize) -> f64 {
    let payload = Payload::Dense(Values::F32(vec![0.0; len]));
    backburn_compress::message_bytes(&[std::sync::Arc::new(payload)]) as f64
}

/// The mean of the workers' statistics, summed in rank order in double precision: the average of
/// equal values is that value.
///
/// # Errors
/// Without workers, or where they have different numbers of statistics.
pub fn average(workers: &[Vec<f32>]) -> Result<Vec<f32>, StatisticsError> {
    let expected = workers.first().ok_or(StatisticsError::NoWorkers)?.len();
    if let Some(worker) = workers.iter().position(|own| own.len() != expected) {
        return Err(StatisticsError::Worker { worker, expected, found: workers[worker].len() });
    }
    let mean = |i: usize| workers.iter().map(|own| f64::from(own[i])).sum::<f64>() / workers.len() as f64;
    Ok((0..expected).map(|i| mean(i) as f32).collect())
}

/// Collects the statistics' tensors. Burn visits them as float parameters, by the field's name.
#[derive(Default)]
struct Read {
    path: Vec<String>,
    found: Vec<Tensor<1>>,
}

impl ModuleVisitor for Read {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.last().is_some_and(|name| is_statistic(name)) {
            let n = param.lazy_shape().num_elements();
            self.found.push(param.val().reshape([n]));
        }
    }
}

/// Replaces the statistics' values, front to back.
struct Write<'a> {
    path: Vec<String>,
    rest: &'a [f32],
}

impl ModuleMapper for Write<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.path.last().is_some_and(|name| is_statistic(name)) {
            return param;
        }
        let (shape, device) = (param.lazy_shape(), param.lazy_device());
        let (own, rest) = self.rest.split_at(shape.num_elements());
        self.rest = rest;
        Param::initialized(param.id, Tensor::from_data(TensorData::new(own.to_vec(), shape), &device))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::models::{Classifier, ModelKind};

    fn device() -> Device {
        Device::default().autodiff()
    }

    fn model() -> Classifier {
        ModelKind::ResNet8.build([1, 8, 8], 3, 5, &device()).unwrap()
    }

    fn images(shift: f32) -> Tensor<4> {
        let values: Vec<f32> = (0..4 * 64).map(|i| (i as f32 * 0.37).sin() + shift).collect();
        Tensor::from_data(TensorData::new(values, [4, 1, 8, 8]), &device())
    }

    /// All floats but the statistics, in visit order.
    fn parameters(model: &Classifier) -> Vec<f32> {
        struct All(Vec<String>, Vec<f32>);
        impl ModuleVisitor for All {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.0.push(name.into());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if !is_statistic(self.0.last().unwrap()) {
                    self.1.extend(param.val().into_data().iter::<f32>());
                }
            }
        }
        let mut all = All(Vec::new(), Vec::new());
        model.visit(&mut all);
        all.1
    }

    #[test]
    fn a_pass_from_common_statistics_gives_the_same_every_time() {
        let mut model = model();
        let common = statistics(&model);
        // ResNet-8: seven convolutions and two shortcuts, each with mean and variance.
        assert_eq!(common.len(), 2 * (16 * 3 + 32 * 3 + 64 * 3));
        let before = parameters(&model);
        let mut passes = Vec::new();
        for _ in 0..3 {
            model = with_statistics(model, &common).unwrap();
            assert_eq!(statistics(&model), common);
            model.forward(images(0.5));
            passes.push(statistics(&model));
            // Another worker's pass in between leaves no trace.
            model.forward(images(-3.0));
        }
        assert_ne!(passes[0], common);
        assert!(passes.iter().all(|pass| *pass == passes[0]));
        assert_eq!(parameters(&model), before);
    }

    #[test]
    fn a_pass_without_flush_between_is_dropped() {
        let model = model();
        let common = statistics(&model);
        model.forward(images(2.0));
        let model = with_statistics(model, &common).unwrap();
        assert_eq!(statistics(&model), common);
        assert_eq!(statistics(&model.valid()), common);
    }

    #[test]
    fn statistics_stay_untrained_and_parameters_trained() {
        let model = with_statistics(model(), &vec![1.0; 672]).unwrap();
        struct Grad(Vec<String>);
        impl ModuleVisitor for Grad {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.0.push(name.into());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                assert_eq!(param.is_require_grad(), !is_statistic(self.0.last().unwrap()), "{:?}", self.0);
            }
        }
        model.visit(&mut Grad(Vec::new()));
        let loss = model.loss(images(0.0), Tensor::from_ints([0, 1, 2, 0], &device()));
        loss.backward();
    }

    #[test]
    fn inference_uses_what_was_written() {
        let plain = Device::default();
        let x = Tensor::random([2, 1, 8, 8], Distribution::Default, &plain);
        let output = |value| {
            let model = with_statistics(model(), &vec![value; 672]).unwrap();
            model.valid().forward(x.clone()).into_data().iter::<f32>().collect::<Vec<_>>()
        };
        // Small ones, with which some units are above zero.
        assert_eq!(output(0.01), output(0.01));
        assert_ne!(output(0.01), output(0.02));
    }

    #[test]
    fn a_model_without_normalisation_has_none() {
        let model = ModelKind::ConvNet.build([1, 8, 8], 3, 5, &device()).unwrap();
        assert!(statistics(&model).is_empty());
        assert!(with_statistics(model.clone(), &[]).is_ok());
        assert_eq!(with_statistics(model, &[1.0]).unwrap_err(), StatisticsError::Length { expected: 0, found: 1 });
    }

    #[test]
    fn averages_in_rank_order() {
        assert_eq!(average(&[vec![1.0, 2.0], vec![3.0, 2.0]]).unwrap(), [2.0, 2.0]);
        assert_eq!(average(&vec![vec![0.1]; 7]).unwrap(), [0.1]);
        assert_eq!(average(&[]).unwrap_err(), StatisticsError::NoWorkers);
        assert!(matches!(average(&[vec![1.0], vec![]]), Err(StatisticsError::Worker { worker: 1, .. })));
    }
}
