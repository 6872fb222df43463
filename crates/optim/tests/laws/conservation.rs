//! Laws 1 and 5: nothing is lost, as a method itself says what it conserves.

use backburn_optim::{Alpha, AnyAlgorithm, Conserves, Owner, Parent, UNSAID};

use crate::textbook::{Recursion, papers_form};
use crate::world::*;

/// The methods that obey law 1, with what the table does not combine.
fn conserving() -> Vec<(String, AnyAlgorithm, Conserves, Parent)> {
    let more = [
        "perturbed:r=0",
        "ef-sgd:weight-decay=0.1",
        "ef-sgd:momentum=0.5,weight-decay=0.1,nesterov,outside",
        "neolithic:rounds=3,momentum=0.5,weight-decay=0.1",
        "powersgd:rank=2",
        "sketched-topk:k=2,cols=2,rows=2",
        "dgc:momentum=0,warmup=8",
    ];
    let mut found = Vec::new();
    for method in methods().into_iter().chain(more.map(String::from)) {
        let algorithm: AnyAlgorithm = method.parse().unwrap();
        let conserves = algorithm.conserves();
        assert!(conserves != Err(UNSAID), "{method} does not say what it conserves");
        if let Ok(units @ (Conserves::Inside | Conserves::Outside)) = conserves {
            let parent = algorithm.parent().unwrap();
            found.push((method, algorithm, units, parent));
        }
    }
    assert!(found.len() >= 20, "{} methods", found.len());
    found
}

/// What every worker owed, was to pay and has paid, in units of x.
struct Ledger {
    units: Conserves,
    parent: Parent,
    recursions: Vec<Recursion>,
    due: Vec<Vector>,
    paid: Vec<Vector>,
    seen: usize,
}

impl Ledger {
    fn new(units: Conserves, parent: &Parent, run: &Run) -> Self {
        let (n, zero) = (run.world.workers, vec![0.0; run.x.len()]);
        let recursions = vec![Recursion::default(); n];
        Self { units, parent: parent.clone(), recursions, due: vec![zero.clone(); n], paid: vec![zero; n], seen: 0 }
    }

    /// One unit of a worker's residual in units of x.
    fn unit(&self, states: &States, worker: usize) -> f64 {
        if self.units == Conserves::Inside { 1.0 } else { states.numbers[&format!("worker.{worker}.lr")] }
    }

    /// After an attempt, whether it counted or not.
    fn check(&mut self, run: &mut Run, attempt: &Attempt, counted: bool, what: &str) {
        let n = run.world.workers;
        for served in &run.served[self.seen..] {
            let (w, g) = (served.worker, wide(&served.gradient));
            let d = self.recursions[w].apply(&self.parent.local, g, &wide(&served.x), n, 0, served.lr);
            self.due[w].iter_mut().zip(&d).for_each(|(due, d)| *due += served.lr * d);
        }
        self.seen = run.served.len();
        let states = run.states();
        let mut corrected = wide(run.x.as_slice());
        for owed in &states.owed {
            let (unit, share) = match owed.owner {
                Owner::Worker(w) => (self.unit(&states, w), 1.0 / n as f64),
                _ => (1.0, 1.0),
            };
            corrected.iter_mut().zip(&owed.e).for_each(|(x, e)| *x -= share * unit * e);
            let Owner::Worker(w) = owed.owner else { continue };
            // With the step size outside nothing is said where there is none.
            let speaks = self.units == Conserves::Inside || attempt.lr > 0.0;
            let heard = !attempt.mishap.absent.contains(&w) && !attempt.mishap.lost.contains(&(0, w));
            if counted && speaks && heard {
                self.paid[w].iter_mut().zip(&owed.applied).for_each(|(paid, a)| *paid += unit * a);
            }
            let settled: Vector = self.paid[w].iter().zip(&owed.e).map(|(paid, e)| paid + unit * e).collect();
            close(&settled, &self.due[w], 2e-4, &format!("{what}, worker {w}"));
        }
        // x_t − mean e_t − ẽ_t = x_0 − Σγ mean d.
        let mean = |j: usize| -self.due.iter().map(|due| due[j]).sum::<f64>() / n as f64;
        let expected: Vector = (0..corrected.len()).map(mean).collect();
        close(&corrected, &expected, 2e-4, what);
    }
}

