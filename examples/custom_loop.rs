//! A loop of one's own: four workers on one machine, in the fewest lines. Nothing here needs the
//! training crate.
//!
//! ```text
//! cargo run --example custom_loop
//! ```

use backburn::{EfSgd, Group, TopK};
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = backburn::device("auto")?.autodiff();
    device.seed(1);
    let mut model = Mlp::new(&device);
    let mut group = Group::new(EfSgd::new(0.9, 0.0)?, TopK::ratio(0.05)?).workers(4).seed(1).init(&model)?;
    let (mut sent, mut loss) = (0.0, 0.0);
    for step in 0..300 {
        let mut grads = Vec::new();
        for _worker in 0..4 {
            let x = Tensor::random([32, 16], Distribution::Normal(0.0, 1.0), &device);
            let y = x.clone().slice([0..32, 0..4]).tanh();
            let batch_loss = model.loss((x, y));
            loss = batch_loss.clone().into_scalar::<f32>();
            grads.push(GradientsParams::from_grads(batch_loss.backward(), &model));
        }
        let round = group.round(0.02, &model, grads)?;
        sent += round.traffic().up_per_worker();
        model = round.apply(model);
        if step % 100 == 99 {
            println!("step {:3}: loss {loss:.4}, {:.1} kB sent a worker", step + 1, sent / 1e3);
        }
    }
    let dense = 300.0 * 4.0 * group.layout().len() as f64;
    println!("{:.1} kB instead of {:.1} kB: {:.0} times less", sent / 1e3, dense / 1e3, dense / sent);
    Ok(())
}
