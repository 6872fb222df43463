//! Softmax regression with a non-convex regulariser: the logistic experiments of EF21-SGDM
//! (Fatkhullin, Tyurin, Richtárik: *Momentum provably improves error feedback!*, 2023).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// Logits aᵀx_y: one vector x_y a class, and no bias, as in the paper.
#[derive(Module, Debug)]
pub struct Softmax {
    linear: Linear,
}

impl Softmax {
    /// A model of this many features.
    pub fn new(features: usize, classes: usize, device: &Device) -> Self {
        Self { linear: LinearConfig::new(features, classes).with_bias(false).init(device) }
    }

    /// `[n, channels, height, width]` → `[n, classes]`, logits.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.linear.forward(images.flatten(1, 3))
    }

    /// `[n, features]` → `[n, classes]`, logits.
    pub fn forward_rows(&self, rows: Tensor<2>) -> Tensor<2> {
        self.linear.forward(rows)
    }

    /// λ Σ_y Σ_k \[x_y\]_k² / (1 + \[x_y\]_k²), to be added to the mean cross entropy; shape `[1]`.
    pub fn regulariser(&self, lambda: f64) -> Tensor<1> {
        nonconvex(self.linear.weight.val(), lambda)
    }
}

/// λ Σ x² / (1 + x²) over all elements; shape `[1]`.
pub fn nonconvex<const D: usize>(x: Tensor<D>, lambda: f64) -> Tensor<1> {
    let squares = x.clone() * x;
    (squares.clone() / (squares + 1.0)).sum() * lambda
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Size, size};

    #[test]
    fn size_and_shape() {
        let device = Device::default();
        let model = Softmax::new(784, 10, &device);
        assert_eq!(size(&model), Size { tensors: 1, parameters: 7_840 });
        assert_eq!(model.forward(Tensor::zeros([2, 1, 28, 28], &device)).dims(), [2, 10]);
    }

    #[test]
    fn the_regulariser_and_its_gradient() {
        let device = Device::default().autodiff();
        let x = Tensor::<2>::from_floats([[1.0, -2.0], [0.0, 3.0]], &device).require_grad();
        let value = nonconvex(x.clone(), 0.1);
        let gradient = x.grad(&value.backward()).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert!((value.into_scalar::<f32>() - 0.1 * (0.5 + 0.8 + 0.9)).abs() < 1e-6);
        // 2x / (1 + x²)².
        for (found, x) in gradient.into_iter().zip([1.0f32, -2.0, 0.0, 3.0]) {
            assert!((found - 0.1 * 2.0 * x / (1.0 + x * x).powi(2)).abs() < 1e-6);
        }
    }
}