#[test]
fn law_1_residuals_are_conserved_whatever_goes_wrong() {
    let mut runs = 0;
    for (method, _, units, parent) in conserving() {
        for compressor in compressors() {
            for seed in 0..3 {
                let n = [1, 3, 4][seed as usize];
                let Ok(mut run) = World::new(seed, n, true).start(&method, &compressor) else { continue };
                let mut ledger = Ledger::new(units, &parent, &run);
                for (t, attempt) in schedule(seed, n, false, 14).iter().enumerate() {
                    let counted = run.attempt(attempt);
                    ledger.check(
                        &mut run,
                        attempt,
                        counted,
                        &format!("{method}/{compressor}, n {n}, seed {seed}, {t}"),
                    );
                }
                runs += 1;
            }
        }
    }
    assert!(runs > 1000, "{runs} runs");
}

#[test]
fn law_1_holds_with_a_failure_at_every_message_of_every_round() {
    for (method, _, units, parent) in conserving() {
        for compressor in ["topk:0.3", "randk:0.3", "sign:scaled"] {
            for (round, worker) in (0..3).flat_map(|round| (0..3).map(move |worker| (round, worker))) {
                let mut run = World::new(5, 3, true).start(&method, compressor).unwrap();
                let mut ledger = Ledger::new(units, &parent, &run);
                let what = format!("{method}/{compressor}, lost in round {round} of {worker}");
                let mut failed = 0;
                for t in 0..6 {
                    let mut mishap = Mishap::default();
                    if t == 2 || t == 3 {
                        mishap.lost.insert((round, worker));
                    }
                    let attempt = Attempt { lr: [0.1, 0.02][usize::from(t > 2)], mishap };
                    let counted = run.attempt(&attempt);
                    failed += usize::from(!counted);
                    ledger.check(&mut run, &attempt, counted, &what);
                }
                // Only a method of several rounds can fail in a later one.
                assert!(failed == 0 || round == 1, "{what}: {failed} failures");
                assert_eq!(run.cluster.steps(), 6 - failed as u64);
            }
        }
    }
}

/// x − mean e, e in units of x.
fn corrected(run: &mut Run, units: Conserves) -> Vector {
    let states = run.states();
    let ledger = Ledger::new(units, &Parent::default(), run);
    let mut x = wide(run.x.as_slice());
    for owed in &states.owed {
        let scale = match owed.owner {
            Owner::Worker(w) => ledger.unit(&states, w) / run.world.workers as f64,
            _ => 1.0,
        };
        x.iter_mut().zip(&owed.e).for_each(|(x, e)| *x -= scale * e);
    }
    x
}

