//! Methods beside a plain second form of each, in f64, compressed by top-k both ways where they are.

use backburn_compress::{Layout, Policy, Scope};

use crate::textbook::narrow;
use crate::world::*;

const N: usize = 3;

/// A matrix and a vector.
fn world(seed: u64) -> World {
    let mut world = World::new(seed, N, true);
    world.reshape(vec![("m".into(), vec![4, 3]), ("v".into(), vec![5])]);
    world
}

const PARTS: [std::ops::Range<usize>; 2] = [0..12, 12..17];

/// The k largest of each part, the lower place among equals.
fn top(k: usize, x: &[f64]) -> Vector {
    let mut kept = vec![0.0; x.len()];
    for part in PARTS {
        let mut order: Vec<usize> = part.collect();
        order.sort_by(|a, b| x[*b].abs().total_cmp(&x[*a].abs()));
        order[..k].iter().for_each(|j| kept[*j] = x[*j]);
    }
    kept
}

/// a·x + b·y.
fn sum(a: f64, x: &[f64], b: f64, y: &[f64]) -> Vector {
    x.iter().zip(y).map(|(x, y)| a * x + b * y).collect()
}

fn mean(xs: &[Vector]) -> Vector {
    (0..xs[0].len()).map(|j| xs.iter().map(|x| x[j]).sum::<f64>() / xs.len() as f64).collect()
}

fn gradient(world: &World, w: usize, x: &[f64], t: u64) -> Vector {
    wide(&world.gradient(w, &narrow(x), Some(t)))
}

#[test]
fn neolithic_is_the_bidirectional_method_with_fcc_both_ways() {
    // Pins that all of its rounds are sent: where gradients are exact, minibatches make no difference beside it.
    for (rounds, form) in [(1, "topk:k=2"), (3, "topk:k=1"), (2, "randk:k=2")] {
        let mut world = world(rounds);
        world.noise = 0.0;
        let momentum = "momentum=0.5,weight-decay=0.1";
        let mut run = world.start(&format!("neolithic:rounds={rounds},{momentum}"), form).unwrap();
        let fcc = format!("fcc:rounds={rounds},of={form}");
        let mut second = world.start(&format!("ef-sgd-bidirectional:{momentum}"), &fcc).unwrap();
        for (t, lr) in [0.1, 0.1, 0.0, 0.02, 0.3].into_iter().enumerate() {
            run.whole(lr);
            second.whole(lr);
            let what = format!("{rounds} rounds of {form}, step {t}");
            close(&wide(run.x.as_slice()), &wide(second.x.as_slice()), 1e-5, &what);
        }
        assert_eq!(run.bytes, second.bytes);
    }
}

#[test]
fn demo_is_its_plain_form() {
    for seed in 0..4 {
        let world = world(seed);
        let mut run = world.start("demo:decay=0.9,weight-decay=0.1", "topk:k=2").unwrap();
        let (mut x, mut deltas) = (vec![0.0; 17], vec![vec![0.0; 17]; N]);
        for (t, lr) in [0.1, 0.1, 0.0, 0.05, 0.05, 0.2, 0.02, 0.02].into_iter().enumerate() {
            run.whole(lr);
            if lr > 0.0 {
                let mut sent = Vec::new();
                for (w, delta) in deltas.iter_mut().enumerate() {
                    *delta = sum(0.9, delta, lr, &gradient(&world, w, &x, t as u64));
                    sent.push(top(2, delta));
                    *delta = sum(1.0, delta, -1.0, &sent[w]);
                }
                let sign = |d: &f64| if *d == 0.0 { 0.0 } else { d.signum() };
                let signs: Vector = mean(&sent).iter().map(sign).collect();
                x = sum(1.0 - lr * 0.1, &x, -lr, &signs);
            }
            close(&wide(run.x.as_slice()), &x, 1e-5, &format!("seed {seed}, step {t}"));
        }
    }
}

