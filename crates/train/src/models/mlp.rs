//! A wide multilayer perceptron: many parameters for little computing, as slow links fear them.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// The width of the hidden layers.
const WIDTH: usize = 2048;

/// Two hidden layers of 2048 with ReLU: 5,824,522 parameters for 28 × 28 and ten classes.
#[derive(Module, Debug)]
pub struct Mlp {
    first: Linear,
    second: Linear,
    head: Linear,
}

impl Mlp {
    /// A network of this many features.
    pub fn new(features: usize, classes: usize, device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        Self { first: linear(features, WIDTH), second: linear(WIDTH, WIDTH), head: linear(WIDTH, classes) }
    }

    /// `[n, channels, height, width]` → `[n, classes]`, logits.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.first.forward(images.flatten(1, 3)));
        let x = relu(self.second.forward(x));
        self.head.forward(x)
    }

    /// Floats of one image kept for the backward pass: the input, both hidden layers before and after ReLU, the
    /// logits.
    pub fn activations(shape: [usize; 3], classes: usize) -> usize {
        shape.iter().product::<usize>() + 4 * WIDTH + classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Size, size};

    #[test]
    fn size_and_shape() {
        let device = Device::default();
        let model = Mlp::new(784, 10, &device);
        assert_eq!(size(&model), Size { tensors: 6, parameters: 5_824_522 });
        assert_eq!(model.forward(Tensor::zeros([2, 1, 28, 28], &device)).dims(), [2, 10]);
    }
}
