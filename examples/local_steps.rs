//! Four workers that take ten steps of AdamW by themselves, send where they have come to, and go on from the common
//! model: SparseLoCo, two bits a kept value.
//!
//! ```text
//! cargo run --example local_steps
//! ```

use backburn::burn::LocalSteps;
use backburn::compressors::{Coding, TiledTopK};
use backburn::methods::{OuterSgd, Preset};
use backburn::prelude::*;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};

const WORKERS: usize = 4;
const LOCAL: u64 = 10;
const STEPS: u64 = 600;

fn loss(model: &Linear, device: &Device) -> Tensor<1> {
    let x = Tensor::<2>::random([32, 64], Distribution::Normal(0.0, 1.0), device);
    let y = x.clone().slice([0..32, 0..16]) * 2.0 - 1.0;
    MseLoss::new().forward(model.forward(x), y, Reduction::Mean)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = backburn::device("auto")?.autodiff();
    device.seed(1);
    let model = LinearConfig::new(64, 16).init(&device);
    let compressor = TiledTopK::new(512, 64)?.with_values(Coding::TwoBit); // an eighth of every tile
    let outer = OuterSgd::preset(Preset::SparseLoCo);
    let group = GroupConfig::new(outer, compressor).with_workers(WORKERS).with_seed(1).init(&model)?;
    let dense = (STEPS * 4 * group.layout().len() as u64) as f64;

    // Every worker gets an AdamW of its own, whose moments never leave it.
    let adamw = AdamWConfig::new().with_weight_decay(0.0).init();
    let mut workers = LocalSteps::new(group, model, adamw, LOCAL)?;
    let (mut sent, mut rounds, mut losses) = (0.0, 0, Vec::new());
    for _step in 0..STEPS {
        // The first step size is AdamW's, the second that of the rounds.
        let round = workers.step(0.01, 1.0, |_worker, replica| {
            let loss = loss(replica, &device);
            losses.push(loss.clone().into_scalar::<f32>());
            GradientsParams::from_grads(loss.backward(), replica)
        })?;
        if let Some(traffic) = round {
            sent += traffic.per_worker().up;
            rounds += 1;
        }
    }

    let [first, last] = [&losses[..WORKERS], &losses[losses.len() - WORKERS..]].map(|l| l.iter().sum::<f32>());
    println!(
        "loss {first:.3} to {last:.3} in {rounds} rounds; {:.0} times fewer bytes than dense gradients",
        dense / sent
    );
    assert_eq!(rounds, STEPS / LOCAL);
    assert!(last < first / 20.0, "they have learnt together");
    assert!(dense / sent > 200.0, "a round in ten steps, an eighth of the coordinates, two bits a value");

    // A snapshot holds replicas and moments, so that a run goes on from between two rounds too.
    let saved = workers.snapshot()?;
    workers.restore(&saved)?;
    Ok(())
}
