//! Laws 4 and 6: what is tracked is tracked.

use backburn_optim::{AnyAlgorithm, Conserves};

use crate::world::*;

fn conserves(method: &str) -> Option<Conserves> {
    method.parse::<AnyAlgorithm>().unwrap().conserves().ok()
}

#[test]
fn law_4_what_is_tracked_is_the_mean_of_the_workers() {
    let mut tracking = 0;
    for method in methods() {
        let Some(Conserves::Tracked(h)) = conserves(&method) else { continue };
        tracking += 1;
        for seed in 0..4 {
            for compressor in compressors() {
                let n = 2 + (seed as usize % 3);
                let Ok(mut run) = World::new(seed, n, true).start(&method, &compressor) else { continue };
                for (t, attempt) in schedule(seed, n, false, 12).iter().enumerate() {
                    run.attempt(attempt);
                    let states = run.states();
                    let what = format!("{method}/{compressor}, n {n}, seed {seed}, attempt {t}");
                    close(&states.vector(&format!("shared.{h}")), &states.mean(n, h, |_| 1.0), 1e-5, &what);
                }
            }
        }
    }
    assert!(tracking >= 6, "{tracking} methods");
}

#[test]
fn law_6_the_mean_of_v_is_the_mean_of_the_gradients() {
    let mut failures = 0;
    let more = ["ring", "torus", "complete", "er:0.3", "er:0.7"].map(|graph| format!("beer:gossip=0.3,graph={graph}"));
    for method in methods().into_iter().chain(more) {
        let Some(Conserves::Gossip { v, gradient }) = conserves(&method) else { continue };
        for seed in 0..4 {
            for compressor in compressors() {
                let n = 3 + (seed as usize % 4);
                let Ok(mut run) = World::new(seed, n, true).start(&method, &compressor) else { continue };
                for attempt in schedule(seed, n, true, 12) {
                    failures += usize::from(!run.attempt(&attempt));
                    let states = run.states();
                    let what = format!("{method}/{compressor}, n {n}, seed {seed}");
                    close(&states.mean(n, v, |_| 1.0), &states.mean(n, gradient, |_| 1.0), 1e-4, &what);
                    // The mixed copies are those of the nodes, with doubly stochastic weights.
                    for copy in ["h", "g"] {
                        let mut mixed = vec![0.0; run.x.len()];
                        for i in 0..n {
                            let own = states.vector(&format!("node.{i}.{copy}"));
                            mixed.iter_mut().zip(own).for_each(|(m, x)| *m += x / n as f64);
                        }
                        close(&mixed, &states.mean(n, copy, |_| 1.0), 1e-4, &what);
                    }
                }
            }
        }
    }
    assert!(failures > 0, "the schedules lose something");
}

#[test]
fn a_failed_gossip_round_is_rolled_back_whole() {
    let mut run = World::new(4, 4, true).start("beer", "topk:0.3").unwrap();
    (0..3).for_each(|_| run.whole(0.1));
    let before = snapshot(&mut run);
    let mishap = Mishap { lost: [(0, 2)].into(), ..Mishap::default() };
    assert!(!run.attempt(&Attempt { lr: 0.1, mishap }));
    assert_eq!(snapshot(&mut run), before);
}

fn snapshot(run: &mut Run) -> backburn_optim::Snapshot {
    let mut snapshot = backburn_optim::Snapshot::default();
    run.cluster.save_into(&mut snapshot);
    snapshot
}
