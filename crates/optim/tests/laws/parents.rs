//! Law 2: without compression every method is its uncompressed parent, as the method itself says what that is.

use backburn_compress::low_rank::{first_q, orthonormalise};
use backburn_compress::{Key, Layout, Scope};
use backburn_optim::{AnyAlgorithm, UNSAID};

use crate::textbook::Textbook;
use crate::world::*;

#[test]
fn law_2_identity_gives_the_parent() {
    // Beside the table's rows: what they do not combine.
    let more = [
        "sgd:momentum=0.5,weight-decay=0.1",
        "ef-sgd:momentum=0.5,weight-decay=0.1,nesterov,outside",
        "ef21-sgd:b-init=3,weight-decay=0.1",
        "ef21-sgdm:eta=0.4,b-init=3,weight-decay=0.1",
        "compressed-sgd:momentum=0.5,weight-decay=0.2,majority-vote",
        "neolithic:rounds=3,momentum=0.5,weight-decay=0.1,nesterov",
        "dgc:momentum=0.5,clip=0.5,weight-decay=0.1",
        "powersgd:momentum=0.9,weight-decay=0.1,nesterov",
        "perturbed:r=0,interval=1",
        "perturbed:r=0,radius=0.2",
    ];
    let mut run_on = 0;
    for method in methods().into_iter().chain(more.map(String::from)) {
        let algorithm: AnyAlgorithm = method.parse().unwrap();
        let parent = match algorithm.parent() {
            Ok(parent) => parent,
            Err(why) => {
                assert!(why != UNSAID, "{method} does not say what it is without compression");
                continue;
            }
        };
        run_on += 1;
        for seed in 0..6 {
            // Even numbers of workers have ties; sketches only estimate a distance, one worker knows it.
            let n = if parent.restarts.is_some_and(|r| r.radius.is_some()) { 1 } else { 2 + (seed as usize % 3) };
            let mut world = World::new(seed, n, true);
            if algorithm.compresses_itself() {
                // What they send dense is their identity.
                let whole = vec![("p".into(), vec![world.layout.len()])];
                world.layout = Layout::new(whole, Scope::Parameter, 1000).unwrap();
            }
            if algorithm.name() == "demo" {
                // What is dense goes through AdamW instead.
                let shapes = world.layout.parameters().iter().map(|p| (p.path.clone(), p.shape.clone())).collect();
                world.layout = Layout::new(shapes, Scope::Parameter, 0).unwrap();
            }
            let mut run = world.start(&method, "identity").unwrap();
            let mut textbook = Textbook::new(parent.clone(), &world);
            for t in 0..10u64 {
                // Restarts decide where f rises: too large a step.
                let scale = if parent.restarts.is_some() { 18.0 } else { 1.0 };
                let lr = if t == 3 { 0.0 } else { scale * [0.1, 0.02][(t / 6) as usize] };
                run.whole(lr);
                textbook.step(lr);
                close(&wide(run.x.as_slice()), &textbook.x, 1e-4, &format!("{method}, n {n}, seed {seed}, step {t}"));
            }
        }
    }
    assert!(run_on > 40, "{run_on} methods");
}

#[test]
fn law_6_beer_on_a_complete_graph_with_identity_is_sgd_with_tracking() {
    let n = 4;
    let world = World::new(8, n, true);
    let mut run = world.start("beer:gossip=1,graph=complete", "identity").unwrap();
    let d = run.x.len();
    let gradient =
        |w: usize, x: &[f64], t| wide(&world.gradient(w, &x.iter().map(|x| *x as f32).collect::<Vec<_>>(), Some(t)));
    let mean = |xs: &[Vector]| -> Vector { (0..d).map(|j| xs.iter().map(|x| x[j]).sum::<f64>() / n as f64).collect() };
    let mut xs = vec![vec![0.0; d]; n];
    let mut last: Vec<Vector> = (0..n).map(|w| gradient(w, &xs[w], 0)).collect();
    let mut vs = last.clone();
    let (mut hs, mut gs) = (vec![vec![0.0; d]; n], vec![vec![0.0; d]; n]);
    for t in 0..10 {
        if t > 0 {
            let mixed = mean(&gs);
            for w in 0..n {
                let new = gradient(w, &xs[w], t);
                for j in 0..d {
                    vs[w][j] += mixed[j] - gs[w][j] + new[j] - last[w][j];
                }
                last[w] = new;
            }
            gs.clone_from(&vs);
        }
        let mixed = mean(&hs);
        for w in 0..n {
            for j in 0..d {
                xs[w][j] += mixed[j] - hs[w][j] - 0.1 * vs[w][j];
            }
        }
        hs.clone_from(&xs);
        run.whole(0.1);
        for (w, x) in xs.iter().enumerate() {
            close(&wide(run.cluster.node(w).unwrap().as_slice()), x, 1e-4, &format!("node {w}, step {t}"));
        }
    }
}

