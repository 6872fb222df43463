//! The autoencoder of Avdiukhin and Yaroslavtsev, *Escaping saddle points with compressed SGD*
//! (2021), §4: three convolutions with ReLU, of 16 (3 × 3, stride 2, padding 1), 32 (the same) and 64
//! channels (7 × 7), and a symmetric decoder.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor};

use super::init::initialise;
use super::layers::conv;

/// Encodes images of 1 × 28 × 28 as 64 numbers, and decodes them.
///
/// The paper does not name the last activation or the loss: here they are the logistic function and
/// the mean squared error, on pixels in [0, 1]
/// ([`Normalisation::unit`](crate::data::Normalisation::unit)).
#[derive(Module, Debug)]
pub struct Autoencoder {
    encode1: Conv2d,
    encode2: Conv2d,
    encode3: Conv2d,
    decode3: ConvTranspose2d,
    decode2: ConvTranspose2d,
    decode1: ConvTranspose2d,
}

impl Autoencoder {
    /// A model drawn from `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        // Doubles the image: the transpose of kernel 3, stride 2, padding 1 on an even side.
        let double = |channels| {
            ConvTranspose2dConfig::new(channels, [3, 3])
                .with_stride([2, 2])
                .with_padding([1, 1])
                .with_padding_out([1, 1])
                .init(device)
        };
        let model = Self {
            encode1: conv([1, 16], 3, 2).init(device),
            encode2: conv([16, 32], 3, 2).init(device),
            encode3: Conv2dConfig::new([32, 64], [7, 7]).init(device),
            decode3: ConvTranspose2dConfig::new([64, 32], [7, 7]).init(device),
            decode2: double([32, 16]),
            decode1: double([16, 1]),
        };
        initialise(model, seed)
    }

    /// `[n, 1, 28, 28]` → `[n, 64, 1, 1]`.
    pub fn encode(&self, images: Tensor<4>) -> Tensor<4> {
        let x = relu(self.encode1.forward(images));
        let x = relu(self.encode2.forward(x));
        relu(self.encode3.forward(x))
    }

    /// `[n, 1, 28, 28]` → the same, in (0, 1).
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let x = relu(self.decode3.forward(self.encode(images)));
        let x = relu(self.decode2.forward(x));
        sigmoid(self.decode1.forward(x))
    }

    /// The mean over pixels and images of the squared error; shape `[1]`.
    pub fn loss(&self, images: Tensor<4>) -> Tensor<1> {
        let error = self.forward(images.clone()) - images;
        (error.clone() * error).mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Size, size};

    #[test]
    fn size_shape_and_first_loss() {
        let device = Device::default();
        let model = Autoencoder::new(1, &device);
        assert_eq!(size(&model), Size { tensors: 12, parameters: 210_369 });
        let images = Tensor::zeros([2, 1, 28, 28], &device);
        assert_eq!(model.encode(images.clone()).dims(), [2, 64, 1, 1]);
        assert_eq!(model.forward(images.clone()).dims(), [2, 1, 28, 28]);
        // Undecided outputs are near ½.
        let loss = model.loss(images).into_scalar::<f32>();
        assert!((loss - 0.25).abs() < 0.1, "{loss}");
    }
}
