//! Workers that take several steps of a Burn optimizer between two rounds.

mod net;

use backburn_compress::{AnyCompressor, TopK};
use backburn_optim::{
    AnyAlgorithm, EfSgd, Fragments, Group, GroupConfig, LocalSteps, OuterSgd, Preset, RoundError, Snapshot,
};
use burn::optim::{AdamWConfig, ModuleOptimizer, MuonConfig, SgdConfig};
use net::{Net, cpu, grads, net};

fn outer(method: OuterSgd, compressor: &str, workers: usize, net: &Net) -> Group {
    let compressor: AnyCompressor = compressor.parse().unwrap();
    GroupConfig::any(AnyAlgorithm::new(method), compressor).with_workers(workers).with_seed(3).init(net).unwrap()
}

fn sgd() -> ModuleOptimizer {
    SgdConfig::new().init()
}

/// What each of these workers owes, in units of x.
fn owed(local: &mut LocalSteps<Net>) -> Vec<Vec<f32>> {
    let mut snapshot = Snapshot::default();
    local.group_mut().cluster_mut().save_into(&mut snapshot);
    let layout = local.group().layout().clone();
    let of = |w: usize| {
        let lr = snapshot.real(&format!("worker.{w}.lr")).unwrap() as f32;
        let piece =
            |p: &backburn_compress::Parameter| snapshot.vectors[&format!("worker.{w}.residual/{}", p.path)].clone();
        layout.parameters().iter().flat_map(piece).map(|e| e * lr).collect()
    };
    (0..local.group().workers()).map(of).collect()
}

fn close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    for (j, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: coordinate {j}: {a} against {b}");
    }
}

/// H = 1, SGD of γ inside and an outer step of 1, is EF-SGD of γ, to the rounding of θ − θ_i.
#[test]
fn one_step_of_sgd_is_ef_sgd() {
    for compressor in ["topk:0.2", "sign:scaled", "randk:0.3"] {
        let start = net(&cpu());
        let mut local =
            LocalSteps::new(outer(OuterSgd::new(), compressor, 3, &start), start.clone(), sgd(), 1).unwrap();
        let config = GroupConfig::any(AnyAlgorithm::new(EfSgd::new()), compressor.parse().unwrap());
        let (mut group, mut model) = (config.with_workers(3).with_seed(3).init(&start).unwrap(), start);
        for step in 0..12 {
            let lr = [0.1, 0.03][usize::from(step > 5)];
            let traffic = local.step(lr, 1.0, |worker, replica| grads(replica, worker, step)).unwrap().unwrap();
            let round = group.round(lr, &model, (0..3).map(|w| grads(&model, w, step)).collect()).unwrap();
            assert_eq!(&traffic, round.traffic());
            model = round.apply(model);
            let (ours, theirs) = (group.parameters(local.model()).unwrap(), group.parameters(&model).unwrap());
            close(ours.as_slice(), theirs.as_slice(), 2e-6, &format!("{compressor}, step {step}"));
        }
    }
}

/// At β = 1 what was sent and what is owed add up to the sum of all Δ, also where workers are absent and steps change.
#[test]
fn sent_and_owed_are_all_that_workers_came_by() {
    let n = 3;
    let start = net(&cpu());
    let adamw = AdamWConfig::new().with_weight_decay(0.1).init();
    let mut local = LocalSteps::new(outer(OuterSgd::new(), "topk:0.1", n, &start), start, adamw, 4).unwrap();
    let x0 = local.group().parameters(local.model()).unwrap();
    let d = x0.len();
    let mut due = vec![0.0f32; d];
    let mut missed = vec![vec![0.0f32; d]; n];
    for round in 0..8 {
        let lr = [1.0, 1.0, 0.6][round % 3];
        for step in 0..4 {
            local.inner_step(0.02, |worker, replica| Ok(grads(replica, worker, 4 * round + step))).unwrap();
        }
        let theta = local.group().parameters(local.model()).unwrap();
        let absent = |w: usize| (round + w).is_multiple_of(3);
        for (w, missed) in missed.iter_mut().enumerate() {
            let own = local.group().parameters(local.replica(w).unwrap()).unwrap();
            for j in 0..d {
                missed[j] += theta.as_slice()[j] - own.as_slice()[j];
                if !absent(w) {
                    due[j] += lr as f32 * missed[j] / n as f32;
                    missed[j] = 0.0;
                }
            }
        }
        local.partial_exchange(lr, |w| !absent(w)).unwrap();
        let x = local.group().parameters(local.model()).unwrap();
        let owed = owed(&mut local);
        let paid: Vec<f32> = (0..d)
            .map(|j| x0.as_slice()[j] - x.as_slice()[j] + owed.iter().map(|e| e[j]).sum::<f32>() / n as f32)
            .collect();
        close(&paid, &due, 1e-4, &format!("round {round}"));
    }
}