/// Pins the warm Q: a PowerSGD that begins anew at every step follows another path.
#[test]
fn powersgd_is_its_textbook_recursion() {
    let (rows, columns, rank, beta, n) = (6, 5, 2, 0.8, 2);
    let mut world = World::new(4, n, true);
    world.reshape(vec![("m".into(), vec![rows, columns])]);
    let d = rows * columns;
    let mut run = world.start(&format!("powersgd:rank={rank},momentum={beta}"), "identity").unwrap();
    let unit = world.layout.units()[0].key;
    // Qᵀ, rank × columns, made afresh from unit rows.
    let mut q: Vector = wide(&first_q(columns, rank, &Key::new(world.seed).unit(unit)));
    let (mut x, mut m, mut owed) = (vec![0.0; d], None::<Vector>, vec![vec![0.0; d]; n]);
    for t in 0..8u64 {
        let lr = [0.1, 0.1, 0.02, 0.02, 0.05, 0.05, 0.1, 0.1][t as usize];
        let last_lr = if t == 0 { lr } else { [0.1, 0.1, 0.02, 0.02, 0.05, 0.05, 0.1, 0.1][t as usize - 1] };
        for row in q.chunks_mut(columns) {
            let norm = row.iter().map(|q| q * q).sum::<f64>().sqrt();
            row.iter_mut().for_each(|q| *q /= norm);
        }
        let at: Vec<f32> = x.iter().map(|x| *x as f32).collect();
        let ms: Vec<Vector> = (0..n)
            .map(|w| {
                let g = world.gradient(w, &at, Some(t));
                owed[w].iter().zip(g).map(|(e, g)| e * last_lr / lr + f64::from(g)).collect()
            })
            .collect();
        let mut p = vec![0.0f32; rows * rank];
        for (i, r) in (0..rows).flat_map(|i| (0..rank).map(move |r| (i, r))) {
            let of = |m: &Vector| (0..columns).map(|j| m[i * columns + j] * q[r * columns + j]).sum::<f64>();
            p[i * rank + r] = (ms.iter().map(of).sum::<f64>() / n as f64) as f32;
        }
        orthonormalise(&mut p, rank);
        for (r, j) in (0..rank).flat_map(|r| (0..columns).map(move |j| (r, j))) {
            let of = |m: &Vector| (0..rows).map(|i| m[i * columns + j] * f64::from(p[i * rank + r])).sum::<f64>();
            q[r * columns + j] = ms.iter().map(of).sum::<f64>() / n as f64;
        }
        let joint: Vector = (0..d)
            .map(|c| {
                (0..rank).map(|r| f64::from(p[c / columns * rank + r]) * q[r * columns + c % columns]).sum::<f64>()
            })
            .collect();
        for (e, m) in owed.iter_mut().zip(&ms) {
            e.iter_mut().zip(m.iter().zip(&joint)).for_each(|(e, (m, j))| *e = m - j);
        }
        let moved = match &m {
            None => joint,
            Some(m) => joint.iter().zip(m).map(|(j, m)| beta * m + j).collect(),
        };
        x.iter_mut().zip(&moved).for_each(|(x, d)| *x -= lr * d);
        m = Some(moved);
        run.whole(lr);
        close(&wide(run.x.as_slice()), &x, 1e-3, &format!("step {t}"));
    }
}
