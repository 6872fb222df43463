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
    /// Fraction of targets that have the largest logit: classes of examples, bytes that follow a text's.
    pub accuracy: f64,
    /// Number of examples.
    pub examples: usize,
}

impl Evaluation {
    /// e^loss: among how many equally likely tokens a language model is as undecided.
    pub fn perplexity(&self) -> f64 {
        self.loss.exp()
    }
}

/// How many rows have their largest logit at their target.
pub fn correct(logits: Tensor<2>, targets: Tensor<1, Int>) -> usize {
    let [n, _] = logits.dims();
    let hits = logits.argmax(1).reshape([n]).equal(targets).int().sum();
    usize::try_from(hits.into_scalar::<i64>()).unwrap_or(0)
}

/// Runs `model` as for inference, with running statistics, over all of `examples`; not-a-number on an
/// empty set. `device` has no autodiff.
pub fn evaluate(model: &Classifier, examples: &Examples, device: &Device) -> Evaluation {
    let model = model.valid();
    let indices: Vec<usize> = (0..examples.len()).collect();
    let (mut loss, mut hits, mut targets) = (0.0, 0, 0);
    for indices in indices.chunks(examples.a_pass()) {
        let batch = examples.batch(indices, None, device);
        let logits = model.forward(batch.images);
        hits += correct(logits.clone(), batch.targets.clone());
        targets += batch.targets.dims()[0];
        let mean = CrossEntropyLoss::new(None, device).forward(logits, batch.targets);
        loss += f64::from(mean.into_scalar::<f32>()) * indices.len() as f64;
    }
    let n = examples.len() as f64;
    Evaluation { loss: loss / n, accuracy: hits as f64 / targets as f64, examples: examples.len() }
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