/// Streaming against its formulas in a plain loop: Δ of a fragment is formed τ steps early, θ_p follows Nesterov's outer
/// step, and workers go on from (1 − α)θ + αθ_i there.
#[test]
fn fragments_are_exchanged_as_their_formulas_say() {
    let (n, spacing, gamma, mu) = (2, 3, 0.4f32, 0.9f32);
    for (delay, mix, sequential) in [(0, 0.0, false), (0, 0.5, true), (1, 0.5, false), (2, 0.25, true)] {
        let start = net(&cpu());
        let fragments = Fragments::new(2).unwrap().with_delay(delay).with_mix(mix).unwrap();
        let fragments = if sequential { fragments.with_sequential_layers() } else { fragments };
        let group = outer(OuterSgd::preset(Preset::DiLoCo), "identity", n, &start);
        let local = LocalSteps::new(group, start.clone(), sgd(), 2 * spacing).unwrap();
        let mut local = local.with_fragments(fragments).unwrap();
        let reads = outer(OuterSgd::new(), "identity", n, &start);
        let mut theta = reads.parameters(&start).unwrap().into_vec();
        let mut momentum = vec![0.0f32; theta.len()];
        let mut replicas: Vec<(Net, ModuleOptimizer)> = vec![(start.clone(), sgd()); n];
        let ranges = [0..35, 35..53];
        let (mut next, mut since, mut rounds) = (0, 0, 0);
        let read = |replica: &Net| reads.parameters(replica).unwrap().into_vec();
        for step in 0..15 {
            let mut outer_step = |replicas: &[(Net, ModuleOptimizer)], next: usize| {
                let all: Vec<Vec<f32>> = replicas.iter().map(|(replica, _)| read(replica)).collect();
                for j in ranges[next].clone() {
                    let d = all.iter().map(|x| theta[j] - x[j]).sum::<f32>() / n as f32;
                    momentum[j] = mu * momentum[j] + d;
                    theta[j] -= gamma * (d + mu * momentum[j]);
                }
            };
            if delay > 0 && since + delay == spacing {
                outer_step(&replicas, next);
            }
            for (worker, (replica, optim)) in replicas.iter_mut().enumerate() {
                let grads = grads(replica, worker, step);
                *replica = optim.step(0.1, replica.clone(), grads);
            }
            since += 1;
            if since == spacing {
                if delay == 0 {
                    outer_step(&replicas, next);
                }
                for (replica, _) in &mut replicas {
                    let mut x = read(replica);
                    for j in ranges[next].clone() {
                        x[j] = (1.0 - mix as f32) * theta[j] + mix as f32 * x[j];
                    }
                    *replica = reads.with_parameters(replica.clone(), &x).unwrap();
                }
                (next, since, rounds) = (1 - next, 0, rounds + 1);
            }
            let heard = local.step(0.1, gamma.into(), |worker, replica| grads(replica, worker, step)).unwrap();
            let what = format!("delay {delay}, mix {mix}, step {step}");
            assert_eq!(heard.is_some(), since == 0, "{what}");
            // The other fragment is told in a few bytes that say nothing.
            assert!(heard.is_none_or(|heard| heard.per_worker().up < 4.0 * 36.0 + 40.0), "{what}");
            close(read(local.model()).as_slice(), &theta, 1e-5, &what);
            for (worker, (replica, _)) in replicas.iter().enumerate() {
                close(&read(local.replica(worker).unwrap()), &read(replica), 1e-5, &what);
            }
        }
        assert_eq!(rounds, 5);
    }
}

