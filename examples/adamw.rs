//! Burn's AdamW on what four workers sent. A method that leaves the step open gives its decoded mean as gradients,
//! and any Burn optimizer takes them from there.
//!
//! ```text
//! cargo run --example adamw
//! ```

use backburn::prelude::*;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};

const WORKERS: usize = 4;
const STEPS: usize = 300;

fn loss(model: &Linear, device: &Device) -> Tensor<1> {
    let x = Tensor::<2>::random([32, 64], Distribution::Normal(0.0, 1.0), device);
    let y = x.clone().slice([0..32, 0..16]) * 2.0 - 1.0;
    MseLoss::new().forward(model.forward(x), y, Reduction::Mean)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = backburn::device("auto")?.autodiff();
    device.seed(1);
    let mut model = LinearConfig::new(64, 16).init(&device);
    // Inside its error EF-SGD would hold its own step size; outside, the sum of what is sent is that of the gradients.
    let method = EfSgd::new().with_step_outside();
    let mut group = GroupConfig::new(method, TopK::ratio(0.05)?).with_workers(WORKERS).with_seed(1).init(&model)?;
    let mut adamw = AdamWConfig::new().with_weight_decay(0.0).init();

    let (mut sent, mut losses) = (0.0, Vec::new());
    for _step in 0..STEPS {
        let mut grads = Vec::new();
        for _worker in 0..WORKERS {
            let loss = loss(&model, &device);
            losses.push(loss.clone().into_scalar::<f32>());
            grads.push(GradientsParams::from_grads(loss.backward(), &model));
        }
        // Here lr only rescales what workers still owe when it changes. AdamW normalises its gradients, so what is
        // owed stays a gradient: 1 throughout. The step size is AdamW's own, schedule and all.
        let round = group.round(1.0, &model, grads)?;
        sent += round.traffic().per_worker().up;
        model = adamw.step(0.02, model, round.direction()?);
    }

    let dense = (STEPS * 4 * group.layout().len()) as f64;
    let [first, last] = [&losses[..WORKERS], &losses[losses.len() - WORKERS..]].map(|l| l.iter().sum::<f32>());
    println!("loss {first:.3} to {last:.3}; {:.0} times fewer bytes than dense gradients", dense / sent);
    assert!(last < first / 20.0, "it has learnt");
    assert!(dense / sent > 12.0, "a twentieth of the coordinates, places included");

    // A method that owns its step has no direction to give, and says so.
    let mut inside = GroupConfig::new(EfSgd::new(), TopK::ratio(0.05)?).with_seed(1).init(&model)?;
    let grads = GradientsParams::from_grads(loss(&model, &device).backward(), &model);
    println!("{}", inside.round(0.1, &model, vec![grads])?.direction().unwrap_err());
    Ok(())
}
