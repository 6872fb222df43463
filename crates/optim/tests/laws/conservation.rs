//! Laws 1 and 5: nothing is lost.

use crate::world::*;

/// How a method that conserves its residuals is to be read.
struct Reading {
    method: &'static str,
    /// β of the worker's momentum.
    beta: f64,
    units: Units,
    /// Whether the server owes something too.
    server: bool,
}

#[derive(PartialEq)]
enum Units {
    /// γ is inside.
    Inside,
    /// e_i in gradients, each worker's last non-zero γ beside it.
    Outside,
}

const CONSERVING: &[Reading] = &[
    Reading { method: "ef-sgd", beta: 0.0, units: Units::Inside, server: false },
    Reading { method: "ef-sgd:momentum=0.9", beta: 0.9, units: Units::Inside, server: false },
    Reading { method: "ef-sgd:outside", beta: 0.0, units: Units::Outside, server: false },
    Reading { method: "ef-sgd-bidirectional", beta: 0.0, units: Units::Inside, server: true },
    Reading { method: "neolithic:rounds=3", beta: 0.0, units: Units::Inside, server: true },
    Reading { method: "perturbed:r=0", beta: 0.0, units: Units::Outside, server: false },
    Reading { method: "powersgd:rank=1", beta: 0.0, units: Units::Outside, server: false },
    Reading { method: "powersgd:rank=2", beta: 0.0, units: Units::Outside, server: false },
    Reading { method: "sketched-topk:k=1,cols=3,rows=1", beta: 0.0, units: Units::Outside, server: false },
    Reading { method: "sketched-topk:k=2,cols=2,rows=2", beta: 0.0, units: Units::Outside, server: false },
];

impl Reading {
    /// x_t − mean e_t − ẽ_t, e in units of x.
    fn corrected(&self, run: &mut Run) -> Vector {
        let states = run.states();
        let unit = |w: usize| match self.units {
            Units::Inside => 1.0,
            Units::Outside => states.numbers[&format!("worker.{w}.lr")],
        };
        let mut x = wide(&run.x);
        x.iter_mut().zip(states.mean(run.world.workers, "residual", unit)).for_each(|(x, e)| *x -= e);
        if self.server {
            x.iter_mut().zip(states.vector("shared.residual")).for_each(|(x, e)| *x -= e);
        }
        x
    }

    /// x_0 − Σγ mean m.
    fn uncompressed(&self, run: &Run) -> Vector {
        let n = run.world.workers;
        let mut x = vec![0.0; run.x.len()];
        let mut momenta: Vec<Option<Vector>> = vec![None; n];
        for served in &run.served {
            let g = wide(&served.gradient);
            let m = match &momenta[served.worker] {
                Some(m) => m.iter().zip(&g).map(|(m, g)| self.beta * m + g).collect(),
                None => g,
            };
            x.iter_mut().zip(&m).for_each(|(x, m)| *x -= served.lr * m / n as f64);
            momenta[served.worker] = Some(m);
        }
        x
    }

    fn check(&self, run: &mut Run, what: &str) {
        close(&self.corrected(run), &self.uncompressed(run), 2e-4, what);
    }
}

