//! What a batch takes on this machine.

use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::classifier::Classifier;

/// Seconds of a forward and a backward pass over a batch of images of this shape (channels, height, width): the
/// median of what fits into `budget` seconds, after two to warm up where there is time for that. `device` has autodiff.
pub fn batch_seconds(model: &Classifier, shape: [usize; 3], batch: usize, budget: f64, device: &Device) -> f64 {
    let batch = batch.max(1);
    let dims = [batch, shape[0], shape[1], shape[2]];
    // A text's bytes are whole numbers, which are taken as they are.
    let text = matches!(model, Classifier::Gpt(_));
    let value = |i: usize| if text { (i % 251) as f32 } else { (i % 251) as f32 / 125.0 - 1.0 };
    let pixels = (0..dims.iter().product()).map(value).collect::<Vec<_>>();
    let targets = batch * model.targets_each(shape);
    let images = Tensor::<4>::from_data(TensorData::new(pixels, dims), device);
    let targets = Tensor::<1, Int>::from_data(TensorData::new(vec![0i64; targets], [targets]), device);
    let once = || {
        let started = Instant::now();
        let loss = model.loss(images.clone(), targets.clone());
        let gradients = GradientsParams::from_grads(loss.clone().backward(), model);
        // A device that works ahead is waited for.
        let _ = (loss.into_scalar::<f32>(), gradients.len(), device.sync());
        started.elapsed().as_secs_f64()
    };
    let started = Instant::now();
    let first = once();
    if 3.0 * first > budget {
        return first;
    }
    once();
    let mut all = vec![once()];
    while started.elapsed().as_secs_f64() < budget && all.len() < 1000 {
        all.push(once());
    }
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
