//! Workers that take several steps of a Burn optimizer between two rounds.

use backburn_compress::{AnyCompressor, Identity, TopK};
use backburn_optim::{
    AnyAlgorithm, EfSgd, Group, GroupConfig, LocalSteps, OuterSgd, Preset, RoundError, Snapshot, device,
};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, MuonConfig, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
}

fn net(device: &Device) -> Net {
    let net = Net { first: LinearConfig::new(6, 5).init(device), second: LinearConfig::new(5, 3).init(device) };
    let probe = GroupConfig::new(EfSgd::new(), Identity).init(&net).unwrap();
    let x: Vec<f32> = (0..probe.layout().len()).map(|i| (i as f32 * 0.37).sin()).collect();
    probe.with_parameters(net, &x).unwrap()
}

fn cpu() -> Device {
    device("auto").unwrap().autodiff()
}

fn grads(net: &Net, worker: usize, step: usize) -> GradientsParams {
    let device = net.first.weight.val().device();
    let values: Vec<f32> = (0..24).map(|i| (i as f32 + 10.0 * worker as f32 + step as f32).cos()).collect();
    let x = Tensor::<1>::from_data(TensorData::new(values, [24]), &device).reshape([4, 6]);
    let out = net.second.forward(net.first.forward(x).tanh());
    GradientsParams::from_grads(out.powi_scalar(2).mean().backward(), net)
}

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

/// Moments, replicas and what is owed are saved with their worker: a run goes on with the same bits from any step.
#[test]
fn resumes_bit_for_bit_in_the_middle_of_h() {
    let adamw = || AdamWConfig::new().with_beta_2(0.95).init();
    let inners: [(fn() -> ModuleOptimizer, Preset); 3] =
        [(adamw, Preset::SparseLoCo), (|| SgdConfig::new().init(), Preset::DiLoCo), (adamw, Preset::MuLoCo)];
    for (inner, preset) in inners {
        for cut in [0, 2, 5, 6] {
            let make = || {
                let start = net(&cpu());
                LocalSteps::new(outer(OuterSgd::preset(preset), "topk:0.2", 2, &start), start, inner(), 3).unwrap()
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
            assert!(whole.snapshot().unwrap() == second.snapshot().unwrap(), "{preset:?}, cut at {cut}");
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
