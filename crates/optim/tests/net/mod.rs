//! Two layers that all tests of groups train, on the CPU.

use backburn_compress::Identity;
use backburn_optim::{GroupConfig, Sgd, device};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

/// Six numbers to five to three.
#[derive(Module, Debug)]
pub struct Net {
    pub first: Linear,
    pub second: Linear,
}

pub fn net(device: &Device) -> Net {
    let net = Net { first: LinearConfig::new(6, 5).init(device), second: LinearConfig::new(5, 3).init(device) };
    let probe = GroupConfig::new(Sgd::default(), Identity).init(&net).unwrap();
    let x: Vec<f32> = (0..probe.layout().len()).map(|i| (i as f32 * 0.37).sin()).collect();
    probe.with_parameters(net, &x).unwrap()
}

pub fn cpu() -> Device {
    device("auto").unwrap().autodiff()
}

pub fn grads(net: &Net, worker: usize, step: usize) -> GradientsParams {
    let device = net.first.weight.val().device();
    let values: Vec<f32> = (0..24).map(|i| (i as f32 + 10.0 * worker as f32 + step as f32).cos()).collect();
    let x = Tensor::<1>::from_data(TensorData::new(values, [24]), &device).reshape([4, 6]);
    let out = net.second.forward(net.first.forward(x).tanh());
    GradientsParams::from_grads(out.powi_scalar(2).mean().backward(), net)
}