#[test]
fn law_1_residuals_are_conserved_whatever_goes_wrong() {
    let mut runs = 0;
    for seed in 0..6 {
        for reading in CONSERVING {
            for compressor in compressors() {
                // One worker alone is the statement for each worker, not only for the mean.
                for n in [1, 3] {
                    let Ok(mut run) = World::new(seed, n, true).start(reading.method, &compressor) else { continue };
                    for (t, attempt) in schedule(seed, n, false, 14).iter().enumerate() {
                        run.attempt(attempt);
                        reading.check(&mut run, &format!("{}/{compressor}, n {n}, seed {seed}, {t}", reading.method));
                    }
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 1000, "{runs} runs");
}

#[test]
fn law_1_holds_with_a_failure_at_every_message_of_every_round() {
    for reading in CONSERVING {
        for compressor in ["topk:0.3", "randk:0.3", "sign:scaled"] {
            for round in 0..3 {
                for worker in 0..3 {
                    let mut run = World::new(5, 3, true).start(reading.method, compressor).unwrap();
                    let what = format!("{}/{compressor}, lost in round {round} of {worker}", reading.method);
                    let mut failed = 0;
                    for t in 0..6 {
                        let mut mishap = Mishap::default();
                        if t == 2 || t == 3 {
                            mishap.lost.insert((round, worker));
                        }
                        let lr = [0.1, 0.02][usize::from(t > 2)];
                        failed += usize::from(!run.attempt(&Attempt { lr, mishap }));
                        reading.check(&mut run, &what);
                    }
                    let two_rounds = reading.method.starts_with("powersgd") || reading.method.starts_with("sketched");
                    assert!(failed == 0 || (round == 1 && two_rounds), "{what}: {failed} failures");
                    assert_eq!(run.cluster.steps(), 6 - failed as u64);
                }
            }
        }
    }
}

#[test]
fn law_1_dgc_without_momentum_owes_what_it_did_not_send() {
    for seed in 0..6 {
        for compressor in compressors() {
            let Ok(mut run) = World::new(seed, 3, true).start("dgc:momentum=0", &compressor) else { continue };
            for attempt in schedule(seed, 3, false, 12) {
                run.attempt(&Attempt { lr: 0.05, ..attempt });
                let v = run.states().mean(3, "v", |_| 0.05);
                let corrected: Vector = wide(&run.x).iter().zip(v).map(|(x, v)| x - v).collect();
                let mut expected = vec![0.0; run.x.len()];
                for served in &run.served {
                    expected.iter_mut().zip(&served.gradient).for_each(|(x, g)| *x -= 0.05 * f64::from(*g) / 3.0);
                }
                close(&corrected, &expected, 2e-4, &format!("{compressor}, seed {seed}"));
            }
        }
    }
}

#[test]
fn law_1_an_accepted_reset_pays_what_is_owed() {
    // Without noise and with a small step every reset finds a lower f.
    let reading = Reading { method: "perturbed:r=0,interval=3", beta: 0.0, units: Units::Outside, server: false };
    for n in [1, 3] {
        for compressor in ["topk:0.3", "sign:scaled", "randk:0.2"] {
            let mut world = World::new(11, n, true);
            world.noise = 0.0;
            let mut run = world.start(reading.method, compressor).unwrap();
            for t in 0..12 {
                run.whole(0.02);
                reading.check(&mut run, compressor);
                let owed: f64 = run.cluster.observe().residual_norms.iter().sum();
                assert_eq!(owed == 0.0, t % 4 == 3, "{compressor}, n {n}, step {t}: {owed}");
            }
        }
    }
}

#[test]
fn a_reset_that_found_nothing_better_goes_back() {
    for n in [1, 3] {
        let mut run = World::new(11, n, true).start("perturbed:r=0,interval=1", "topk:0.3").unwrap();
        // Far too large a step: f rises, so every second step returns to x_0.
        for _ in 0..3 {
            run.whole(50.0);
            assert!(run.x.iter().any(|x| *x != 0.0));
            run.whole(50.0);
            assert!(run.x.iter().all(|x| *x == 0.0), "{:?}", run.x);
            assert!(run.cluster.observe().residual_norms.iter().all(|e| *e == 0.0));
        }
    }
}

#[test]
fn law_1_joining_and_leaving_conserve_the_mean_residual() {
    for reading in CONSERVING {
        for (from, to) in [(2, 5), (5, 2), (3, 4), (4, 1)] {
            let mut run = World::new(9, 5, true).start(reading.method, "topk:0.3").unwrap();
            run.world.workers = from;
            run.cluster.resize(from).unwrap();
            (0..5).for_each(|t| run.whole([0.1, 0.03][t % 2]));
            let before = reading.corrected(&mut run);
            let wanted = run.states().mean(from, "residual", |_| 1.0);
            run.cluster.resize(to).unwrap();
            run.world.workers = to;
            close(&run.states().mean(to, "residual", |_| 1.0), &wanted, 1e-6, reading.method);
            close(&reading.corrected(&mut run), &before, 1e-5, reading.method);
            run.whole(0.05);
            assert_eq!(run.cluster.workers(), to);
        }
    }
}

#[test]
fn workers_with_trackers_cannot_join_or_leave() {
    for method in methods() {
        let mut run = World::new(3, 4, true).start(&method, "topk:0.3").unwrap();
        run.whole(0.1);
        let tracked = method.starts_with("ef21-sgd") && !method.contains("ideal") || method.starts_with("beer");
        let resized = run.cluster.resize(2);
        assert_eq!(resized.is_err(), tracked, "{method}: {resized:?}");
        assert_eq!(run.cluster.workers(), if tracked { 4 } else { 2 });
        assert!(run.cluster.resize(0).is_err());
        run.world.workers = run.cluster.workers();
        run.whole(0.1);
    }
}

#[test]
fn workers_whose_states_are_apart_are_not_averaged() {
    let mut run = World::new(3, 3, true).start("ef-sgd:outside", "topk:0.3").unwrap();
    run.whole(0.1);
    let mishap = Mishap { absent: [1].into(), ..Mishap::default() };
    run.attempt(&Attempt { lr: 0.01, mishap });
    assert!(run.cluster.resize(2).unwrap_err().to_string().starts_with("worker 1 was absent lately"));
    run.whole(0.01);
    run.cluster.resize(2).unwrap();
}

#[test]
fn law_5_the_errors_of_error_compensated_x_telescope() {
    let estimators =
        ["alpha=0.8", "alpha=0.5", "alpha=0.3,estimator=storm", "estimator=root", "alpha=0.6,estimator=igt"];
    for seed in 0..6 {
        for estimator in estimators {
            for compressor in compressors() {
                for n in [1, 3] {
                    // Gradients that do not depend on x: the same A_t in both runs.
                    let world = World::new(seed, n, false);
                    let method = format!("ecx:{estimator}");
                    let Ok(mut compressed) = world.start(&method, &compressor) else { continue };
                    let mut exact = world.start(&method, "identity").unwrap();
                    for attempt in schedule(seed, n, false, 9) {
                        let attempt = Attempt { lr: 0.1, ..attempt };
                        assert_eq!(compressed.attempt(&attempt), exact.attempt(&attempt));
                    }
                    let steps = compressed.cluster.steps();
                    let alpha = match estimator {
                        "estimator=root" => 1.0 / steps as f64,
                        other => other[6..9].parse().unwrap(),
                    };
                    let residual = |run: &mut Run| run.states().mean(n, "residual", |_| 0.1 * alpha);
                    let (ours, theirs) = (residual(&mut compressed), residual(&mut exact));
                    // x = x_0 − γΣv, so the sums differ by −α_T(δ_T − δ_T of the exact run).
                    let moved: Vector = wide(&compressed.x).iter().zip(ours).map(|(x, e)| x - e).collect();
                    let expected: Vector = wide(&exact.x).iter().zip(theirs).map(|(x, e)| x - e).collect();
                    close(&moved, &expected, 1e-3, &format!("{method}/{compressor}, n {n}, seed {seed}"));
                }
            }
        }
    }
}
