//! Any of the classifiers.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::tensor::{Int, Tensor};

use super::convnet::ConvNet;
use super::gpt::Gpt;
use super::mlp::Mlp;
use super::resnet::ResNet;
use super::softmax::Softmax;
use super::vgg::Vgg;

/// A model that tells classes apart. [`ModelKind`](super::ModelKind) builds one.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // One a run: moving it costs nothing that counts.
pub enum Classifier {
    /// A small convolutional network.
    ConvNet(ConvNet),
    /// A residual network.
    ResNet(ResNet),
    /// VGG-19-BN.
    Vgg(Vgg),
    /// Softmax regression.
    Softmax(Softmax),
    /// A wide multilayer perceptron.
    Mlp(Mlp),
    /// A language model on bytes, whose classes are the tokens: a window is an image of one line, and has as many
    /// targets as tokens.
    Gpt(Gpt),
}

impl Classifier {
    /// `[n, channels, height, width]` → `[n, classes]`, logits; of windows of text `[n · tokens, classes]`.
    ///
    /// # Panics
    /// Where the images have another shape than the model was built for.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::ConvNet(model) => model.forward(images),
            Self::ResNet(model) => model.forward(images),
            Self::Vgg(model) => model.forward(images),
            Self::Softmax(model) => model.forward(images),
            Self::Mlp(model) => model.forward(images),
            // Bytes are whole numbers as floats too.
            Self::Gpt(model) => model.forward(images.flatten::<2>(1, 3).int()).flatten(0, 1),
        }
    }

    /// Targets that an example of this shape has: tokens of a window, one of anything else.
    pub fn targets_each(&self, [_, _, width]: [usize; 3]) -> usize {
        if matches!(self, Self::Gpt(_)) { width } else { 1 }
    }

    /// The mean cross entropy, in nats; shape `[1]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn loss(&self, images: Tensor<4>, targets: Tensor<1, Int>) -> Tensor<1> {
        let logits = self.forward(images);
        CrossEntropyLoss::new(None, &logits.device()).forward(logits, targets)
    }
}
