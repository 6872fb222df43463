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

use ::burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use ::burn::tensor::{Tensor, TensorData};
use backburn_compress::Payload;

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
pub fn is_statistic(name: &str) -> bool {
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

/// The bytes of a message with so many statistics, which are sent as they are; none where there are none.
pub fn message_bytes(len: usize) -> f64 {
    if len == 0 {
        return 0.0;
    }
    backburn_compress::message_bytes(&Payload::floats(vec![0.0; len]).into()) as f64
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