/// Exact steps 0, 1 and 3, compressed steps between and behind them, and from step 5 on two of three by themselves.
#[test]
fn zero_one_adam_is_its_plain_form() {
    let (beta1, beta2, eps, decay) = (0.8, 0.9, 1e-2, 0.1);
    for (seed, sync) in [(0, 1), (1, 3), (2, 2), (3, 3)] {
        let world = world(seed);
        let method = format!(
            "zero-one-adam:freeze=5,doubling=1,sync={sync},beta1={beta1},beta2={beta2},eps={eps},weight-decay={decay}"
        );
        let mut run = world.start(&method, "topk:k=3").unwrap();
        let zero = vec![0.0; 17];
        let (mut x, mut m, mut v) = (zero.clone(), zero.clone(), zero.clone());
        let (mut owed, mut server) = (vec![zero.clone(); N], zero.clone());
        let (mut ms, mut us, mut gammas) = (vec![zero.clone(); N], vec![zero.clone(); N], 0.0);
        let over_root = |d: &[f64], v: &[f64]| d.iter().zip(v).map(|(d, v)| d / (v.sqrt() + eps)).collect::<Vector>();
        for t in 0..14u64 {
            let lr = [0.1, 0.1, 0.05, 0.2][t as usize % 4];
            run.whole(lr);
            let at = |w: usize| sum(1.0, &x, -1.0, &over_root(&us[w], &v));
            let gs: Vec<Vector> = (0..N).map(|w| gradient(&world, w, &at(w), t)).collect();
            if [0, 1, 3].contains(&t) {
                let g = mean(&gs);
                m = sum(beta1, &m, 1.0 - beta1, &g);
                v = v.iter().zip(&g).map(|(v, g)| beta2 * v + (1.0 - beta2) * g * g).collect();
                gammas = lr;
            } else {
                for w in 0..N {
                    let before = if gammas == 0.0 { &m } else { &ms[w] };
                    ms[w] = sum(beta1, before, 1.0 - beta1, &gs[w]);
                    us[w] = sum(1.0, &us[w], lr, &ms[w]);
                }
                gammas += lr;
                if t >= 5 && (t - 4) % sync != 0 {
                    continue;
                }
                let mut sent = Vec::new();
                for w in 0..N {
                    let p = sum(1.0 / gammas, &us[w], 1.0, &owed[w]);
                    sent.push(top(3, &p));
                    owed[w] = sum(1.0, &p, -1.0, &sent[w]);
                    us[w].fill(0.0);
                }
                let p = sum(1.0, &mean(&sent), 1.0, &server);
                m = top(3, &p);
                server = sum(1.0, &p, -1.0, &m);
            }
            x = sum(1.0 - gammas * decay, &x, -gammas, &over_root(&m, &v));
            gammas = 0.0;
            close(&wide(run.x.as_slice()), &x, 1e-4, &format!("seed {seed}, sync {sync}, step {t}"));
        }
    }
}

/// Five steps of Newton and Schulz, every product written out.
fn orthogonal(g: &[f64], rows: usize, columns: usize) -> Vector {
    let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
    let mut x: Vector = g.iter().map(|g| g / norm).collect();
    for _ in 0..5 {
        // X·XᵀX and X·(XᵀX)², which are XXᵀ·X and (XXᵀ)²·X.
        let gram = |a: &[f64]| -> Vector {
            let at = |i: usize, j: usize| -> f64 {
                (0..columns)
                    .map(|k| {
                        a[i * columns + k] * (0..rows).map(|r| x[r * columns + k] * x[r * columns + j]).sum::<f64>()
                    })
                    .sum()
            };
            (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|(i, j)| at(i, j)).collect()
        };
        let cubic = gram(&x);
        let quintic = gram(&cubic);
        x = (0..x.len()).map(|j| 3.4445 * x[j] - 4.775 * cubic[j] + 2.0315 * quintic[j]).collect();
    }
    x
}

#[test]
fn ef21_muon_is_its_plain_form() {
    let (eta, beta1, beta2, eps) = (0.3, 0.9, 0.9, 1e-2);
    for seed in 0..4 {
        let world = world(seed);
        let mut run = world.start(&format!("ef21-muon:eta={eta},beta2={beta2},eps={eps}"), "topk:k=3").unwrap();
        let zero = vec![0.0; 17];
        let (mut x, mut w, mut g) = (zero.clone(), zero.clone(), zero.clone());
        let (mut ms, mut gs) = (vec![zero.clone(); N], vec![zero.clone(); N]);
        let (mut m, mut v) = ([0.0; 5], [0.0; 5]);
        for (t, lr) in [0.1, 0.1, 0.0, 0.05, 0.05, 0.2, 0.02, 0.02].into_iter().enumerate() {
            run.whole(lr);
            let mut sent = Vec::new();
            for i in 0..N {
                let own = gradient(&world, i, &w, t as u64);
                ms[i] = if t == 0 { own } else { sum(1.0 - eta, &ms[i], eta, &own) };
                let ahead = sum(1.0, &ms[i], -1.0, &gs[i]);
                sent.push(if t == 0 { ahead } else { top(3, &ahead) });
                gs[i] = sum(1.0, &gs[i], 1.0, &sent[i]);
            }
            g = sum(1.0, &g, 1.0, &mean(&sent));
            let step = orthogonal(&g[..12], 4, 3);
            x.iter_mut().zip(step).for_each(|(x, step)| *x -= lr * step);
            let weight = |beta: f64| 1.0 - beta.powi(t as i32 + 1);
            for j in 0..5 {
                m[j] = beta1 * m[j] + (1.0 - beta1) * g[12 + j];
                v[j] = beta2 * v[j] + (1.0 - beta2) * g[12 + j].powi(2);
                x[12 + j] -= lr * m[j] / weight(beta1) / ((v[j] / weight(beta2)).sqrt() + eps);
            }
            w = sum(1.0, &w, 1.0, &top(3, &sum(1.0, &x, -1.0, &w)));
            close(&wide(run.x.as_slice()), &w, 1e-4, &format!("seed {seed}, step {t}"));
        }
    }
}

