//! A compressor of one's own under error feedback: of every block the largest coordinate. Nothing else in the program
//! knows that it is not one of the library's: rounds, bytes, snapshots, two processes or one.
//!
//! ```text
//! cargo run --example own_compressor
//! ```

use std::fmt;
use std::sync::Arc;

use backburn::compressors::{Class, Compressor, Feedback, Memo, Source};
use backburn::layout::Unit;
use backburn::payload::{Payload, Sparse, Values};
use backburn::prelude::*;
use backburn::random::Key;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};

/// Of every so many coordinates the largest: of each block at least one part in so many of ‖x‖² is kept.
#[derive(Debug)]
struct LargestOfBlocks(usize);

impl fmt::Display for LargestOfBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "largest-of-blocks:{}", self.0)
    }
}

impl Compressor for LargestOfBlocks {
    fn class(&self, _: &Unit) -> Class {
        Class::Contractive(1.0 / self.0 as f64)
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        let x = source.settle();
        let largest = |(block, x): (usize, &[f32])| {
            let (place, x) = x.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
            Some(((block * self.0 + place) as u32, *x))
        };
        let (indices, values) = x.chunks(self.0).enumerate().filter_map(largest).unzip();
        Sparse { len: x.len(), indices, values: Values::F32(values) }.into()
    }
}

fn loss(model: &Linear, device: &Device) -> Tensor<1> {
    let x = Tensor::<2>::random([32, 64], Distribution::Normal(0.0, 1.0), device);
    let y = x.clone().slice([0..32, 0..16]) * 2.0 - 1.0;
    MseLoss::new().forward(model.forward(x), y, Reduction::Mean)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = backburn::device("auto")?.autodiff();
    device.seed(1);
    let mut model = LinearConfig::new(64, 16).init(&device);
    // Feedback asks for a contraction, and refuses a compressor that promises none.
    let compressor = Feedback::checked(Arc::new(LargestOfBlocks(8)))?;
    let mut group = GroupConfig::new(EfSgd::new(), compressor).with_workers(4).init(&model)?;

    let (mut sent, mut losses) = (0.0, Vec::new());
    for _step in 0..400 {
        let mut grads = Vec::new();
        for _worker in 0..4 {
            let loss = loss(&model, &device);
            losses.push(loss.clone().into_scalar::<f32>());
            grads.push(GradientsParams::from_grads(loss.backward(), &model));
        }
        let round = group.round(0.1, &model, grads)?;
        sent += round.traffic().per_worker().up;
        model = round.apply(model);
    }

    let dense = (400 * 4 * group.layout().len()) as f64;
    println!("loss {:.3} to {:.5} with {:.1} times fewer bytes", losses[0], losses[losses.len() - 1], dense / sent);
    assert!(losses[losses.len() - 1] < losses[0] / 1000.0, "what was left out has come later");
    assert!(dense / sent > 6.0, "one coordinate of eight, and its place");
    Ok(())
}
