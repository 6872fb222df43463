//! VGG-19 with batch normalisation for images of 32 × 32 (Simonyan, Zisserman: *Very deep
//! convolutional networks for large-scale image recognition*, 2015; configuration E with one linear
//! layer, as is customary for CIFAR).
//!
//! Convolutions keep their biases, though normalisation makes them idle: so does the model with which
//! the papers' experiments were made, and compressors see them.

use burn::module::Module;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::layers::{ConvNorm, pool};

/// Channels and number of convolutions between one pooling and the next.
const STAGES: [(usize, usize); 5] = [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)];

/// Sides below this leave no pixel after the five poolings.
pub const MIN_SIDE: usize = 1 << STAGES.len();

/// VGG-19-BN.
#[derive(Module, Debug)]
pub struct Vgg {
    stages: Vec<Vec<ConvNorm>>,
    pool: MaxPool2d,
    head: Linear,
}

impl Vgg {
    /// A network for images of at least 32 × 32.
    pub fn new(channels: usize, classes: usize, device: &Device) -> Self {
        let mut width = channels;
        let stage = |(out, count)| {
            let layer = |_| ConvNorm::new([std::mem::replace(&mut width, out), out], 3, 1, true, device);
            (0..count).map(layer).collect()
        };
        Self {
            stages: STAGES.into_iter().map(stage).collect(),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            head: LinearConfig::new(512, classes).init(device),
        }
    }

    /// Floats that a forward pass leaves of one image for the backward pass: of every layer what convolution,
    /// normalisation and rectifier give.
    pub fn activations([channels, height, width]: [usize; 3], classes: usize) -> usize {
        let stage = |(i, (out, count)): (usize, (usize, usize))| 3 * out * count * (height >> i) * (width >> i);
        channels * height * width + STAGES.into_iter().enumerate().map(stage).sum::<usize>() + classes
    }

    /// `[n, channels, height, width]` → `[n, classes]`, logits.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let stage =
            |x, layers: &Vec<ConvNorm>| self.pool.forward(layers.iter().fold(x, |x, layer| relu(layer.forward(x))));
        self.head.forward(pool(self.stages.iter().fold(images, stage)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Size, size};

    #[test]
    fn size_and_shape() {
        let device = Device::default();
        let model = Vgg::new(3, 10, &device);
        assert_eq!(size(&model), Size { tensors: 66, parameters: 20_040_522 });
        assert_eq!(model.forward(Tensor::zeros([1, 3, 32, 32], &device)).dims(), [1, 10]);
    }
}
