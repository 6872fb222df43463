//! A classifier under burn-train's `Learner`.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};

use super::Classifier;
use crate::data::ImageBatch;

/// A [`Classifier`] with the steps that burn-train asks of a model: the mean cross entropy of a batch.
#[derive(Module, Debug)]
pub struct LearnerNet {
    /// The model itself.
    pub classifier: Classifier,
}

impl LearnerNet {
    fn output(&self, batch: ImageBatch) -> ClassificationOutput {
        let logits = self.classifier.forward(batch.images);
        let loss = CrossEntropyLoss::new(None, &logits.device()).forward(logits.clone(), batch.targets.clone());
        ClassificationOutput::new(loss, logits, batch.targets)
    }
}

impl TrainStep for LearnerNet {
    type Input = ImageBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ImageBatch) -> TrainOutput<ClassificationOutput> {
        let output = self.output(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for LearnerNet {
    type Input = ImageBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ImageBatch) -> ClassificationOutput {
        self.output(batch)
    }
}
