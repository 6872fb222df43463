//! Law 2: without compression every method is its uncompressed parent.

use crate::world::*;

/// A naive step of the parent in f64: the gradients at x, worker by worker, and their exact values.
struct Parent {
    /// v ← keep·v + gain·mean g; x ← x − γv, once for each estimator in turn.
    stages: Vec<(f64, f64)>,
    /// Whether the first gradient is the first v.
    warm: bool,
    v: Vec<Vector>,
}

fn parent(method: &str) -> Parent {
    let (name, options) = method.split_once(':').unwrap_or((method, ""));
    let number = |key: &str, default: f64| {
        let found = options.split(',').find_map(|o| o.strip_prefix(key)?.strip_prefix('='));
        found.map_or(default, |v| v.parse().unwrap())
    };
    let sgd = Parent { stages: vec![], warm: true, v: vec![] };
    let averaging = |times: usize, eta: f64| Parent { stages: vec![(1.0 - eta, eta); times], warm: true, v: vec![] };
    match name {
        "sgd" | "compressed-sgd" | "ef-sgd" | "ef-sgd-bidirectional" | "neolithic" | "powersgd" | "sketched-topk" => {
            let beta = number("momentum", 0.0);
            if beta == 0.0 { sgd } else { Parent { stages: vec![(beta, 1.0)], ..sgd } }
        }
        "ef21-sgd" | "ef21-sgd-ideal" | "dgc" | "perturbed" => sgd,
        "ef21-sgdm" => averaging(1, number("eta", 0.1)),
        "ef21-sgd2m" => averaging(2, number("eta", 0.1)),
        "ecx" => Parent { stages: vec![(1.0 - number("alpha", 0.5), number("alpha", 0.5))], warm: false, v: vec![] },
        other => panic!("law 2 needs the parent of `{other}`"),
    }
}

impl Parent {
    fn direction(&mut self, mut g: Vector) -> Vector {
        if self.v.is_empty() && !self.warm {
            self.v = vec![vec![0.0; g.len()]; self.stages.len()];
        }
        if self.v.is_empty() {
            self.v = vec![g.clone(); self.stages.len()];
            return g;
        }
        for ((keep, gain), v) in self.stages.iter().zip(&mut self.v) {
            v.iter_mut().zip(&g).for_each(|(v, g)| *v = keep * *v + gain * g);
            g.clone_from(v);
        }
        g
    }
}

#[test]
fn law_2_identity_gives_the_parent() {
    // Those whose parent is not momentum of the gradient at x have tests of their own below.
    let own = ["beer", "ef21-sgdm-ideal", "majority", "estimator", "clip", "interval", "r=0.01", "weight-decay"];
    let mut methods: Vec<String> = methods().into_iter().filter(|m| !own.iter().any(|o| m.contains(o))).collect();
    methods.extend(
        ["perturbed:r=0", "sgd:momentum=0.9", "powersgd:momentum=0.9", "ef-sgd:momentum=0.5,outside"].map(String::from),
    );
    for seed in 0..8 {
        for method in &methods {
            let mut world = World::new(seed, 3, true);
            if method.starts_with("powersgd") || method.starts_with("sketched") {
                // What they send dense is their identity.
                world.layout = backburn_compress::Layout::new(
                    vec![("p".into(), vec![world.layout.len()])],
                    backburn_compress::Scope::Parameter,
                    1000,
                )
                .unwrap();
            }
            let mut run = world.start(method, "identity").unwrap();
            let mut parent = parent(method);
            let mut x: Vector = vec![0.0; run.x.len()];
            for t in 0..10u64 {
                let at: Vec<f32> = x.iter().map(|x| *x as f32).collect();
                let mut mean = vec![0.0; x.len()];
                for w in 0..3 {
                    let g = world.gradient(w, &at, Some(t));
                    mean.iter_mut().zip(g).for_each(|(m, g)| *m += f64::from(g) / 3.0);
                }
                // A gradient dropped at γ = 0 cannot reach a momentum that follows the exchange.
                let silent = t == 3 && !method.starts_with("powersgd:momentum");
                let lr = if silent { 0.0 } else { [0.1, 0.02][(t / 5) as usize] };
                x.iter_mut().zip(parent.direction(mean)).for_each(|(x, d)| *x -= lr * d);
                run.whole(lr);
                close(&wide(&run.x), &x, 1e-4, &format!("{method}, seed {seed}, step {t}"));
            }
        }
    }
}

