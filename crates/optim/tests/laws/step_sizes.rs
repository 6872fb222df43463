//! What a step size that changes, or is next to nothing, does to what is kept in its units.

use backburn_optim::{Ask, Cluster, Move, Reply};

use crate::world::*;

/// One worker on R², top-1: x after these step sizes, the gradient being (1, 0.9) in the first of them alone.
fn after(method: &str, lrs: &[f64]) -> Vec<f32> {
    let layout = backburn_compress::Layout::flat(2).unwrap();
    let mut x = backburn_compress::Vector::zeros(2);
    let mut cluster =
        Cluster::new(method.parse().unwrap(), "topk:k=1".parse().unwrap(), layout, 1, 0, x.as_slice()).unwrap();
    for (t, lr) in lrs.iter().enumerate() {
        let g = if t == 0 { vec![1.0, 0.9] } else { vec![0.0; 2] };
        let mut host = |_: usize, _: &Ask| Ok(Reply::gradient(g.clone()));
        cluster.round(*lr, &x, &mut host).unwrap().apply(&mut x);
    }
    x.into_vec()
}

/// Pins that no clamp loses what is owed.
#[test]
fn a_step_size_next_to_nothing_loses_nothing() {
    for method in ["ef-sgd", "ef-sgd:outside", "dgc:momentum=0", "perturbed:r=0", "ecx:alpha=1"] {
        for tiny in [1e-3, 1e-9, 1e-14, 1e-20, 1e-37, 0.0] {
            let x = wide(&after(method, &[1.0, tiny, 1.0, 1.0]));
            close(&x, &[-1.0, -0.9], 1e-5, &format!("{method}, {tiny}"));
        }
    }
}

/// Pins that a small step size is one: what is owed is said then, at its own scale.
#[test]
fn a_small_step_size_pays_what_is_owed() {
    for method in ["ef-sgd:outside", "dgc:momentum=0", "perturbed:r=0"] {
        for small in [1e-3, 1e-5, 1e-9] {
            close(&wide(&after(method, &[1.0, small])), &[-1.0, -0.9], 1e-5, &format!("{method}, {small}"));
        }
    }
}

#[test]
fn a_decayed_residual_forgets_at_its_rate() {
    // e = (0, 0.9) after the first step; (0, 0.9β) of it is said in the second, and nothing at γ = 0.
    for (lrs, beta) in [(&[1.0, 1.0][..], 0.5f64), (&[1.0, 0.0, 1.0], 0.5), (&[1.0, 0.1], 0.8)] {
        let x = after(&format!("ef-sgd:outside,decay={beta}"), lrs);
        close(&wide(&x), &[-1.0, -0.9 * beta], 1e-5, &format!("{lrs:?}, {beta}"));
    }
}

/// DGC in f64, with momentum and its mask, across step sizes and where there is none.
#[test]
fn dgc_is_its_textbook_recursion() {
    let (mu, k, d) = (0.7, 3, 10);
    for seed in 0..5 {
        let mut world = World::new(seed, 1, true);
        world.reshape(vec![("p".into(), vec![d])]);
        let mut run = world.start(&format!("dgc:momentum={mu}"), &format!("topk:k={k}")).unwrap();
        let (mut u, mut v, mut x) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
        let mut last = 0.0;
        for (t, lr) in [0.1, 0.1, 0.0, 0.01, 0.01, 0.1, 0.1, 0.1].into_iter().enumerate() {
            let g = world.gradient(0, &crate::textbook::narrow(&x), Some(t as u64));
            u.iter_mut().zip(g).for_each(|(u, g)| *u = mu * *u + f64::from(g));
            if lr != 0.0 {
                let factor = if last == 0.0 { 1.0 } else { last / lr };
                last = lr;
                v.iter_mut().zip(&u).for_each(|(v, u)| *v = *v * factor + u);
                let mut order: Vec<usize> = (0..d).collect();
                order.sort_by(|a, b| v[*b].abs().total_cmp(&v[*a].abs()));
                for j in &order[..k] {
                    x[*j] -= lr * v[*j];
                    (u[*j], v[*j]) = (0.0, 0.0);
                }
            }
            run.whole(lr);
            close(&wide(run.x.as_slice()), &x, 1e-4, &format!("seed {seed}, step {t}"));
        }
    }
}

/// Pins the unit of γ in which a calibrated threshold acts, at workers, server and nodes.
#[test]
fn a_calibrated_threshold_sends_its_budget_whatever_the_step_size() {
    let (d, budget) = (40, 4);
    for method in
        ["ef-sgd", "ef-sgd:outside", "ef-sgd-bidirectional", "neolithic:rounds=2", "beer", "ef21-sgdm:eta=0.9"]
    {
        let n = if method == "beer" { 3 } else { 1 };
        let mut world = World::new(1, n, false);
        world.reshape(vec![("p".into(), vec![d])]);
        world.curvature.fill(0.0);
        let mut run = world.start(method, &format!("threshold:budget={budget}")).unwrap();
        let mut sent = Vec::new();
        for t in 0..300 {
            let lr = if t < 150 { 1.0 } else { 1e-3 };
            run.whole(lr);
            let named = match run.moved.as_ref() {
                Some(Move::Direction(m) | Move::Update(m)) if !method.starts_with("ef21") => {
                    m.payloads.iter().map(|p| p.sent()).sum::<usize>() as f64
                }
                // A few bytes a coordinate, and a few for the message.
                _ => run.bytes as f64 / 5.0,
            };
            sent.push(named);
        }
        let mean = |s: &[f64]| s.iter().sum::<f64>() / s.len() as f64;
        let (before, after) = (mean(&sent[100..150]), mean(&sent[250..]));
        assert!(after > 0.3 * before && after < 3.0 * before && after >= 1.0, "{method}: {before}, then {after}");
    }
}