/// Moments, replicas and what is owed are saved with their worker: a run goes on with the same bits from any step.
#[test]
fn resumes_bit_for_bit_in_the_middle_of_h() {
    let adamw = || AdamWConfig::new().with_beta_2(0.95).init();
    let inners: [(fn() -> ModuleOptimizer, Preset); 3] =
        [(adamw, Preset::SparseLoCo), (|| SgdConfig::new().init(), Preset::DiLoCo), (adamw, Preset::MuLoCo)];
    for (inner, preset) in inners {
        for (cut, fragments) in [
            (0, Fragments::WHOLE),
            (2, Fragments::WHOLE),
            (5, Fragments::WHOLE),
            (6, Fragments::WHOLE),
            (2, "2,delay=2,mix=0.5".parse().unwrap()),
            (4, "2,delay=2,mix=0.5".parse().unwrap()),
            (5, "2,delay=1,mix=0.5".parse().unwrap()),
            (6, "2,delay=1,mix=0.5".parse().unwrap()),
        ] {
            let make = || {
                let start = net(&cpu());
                let group = outer(OuterSgd::preset(preset), "topk:0.2", 2, &start);
                let local = LocalSteps::new(group, start, inner(), 3 * fragments.count() as u64).unwrap();
                local.with_fragments(fragments).unwrap()
            };
            let run = |local: &mut LocalSteps<Net>, steps: std::ops::Range<usize>| {
                for step in steps {
                    local.step(0.05, 0.7, |worker, replica| grads(replica, worker, step)).unwrap();
                }
            };
            let (mut whole, mut first, mut second) = (make(), make(), make());
            run(&mut whole, 0..10);
            run(&mut first, 0..cut);
            let bytes = first.snapshot().unwrap().to_bytes();
            second.restore(&Snapshot::from_bytes(&bytes, "memory").unwrap()).unwrap();
            assert_eq!(second.since_round(), cut as u64 % 3);
            run(&mut second, cut..10);
            assert!(whole.snapshot().unwrap() == second.snapshot().unwrap(), "{preset:?}, {fragments}, cut at {cut}");
        }
    }
}

#[test]
fn another_optimizer_s_state_and_a_bad_gradient_are_refused_and_change_nothing() {
    let start = net(&cpu());
    let make = |inner: ModuleOptimizer| {
        LocalSteps::new(outer(OuterSgd::new(), "topk:0.2", 2, &start), start.clone(), inner, 3).unwrap()
    };
    let mut local = make(AdamWConfig::new().init());
    local.step(0.05, 1.0, |worker, replica| grads(replica, worker, 0)).unwrap();
    let saved = local.snapshot().unwrap();
    let error = make(MuonConfig::new().init()).restore(&saved).unwrap_err();
    assert!(error.to_string().contains("is not this optimizer's"), "{error}");
    let bad = |worker: usize, replica: &Net| {
        let mut grads = grads(replica, worker, 1);
        if worker == 1 {
            let id = replica.second.weight.id;
            let g = grads.remove::<2>(id).unwrap();
            grads.register::<2>(id, g * f32::NAN);
        }
        grads
    };
    let error = local.step(0.05, 1.0, bad).unwrap_err();
    assert!(matches!(&error, RoundError::NonFinite { worker: 1, path, .. } if path == "second.weight"), "{error}");
    assert!(local.snapshot().unwrap() == saved);
    let group = GroupConfig::new(EfSgd::new(), TopK::ratio(0.1).unwrap()).init(&start).unwrap();
    assert!(LocalSteps::new(group, start.clone(), sgd(), 0).is_err());
}
