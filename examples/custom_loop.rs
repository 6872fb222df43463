//! A loop of one's own: four workers in this process, each with its own batch, send a twentieth of their gradients.
//!
//! ```text
//! cargo run --example custom_loop
//! ```

use backburn::prelude::*;
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};

const WORKERS: usize = 4;
const STEPS: usize = 300;

#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    second: Linear,
    relu: Relu,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        let [first, second] = [(16, 64), (64, 4)].map(|(from, to)| LinearConfig::new(from, to).init(device));
        Self { first, second, relu: Relu::new() }
    }

    fn loss(&self, (x, y): (Tensor<2>, Tensor<2>)) -> Tensor<1> {
        let predicted = self.second.forward(self.relu.forward(self.first.forward(x)));
        MseLoss::new().forward(predicted, y, Reduction::Mean)
    }
}

/// tanh of the first four of sixteen numbers.
fn batch(device: &Device) -> (Tensor<2>, Tensor<2>) {
    let x = Tensor::random([32, 16], Distribution::Normal(0.0, 1.0), device);
    (x.clone(), x.slice([0..32, 0..4]).tanh())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = backburn::device("auto")?.autodiff();
    device.seed(1);
    let mut model = Mlp::new(&device);
    let method = EfSgd::new().with_momentum(0.9)?;
    let mut group = GroupConfig::new(method, TopK::ratio(0.05)?).with_workers(WORKERS).with_seed(1).init(&model)?;

    let (mut sent, mut losses) = (0.0, Vec::new());
    for step in 1..=STEPS {
        let mut grads = Vec::new();
        for _worker in 0..WORKERS {
            let loss = model.loss(batch(&device));
            losses.push(loss.clone().into_scalar::<f32>());
            grads.push(GradientsParams::from_grads(loss.backward(), &model));
        }
        let round = group.round(0.02, &model, grads)?; // on an error nothing has moved
        sent += round.traffic().per_worker().up;
        model = round.apply(model);
        if step % 100 == 0 {
            println!("step {step:3}: loss {:.4}, {:.1} kB sent a worker", losses[losses.len() - 1], sent / 1e3);
        }
    }

    let dense = (STEPS * 4 * group.layout().len()) as f64;
    println!("{:.1} kB instead of {:.1} kB: {:.0} times less", sent / 1e3, dense / 1e3, dense / sent);
    assert!(dense / sent > 10.0, "a twentieth of the coordinates, places included");
    assert!(losses[losses.len() - 1] < losses[0] / 5.0, "it has learnt");
    Ok(())
}