#[test]
fn law_1_an_accepted_reset_pays_what_is_owed() {
    // Without noise and with a small step every reset finds a lower f.
    for n in [1, 3] {
        for compressor in ["topk:0.3", "sign:scaled", "randk:0.2"] {
            let mut world = World::new(11, n, true);
            world.noise = 0.0;
            let mut run = world.start("perturbed:r=0,interval=3", compressor).unwrap();
            for t in 0..12 {
                run.whole(0.02);
                let mut expected = vec![0.0; run.x.len()];
                for served in &run.served {
                    expected.iter_mut().zip(&served.gradient).for_each(|(x, g)| *x -= 0.02 * f64::from(*g) / n as f64);
                }
                close(&corrected(&mut run, Conserves::Outside), &expected, 2e-4, compressor);
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
            assert!(run.x.as_slice().iter().any(|x| *x != 0.0));
            run.whole(50.0);
            assert!(run.x.as_slice().iter().all(|x| *x == 0.0), "{:?}", run.x);
            assert!(run.cluster.observe().residual_norms.iter().all(|e| *e == 0.0));
        }
    }
}

#[test]
fn law_1_joining_and_leaving_conserve_the_mean_residual() {
    for (method, _, units, _) in conserving() {
        for (from, to) in [(2, 5), (5, 2), (3, 4), (4, 1)] {
            let mut run = World::new(9, 5, true).start(&method, "topk:0.3").unwrap();
            run.world.workers = from;
            run.resize(from).unwrap();
            (0..5).for_each(|t| run.whole([0.1, 0.03][t % 2]));
            let before = corrected(&mut run, units);
            run.resize(to).unwrap();
            run.world.workers = to;
            close(&corrected(&mut run, units), &before, 1e-5, &method);
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
        let divisible = method.parse::<AnyAlgorithm>().unwrap().is_divisible();
        let resized = run.resize(2);
        assert_eq!(resized.is_ok(), divisible, "{method}: {resized:?}");
        assert_eq!(run.cluster.workers(), if divisible { 2 } else { 4 });
        assert!(run.resize(0).is_err());
        run.world.workers = run.cluster.workers();
        run.whole(0.1);
    }
}

#[test]
fn workers_whose_states_are_apart_are_not_averaged() {
    for method in ["ef-sgd:outside", "dgc", "ecx"] {
        let mut run = World::new(3, 3, true).start(method, "topk:0.3").unwrap();
        run.whole(0.1);
        let mishap = Mishap { absent: [1].into(), ..Mishap::default() };
        run.attempt(&Attempt { lr: 0.01, mishap });
        assert!(run.resize(2).unwrap_err().to_string().starts_with("worker 1 was absent lately"), "{method}");
        run.whole(0.01);
        run.resize(2).unwrap();
    }
}

#[test]
fn law_5_the_errors_of_an_estimator_telescope() {
    let more = ["ecx:alpha=0.3,estimator=storm", "ecx:alpha=0.6,estimator=igt", "ecx:alpha=1"];
    let mut estimating = 0;
    for method in methods().into_iter().chain(more.map(String::from)) {
        if method.parse::<AnyAlgorithm>().unwrap().conserves() != Ok(Conserves::Estimator) {
            continue;
        }
        estimating += 1;
        for seed in 0..4 {
            for compressor in compressors() {
                let n = [1, 2, 3, 4][seed as usize];
                // Gradients that do not depend on x: the same A_t in both runs.
                let world = World::new(seed, n, false);
                let Ok(mut compressed) = world.start(&method, &compressor) else { continue };
                let mut exact = world.start(&method, "identity").unwrap();
                for attempt in schedule(seed, n, false, 12) {
                    assert_eq!(compressed.attempt(&attempt), exact.attempt(&attempt));
                    // Who missed a step makes up for it at the next one.
                    let Mishap { absent, lost } = &attempt.mishap;
                    if !absent.is_empty() || lost.iter().any(|(round, _)| *round == 0) {
                        continue;
                    }
                    // x = x_0 − Σγv, and Σγ(v − v*) = −u, the workers' mean.
                    let expected = corrected(&mut exact, Conserves::Outside);
                    let what = format!("{method}/{compressor}, n {n}, seed {seed}, γ {}", attempt.lr);
                    close(&corrected(&mut compressed, Conserves::Outside), &expected, 1e-3, &what);
                }
            }
        }
    }
    assert!(estimating >= 6, "{estimating} methods");
}

#[test]
fn law_5_at_a_constant_step_size_it_is_the_papers_form() {
    let forms = [
        ("ecx:alpha=0.6", Alpha::Constant(0.6), 1.0, false),
        ("ecx:alpha=0.6,beta=0.7", Alpha::Constant(0.6), 0.7, false),
        ("ecx:alpha=0.4,one-step", Alpha::Constant(0.4), 1.0, true),
        ("ecx:alpha=0.4,beta=0.7,one-step", Alpha::Constant(0.4), 0.7, true),
        ("ecx:estimator=root,beta=0.8", Alpha::Harmonic, 0.8, false),
    ];
    for (method, alpha, beta, one_step) in forms {
        for seed in 0..5 {
            let mut world = World::new(seed, 1, false);
            world.reshape(vec![("p".into(), vec![10])]);
            world.curvature.fill(0.0);
            let mut run = world.start(method, "topk:k=4").unwrap();
            let mut xs = Vec::new();
            for _ in 0..10 {
                run.whole(0.1);
                xs.push(wide(run.x.as_slice()));
            }
            // ROOT-SGD asks for two gradients a step; they are the same here, so that A_t is the gradient.
            let mut gradients: Vec<Vector> = Vec::new();
            for t in 0..10 {
                let served = run.served.iter().find(|s| s.attempt == t).unwrap();
                gradients.push(wide(&served.gradient));
            }
            for (t, (x, y)) in xs.iter().zip(papers_form(alpha, beta, one_step, 0.1, 4, &gradients)).enumerate() {
                close(x, &y, 1e-4, &format!("{method}, seed {seed}, step {t}"));
            }
        }
    }
}
