//! A small convolutional network for experiments of minutes on a CPU.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::layers::conv;

const WIDTHS: [usize; 2] = [16, 32];
const HIDDEN: usize = 64;

/// Two convolutions, each of which halves the image, and two linear layers. No normalisation, so
/// nothing but gradients passes between workers. 106 thousand parameters for 28 × 28.
#[derive(Module, Debug)]
pub struct ConvNet {
    first: Conv2d,
    second: Conv2d,
    hidden: Linear,
    head: Linear,
}

impl ConvNet {
    /// A network for images of this shape (channels, height, width).
    pub fn new([channels, height, width]: [usize; 3], classes: usize, device: &Device) -> Self {
        let halved_twice = |side: usize| side.div_ceil(2).div_ceil(2);
        let [first, second] = WIDTHS;
        let features = second * halved_twice(height) * halved_twice(width);
        Self {
            first: conv([channels, first], 5, 2).init(device),
            second: conv([first, second], 3, 2).init(device),
            hidden: LinearConfig::new(features, HIDDEN).init(device),
            head: LinearConfig::new(HIDDEN, classes).init(device),
        }
    }

    /// Floats that a forward pass leaves of one image for the backward pass.
    pub fn activations([channels, height, width]: [usize; 3], classes: usize) -> usize {
        let halved = |side: usize| side.div_ceil(2);
        let (first, second) = (halved(height) * halved(width), halved(halved(height)) * halved(halved(width)));
        channels * height * width + 2 * (WIDTHS[0] * first + WIDTHS[1] * second + HIDDEN) + classes
    }

    /// `[n, channels, height, width]` → `[n, classes]`, logits.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.first.forward(images));
        let x = relu(self.second.forward(x));
        let x = relu(self.hidden.forward(x.flatten(1, 3)));
        self.head.forward(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Size, size};

    #[test]
    fn size_and_shapes() {
        let device = Device::default();
        for (shape, parameters) in [([1, 28, 28], 106_122), ([3, 32, 32], 137_642), ([1, 7, 9], 18_058)] {
            let model = ConvNet::new(shape, 10, &device);
            assert_eq!(size(&model), Size { tensors: 8, parameters });
            let [channels, height, width] = shape;
            assert_eq!(model.forward(Tensor::zeros([2, channels, height, width], &device)).dims(), [2, 10]);
        }
    }
}
