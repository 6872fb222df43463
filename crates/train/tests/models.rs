//! The whole way: the embedded slice, a worker's batches, a model, Burn's optimizer.

use backburn_train::data::{self, Examples, Options, Sampler};
use backburn_train::models::{ModelKind, evaluate};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Device;

#[test]
fn the_small_network_learns_the_slice() {
    let split = data::load("fashion-embedded", &Options::default()).unwrap();
    let test = Examples::from(split.test);
    let device = Device::default().autodiff();
    let mut model = ModelKind::ConvNet.build(split.train.shape(), split.train.classes(), 1, &device).unwrap();
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut sampler = Sampler::new((0..split.train.len()).collect(), 32, 1, 0).unwrap();
    let before = evaluate(&model, &test, &Device::default());
    for _ in 0..200 {
        let draw = sampler.next_draw();
        let batch = split.train.batch(&draw.indices, None, &device);
        let loss = model.loss(batch.images, batch.targets);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.05, model, gradients);
    }
    let after = evaluate(&model, &test, &Device::default());
    assert!(before.accuracy < 0.3 && (before.loss - 10f64.ln()).abs() < 0.3, "{before:?}");
    assert!(after.accuracy > 0.7 && after.loss < 1.0, "{after:?}");
    assert_eq!(after.examples, 500);
}
