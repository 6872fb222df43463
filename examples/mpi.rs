//! The loop of `custom_loop` in as many processes as `mpirun` starts, one worker each: one line more.
//!
//! ```text
//! cargo build --features mpi --example mpi && mpirun -n 4 target/debug/examples/mpi
//! ```

use backburn::host::Transport;
use backburn::mpi::Mpi;
use backburn::prelude::*;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};

const STEPS: usize = 200;

/// This rank's own batch: the sums of four neighbours each, of sixteen numbers.
fn loss(model: &Linear, device: &Device) -> Tensor<1> {
    let x = Tensor::<2>::random([32, 16], Distribution::Normal(0.0, 1.0), device);
    let y = x.clone().reshape([32, 4, 4]).sum_dim(2).reshape([32, 4]);
    MseLoss::new().forward(model.forward(x), y, Reduction::Mean)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut mpi = Mpi::world()?; // the line more; and below, `init_over` instead of `init`
    let device = backburn::device("auto")?.autodiff();
    device.seed(1);
    let mut model = LinearConfig::new(16, 4).init(&device); // the same in all ranks: the group compares
    let method = EfSgd::new().with_momentum(0.9)?;
    let mut group = GroupConfig::new(method, TopK::ratio(0.05)?).with_seed(1).init_over(mpi.clone(), &model)?;
    device.seed(2 + mpi.rank() as u64); // and the batches are each rank's own

    let mut sent = 0.0;
    let first = loss(&model, &device).into_scalar::<f32>();
    for _ in 0..STEPS {
        let grads = GradientsParams::from_grads(loss(&model, &device).backward(), &model);
        let round = group.round(0.02, &model, vec![grads])?; // on an error nothing has moved, in any rank
        sent += round.traffic().per_worker().up;
        model = round.apply(model);
    }
    let last = loss(&model, &device).into_scalar::<f32>();
    assert!(last < first / 10.0, "it has learnt: {first} became {last}");
    let x: Vec<u8> = group.parameters(&model)?.iter().flat_map(|x| x.to_le_bytes()).collect();
    let all: Vec<usize> = (0..mpi.size()).collect();
    assert!(mpi.exchange(&x, &all)?.iter().all(|theirs| *theirs == x), "the model is the same in all ranks");
    if mpi.rank() == 0 {
        let dense = (STEPS * 4 * group.layout().len()) as f64;
        println!("{} ranks: loss {first:.3} → {last:.4}, {:.0} times fewer bytes", group.workers(), dense / sent);
    }
    Ok(())
}
