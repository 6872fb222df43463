//! Loss and accuracy on a whole set.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::tensor::{Device, Int, Tensor};

use super::classifier::Classifier;
use crate::data::Examples;

/// How good a model is on a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean cross entropy, in nats.
    pub loss: f64,
    /// Fraction of examples whose class has the largest logit.
    pub accuracy: f64,
    /// Number of examples.
    pub examples: usize,
}

/// How many rows have their largest logit at their target.
pub fn correct(logits: Tensor<2>, targets: Tensor<1, Int>) -> usize {
    let [n, _] = logits.dims();
    let hits = logits.argmax(1).reshape([n]).equal(targets).int().sum();
    usize::try_from(hits.into_scalar::<i64>()).unwrap_or(0)
}

/// Runs `model` as for inference, with running statistics, over all of `examples`; not-a-number on an
/// empty set. `device` has no autodiff, `batch` is taken as at least 1.
pub fn evaluate(model: &Classifier, examples: &Examples, batch: usize, device: &Device) -> Evaluation {
    let model = model.valid();
    let indices: Vec<usize> = (0..examples.len()).collect();
    let (mut loss, mut hits) = (0.0, 0);
    for indices in indices.chunks(batch.max(1)) {
        let batch = examples.batch(indices, None, device);
        let logits = model.forward(batch.images);
        hits += correct(logits.clone(), batch.targets.clone());
        let mean = CrossEntropyLoss::new(None, device).forward(logits, batch.targets);
        loss += f64::from(mean.into_scalar::<f32>()) * indices.len() as f64;
    }
    let n = examples.len() as f64;
    Evaluation { loss: loss / n, accuracy: hits as f64 / n, examples: examples.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_hits() {
        let device = Device::default();
        let logits = Tensor::from_floats([[0.1, 0.9], [2.0, -1.0], [0.0, 3.0]], &device);
        let targets = Tensor::from_ints([1, 1, 1], &device);
        assert_eq!(correct(logits, targets), 2);
    }
}
