//! Law 13: whose draws are alike, and whose are not.

use backburn_compress::Layout;
use backburn_optim::{Ask, Cluster, Move, Reply};

use crate::world::*;

const D: usize = 2000;

/// One step of γ = 1 from 0, the gradient g at all workers: the vector by which x moved.
fn step(method: &str, compressor: &str, n: usize, seed: u64, g: &[f32]) -> Vector {
    let layout = Layout::flat(g.len()).unwrap();
    let mut x = backburn_compress::Vector::zeros(g.len());
    let mut cluster =
        Cluster::new(method.parse().unwrap(), compressor.parse().unwrap(), layout, n, seed, x.as_slice()).unwrap();
    let mut host = |_: usize, _: &Ask| Ok(Reply::gradient(g.to_vec()));
    let decided = cluster.round(1.0, &x, &mut host).unwrap();
    assert!(!matches!(decided.moved, Move::Own));
    decided.apply(&mut x);
    x.as_slice().iter().map(|x| -f64::from(*x)).collect()
}

fn square(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum()
}

fn gradient() -> Vec<f32> {
    let mut random = backburn_compress::Philox::new(3);
    (0..D).map(|_| random.normal()).collect()
}

#[test]
fn law_13_quantisation_draws_differ_between_workers() {
    let g = gradient();
    for compressor in ["qsgd:s=4", "terngrad", "natural"] {
        let error = |n| {
            let runs = (0..8).map(|seed| step("compressed-sgd", compressor, n, seed, &g));
            runs.map(|q| square(q.iter().zip(&g).map(|(q, g)| q - f64::from(*g)))).sum::<f64>()
        };
        let ratio = error(1) / error(16);
        // Each error is a sum over 16,000 coordinates and more: it scatters by a few per cent.
        assert!((ratio / 16.0 - 1.0).abs() < 0.25, "{compressor}: the mean over 16 errs {ratio} times less");
    }
}

#[test]
fn law_13_masks_and_noise_are_the_same_for_all_workers() {
    let g = gradient();
    for seed in 0..5 {
        // k coordinates of one mask, not the union of sixteen.
        let sent = step("compressed-sgd", "randk:k=100", 16, seed, &g).iter().filter(|x| **x != 0.0).count();
        assert_eq!(sent, 100);
        // ξ ~ N(0, r²): independent draws would leave r²/16. Its mean square scatters by √(2/d), 3 per cent.
        let xi = step("perturbed:r=0.1", "identity", 16, seed, &vec![0.0; D]);
        let mean = square(xi.iter().copied()) / D as f64;
        assert!((mean / 0.01 - 1.0).abs() < 0.16, "{mean}");
    }
    // Another seed, another draw; another step, another draw.
    assert_ne!(step("perturbed:r=0.1", "identity", 2, 1, &g), step("perturbed:r=0.1", "identity", 2, 2, &g));
}

#[test]
fn law_13_a_servers_draws_differ_from_its_workers() {
    let g = gradient();
    for (n, seed) in [(1, 0), (1, 1), (4, 2)] {
        // The server's mask meets the workers' by chance alone: 10 per cent of 200, scattering by 4.
        let sent = step("ef-sgd-bidirectional", "randk:0.1", n, seed, &g).iter().filter(|x| **x != 0.0).count();
        assert!((4..=40).contains(&sent), "{sent} of 200");
    }
}