/// Vectors, embeddings and heads, dense by policy, go through AdamW on their exact mean, whatever becomes of matrices.
#[test]
fn what_is_dense_goes_through_adamw() {
    for (method, decay) in [
        ("demo:decay=0.9,beta2=0.9,eps=0.01,weight-decay=0.1", 0.1),
        ("demo:senders,beta2=0.9,eps=0.01", 0.0),
        ("dion:rank=1,beta2=0.9,eps=0.01,weight-decay=0.1", 0.1),
        ("dion:rank=2,orth,beta2=0.9,eps=0.01", 0.0),
        ("ef21-muon:eta=1,beta2=0.9,eps=0.01", 0.0),
    ] {
        let mut world = world(7);
        let shapes = [("head.weight", vec![2, 3], Policy::Dense), ("m", vec![4, 3], Policy::Compressed)];
        let shapes = shapes.into_iter().chain([("v", vec![5], Policy::Dense)]);
        let shapes: Vec<_> = shapes.map(|(path, shape, policy)| (path.to_owned(), shape, policy)).collect();
        world.reshape(shapes.iter().map(|(path, shape, _)| (path.clone(), shape.clone())).collect());
        world.layout = Layout::build(shapes, Scope::Parameter, 0).unwrap();
        // What is dense stands at the end, and no coordinate's gradient knows of another's.
        let (dense, d) = (12, 23);
        let mut run = world.start(method, if method.starts_with("dion") { "identity" } else { "topk:k=2" }).unwrap();
        let (mut x, mut m, mut v) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
        for (t, lr) in [0.1, 0.1, 0.05, 0.05, 0.2, 0.02].into_iter().enumerate() {
            run.whole(lr);
            let g = mean(&(0..N).map(|w| gradient(&world, w, &x, t as u64)).collect::<Vec<_>>());
            let weight = |beta: f64| 1.0 - beta.powi(t as i32 + 1);
            for j in dense..d {
                m[j] = 0.9 * m[j] + 0.1 * g[j];
                v[j] = 0.9 * v[j] + 0.1 * g[j] * g[j];
                let step = m[j] / weight(0.9) / ((v[j] / weight(0.9)).sqrt() + 0.01);
                x[j] -= lr * (step + decay * x[j]);
            }
            close(&wide(&run.x.as_slice()[dense..]), &x[dense..], 1e-4, &format!("{method}, step {t}"));
            assert!(run.x.as_slice()[..dense].iter().any(|x| *x != 0.0), "{method}");
        }
    }
}

/// Pins which mean conserves: over all, x − mean e is where the whole Δ would have led; over the senders, a coordinate
/// that one of three sends moves three times as far.
#[test]
fn a_mean_over_the_senders_moves_by_more_than_was_paid() {
    for (method, factor) in [("local-sgd", 1.0), ("local-sgd:senders", 3.0)] {
        let mut world = world(1);
        (world.noise, world.curvature) = (0.0, vec![1.0; 17]);
        // Each worker's two largest coordinates are its own.
        for (w, centre) in world.centres.iter_mut().enumerate() {
            let own = [w, 12 + w];
            centre.iter_mut().enumerate().for_each(|(j, c)| *c = if own.contains(&j) { 2.0 } else { 0.1 });
        }
        let mut run = world.start(method, "topk:k=1").unwrap();
        run.whole(0.5);
        let owed = run.states().mean(N, "residual", |_| 0.5);
        let moved: Vector = wide(run.x.as_slice());
        let corrected = sum(1.0, &moved, -1.0, &owed);
        let mut whole = vec![0.0; 17];
        (0..N).for_each(|w| whole = sum(1.0, &whole, 0.5 / N as f64, &wide(&world.centres[w])));
        let paid = sum(1.0, &whole, 1.0, &owed);
        close(&moved, &sum(factor, &paid, 0.0, &paid), 1e-6, method);
        let conserved = corrected.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-6);
        assert_eq!(conserved, factor == 1.0, "{method}");
    }
}