#[test]
fn law_2_storm_root_and_igt_are_their_recursions() {
    for (method, alpha) in [("ecx:alpha=0.3,estimator=storm", Some(0.3)), ("ecx:estimator=root", None)] {
        let world = World::new(2, 2, true);
        let mut run = world.start(method, "identity").unwrap();
        let d = run.x.len();
        let (mut x, mut last, mut v) = (vec![0.0f32; d], vec![0.0f32; d], vec![0.0f64; d]);
        for t in 0..10u64 {
            let a = alpha.unwrap_or(1.0 / (t + 1) as f64);
            let mean = |at: &[f32]| -> Vector {
                let gs = [0, 1].map(|w| wide(&world.gradient(w, at, Some(t))));
                gs[0].iter().zip(&gs[1]).map(|(a, b)| (a + b) / 2.0).collect()
            };
            // v ← g(x_t) + (1−α)(v − g(x_{t−1})), the textbook form.
            for ((v, here), there) in v.iter_mut().zip(mean(&x)).zip(mean(&last)) {
                *v = here + (1.0 - a) * (*v - there);
            }
            last.clone_from(&x);
            x.iter_mut().zip(&v).for_each(|(x, v)| *x -= (0.1 * v) as f32);
            run.whole(0.1);
            close(&wide(&run.x), &wide(&x), 1e-4, &format!("{method}, step {t}"));
        }
    }
    let world = World::new(2, 1, true);
    let mut run = world.start("ecx:alpha=0.25,estimator=igt", "identity").unwrap();
    let d = run.x.len();
    let (mut x, mut last, mut v) = (vec![0.0f32; d], vec![0.0f32; d], vec![0.0f32; d]);
    for t in 0..10u64 {
        let at: Vec<f32> = x.iter().zip(&last).map(|(x, last)| x + 3.0 * (x - last)).collect();
        let g = world.gradient(0, &at, Some(t));
        v.iter_mut().zip(g).for_each(|(v, g)| *v = 0.75 * *v + 0.25 * g);
        last.clone_from(&x);
        x.iter_mut().zip(&v).for_each(|(x, v)| *x -= 0.1 * v);
        run.whole(0.1);
        close(&wide(&run.x), &wide(&x), 1e-4, &format!("igt, step {t}"));
    }
}

#[test]
fn law_2_the_ideal_momentum_form_damps_the_noise() {
    let world = World::new(6, 2, true);
    let mut run = world.start("ef21-sgdm-ideal:eta=0.25", "identity").unwrap();
    let mut x = vec![0.0f32; run.x.len()];
    for t in 0..8 {
        let mut d = vec![0.0f32; x.len()];
        for w in 0..2 {
            let (exact, noisy) = (world.gradient(w, &x, None), world.gradient(w, &x, Some(t)));
            d.iter_mut().zip(exact.iter().zip(&noisy)).for_each(|(d, (e, g))| *d += (e + 0.25 * (g - e)) / 2.0);
        }
        x.iter_mut().zip(&d).for_each(|(x, d)| *x -= 0.1 * d);
        run.whole(0.1);
        close(&wide(&run.x), &wide(&x), 1e-5, "ef21-sgdm-ideal");
    }
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
            close(&wide(run.cluster.node(w).unwrap()), x, 1e-4, &format!("node {w}, step {t}"));
        }
    }
}
