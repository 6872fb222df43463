//! Residual networks for small images (He, Zhang, Ren, Sun: *Deep residual learning for image
//! recognition*, 2016).
//!
//! All have a 3 × 3 stem with no pooling and two-layer blocks; where a block changes the shape its
//! shortcut is a 1 × 1 convolution with batch normalisation (the paper's option B, also for ResNet-8
//! and -20, which it built with option A).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::layers::{ConvNorm, pool};

/// Channels and number of blocks of each stage; all stages but the first halve the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Channels of each stage.
    pub widths: &'static [usize],
    /// Blocks of each stage.
    pub blocks: &'static [usize],
}

/// Three stages of 16, 32 and 64 channels, one block each: 78 thousand parameters.
pub const RESNET8: Plan = Plan { widths: &[16, 32, 64], blocks: &[1, 1, 1] };
/// Three stages of 16, 32 and 64 channels, three blocks each: 0.27 million parameters.
pub const RESNET20: Plan = Plan { widths: &[16, 32, 64], blocks: &[3, 3, 3] };
/// Four stages of 64 to 512 channels, two blocks each: 11.2 million parameters.
pub const RESNET18: Plan = Plan { widths: &[64, 128, 256, 512], blocks: &[2, 2, 2, 2] };
/// Four stages of 64 to 512 channels, 3, 4, 6 and 3 blocks: 21.3 million parameters.
pub const RESNET34: Plan = Plan { widths: &[64, 128, 256, 512], blocks: &[3, 4, 6, 3] };

impl Plan {
    /// Floats that a forward pass leaves of one image for the backward pass: of every layer what convolution,
    /// normalisation and rectifier give.
    pub fn activations(self, [channels, height, width]: [usize; 3], classes: usize) -> usize {
        let (mut sum, mut side) = (channels * height * width, [height, width]);
        for (stage, (out, count)) in self.widths.iter().zip(self.blocks).enumerate() {
            if stage > 0 {
                side = side.map(|side| side.div_ceil(2));
            }
            let layers = 2 * count + 1; // the stem, or a shortcut
            sum += 3 * out * side[0] * side[1] * layers;
        }
        sum + classes
    }
}

/// Two convolutions and a shortcut around them.
#[derive(Module, Debug)]
pub struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl Block {
    fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        let [_, out] = channels;
        let reshapes = stride != 1 || channels[0] != out;
        Self {
            first: ConvNorm::new(channels, 3, stride, false, device),
            second: ConvNorm::new([out, out], 3, 1, false, device),
            shortcut: reshapes.then(|| ConvNorm::new(channels, 1, stride, false, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = self.second.forward(relu(self.first.forward(x.clone())));
        let around = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        relu(inner + around)
    }
}

/// A residual network.
#[derive(Module, Debug)]
pub struct ResNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
    head: Linear,
}

impl ResNet {
    /// A network after `plan`; an empty plan is a stem of 16 channels and a head.
    pub fn new(plan: Plan, channels: usize, classes: usize, device: &Device) -> Self {
        let mut width = plan.widths.first().copied().unwrap_or(16);
        let stem = ConvNorm::new([channels, width], 3, 1, false, device);
        let mut blocks = Vec::new();
        for (stage, (out, count)) in plan.widths.iter().zip(plan.blocks).enumerate() {
            for block in 0..*count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                blocks.push(Block::new([width, *out], stride, device));
                width = *out;
            }
        }
        Self { stem, blocks, head: LinearConfig::new(width, classes).init(device) }
    }

    /// `[n, channels, height, width]` → `[n, classes]`, logits.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let stem = relu(self.stem.forward(images));
        self.head.forward(pool(self.blocks.iter().fold(stem, |x, block| block.forward(x))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Size, size};

    fn network(plan: Plan, classes: usize) -> ResNet {
        ResNet::new(plan, 3, classes, &Device::default())
    }

    #[test]
    fn sizes_are_the_published_ones() {
        assert_eq!(size(&network(RESNET8, 10)), Size { tensors: 29, parameters: 78_042 });
        assert_eq!(size(&network(RESNET20, 10)), Size { tensors: 65, parameters: 272_474 });
        assert_eq!(size(&network(RESNET18, 10)), Size { tensors: 62, parameters: 11_173_962 });
        assert_eq!(size(&network(RESNET18, 100)).parameters, 11_220_132);
        assert_eq!(size(&network(RESNET34, 10)), Size { tensors: 110, parameters: 21_282_122 });
    }

    #[test]
    fn shapes() {
        let device = Device::default();
        let images = Tensor::zeros([2, 3, 32, 32], &device);
        assert_eq!(network(RESNET8, 7).forward(images).dims(), [2, 7]);
    }
}
