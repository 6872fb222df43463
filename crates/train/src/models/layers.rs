//! Pieces that several models share.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

/// A square convolution followed by batch normalisation.
#[derive(Module, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    /// From and to so many channels; `kernel` is odd, and padded so that only `stride` shrinks.
    pub(crate) fn new(channels: [usize; 2], kernel: usize, stride: usize, bias: bool, device: &Device) -> Self {
        Self {
            conv: conv(channels, kernel, stride).with_bias(bias).init(device),
            norm: BatchNormConfig::new(channels[1]).init(device),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

/// A square convolution with an odd kernel, padded so that only `stride` shrinks.
pub(crate) fn conv(channels: [usize; 2], kernel: usize, stride: usize) -> Conv2dConfig {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel; 2])
        .with_stride([stride; 2])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
}

/// `[n, c, h, w]` → `[n, c]`: the mean over positions.
pub(crate) fn pool(x: Tensor<4>) -> Tensor<2> {
    let [n, channels, height, width] = x.dims();
    x.reshape([n, channels, height * width]).mean_dim(2).reshape([n, channels])
}
