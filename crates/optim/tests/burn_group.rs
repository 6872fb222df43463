//! `Group` on Burn modules.

mod net;

use backburn_compress::{Identity, Scope, TopK};
use backburn_optim::{CompressedSgd, EfSgd, Group, GroupConfig, RoundError, SetupError, Sgd, StepIsOwned};
use burn::optim::{AdamWConfig, GradientsParams, SgdConfig};
use net::{Net, cpu, grads, net};

fn all(net: &Net, n: usize, step: usize) -> Vec<GradientsParams> {
    (0..n).map(|w| grads(net, w, step)).collect()
}

fn bits(group: &Group, net: &Net) -> Vec<u32> {
    group.parameters(net).unwrap().as_slice().iter().map(|x| x.to_bits()).collect()
}

#[test]
fn one_worker_under_identity_is_burns_sgd() {
    let device = cpu();
    let (mut ours, mut theirs) = (net(&device), net(&device));
    let mut group = GroupConfig::new(EfSgd::new(), Identity).init(&ours).unwrap();
    let mut sgd = SgdConfig::new().init();
    for step in 0..6 {
        let g = all(&ours, 1, step);
        ours = group.round(0.1, &ours, g).unwrap().apply(ours);
        let g = grads(&theirs, 0, step);
        theirs = sgd.step(0.1, theirs, g);
    }
    let places = GroupConfig::new(Sgd::default(), Identity).init(&theirs).unwrap();
    assert_eq!(bits(&group, &ours), bits(&places, &theirs));
}

#[test]
fn any_optimizer_may_follow_where_the_step_is_open() {
    let device = cpu();
    let mut model = net(&device);
    let open = EfSgd::new().with_step_outside();
    let mut group = GroupConfig::new(open, TopK::ratio(0.3).unwrap()).with_workers(3).init(&model).unwrap();
    let mut adamw = AdamWConfig::new().init();
    let before = bits(&group, &model);
    for step in 0..3 {
        let g = all(&model, 3, step);
        let round = group.round(1.0, &model, g).unwrap();
        model = adamw.step(0.01, model, round.direction().unwrap());
    }
    assert_ne!(bits(&group, &model), before);
    let mut owned = GroupConfig::new(EfSgd::new(), Identity).init(&model).unwrap();
    let g = all(&model, 1, 0);
    assert_eq!(owned.round(0.1, &model, g).unwrap().direction().unwrap_err(), StepIsOwned);
}

#[test]
fn a_rejected_round_changes_nothing() {
    let device = cpu();
    let mut model = net(&device);
    let method = EfSgd::new().with_momentum(0.9).unwrap();
    let mut group = GroupConfig::new(method, TopK::ratio(0.2).unwrap()).with_workers(3).init(&model).unwrap();
    for step in 0..3 {
        let g = all(&model, 3, step);
        model = group.round(0.1, &model, g).unwrap().apply(model);
    }
    let before = group.snapshot(&model).unwrap();
    let mut poisoned = all(&model, 3, 3);
    let g = poisoned[1].remove::<2>(model.second.weight.id).unwrap();
    poisoned[1].register::<2>(model.second.weight.id, g * f32::INFINITY);
    let error = group.round(0.1, &model, poisoned).unwrap_err();
    match &error {
        RoundError::NonFinite { step: 3, worker: 1, path, .. } => assert_eq!(path, "second.weight"),
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("step 3, worker 1: the gradient of `second.weight`"));
    assert_eq!(group.snapshot(&model).unwrap(), before);
}

#[test]
fn a_restored_group_goes_on_bit_for_bit_in_every_scope() {
    let device = cpu();
    for scope in [Scope::Parameter, Scope::Global, Scope::Bucket(10)] {
        for form in ["topk:0.2", "randk:0.2", "sign:scaled", "threshold:0.01"] {
            let start = |model: &Net| {
                let builder = GroupConfig::any("ef-sgd:momentum=0.9".parse().unwrap(), form.parse().unwrap());
                builder.with_workers(4).with_seed(3).with_scope(scope).with_dense_below(4).init(model).unwrap()
            };
            let advance = |group: &mut Group, model: Net, step| {
                let g = all(&model, 4, step);
                group.round(0.1, &model, g).unwrap().apply(model)
            };
            let mut whole = net(&device);
            let mut group = start(&whole);
            let mut bytes = Vec::new();
            for step in 0..8 {
                if step == 4 {
                    bytes = group.snapshot(&whole).unwrap().to_bytes();
                }
                whole = advance(&mut group, whole, step);
            }
            let mut resumed = net(&device);
            let mut other = start(&resumed);
            let snapshot = backburn_optim::Snapshot::from_bytes(&bytes, "memory").unwrap();
            resumed = other.restore(resumed, &snapshot).unwrap();
            for step in 4..8 {
                resumed = advance(&mut other, resumed, step);
            }
            assert_eq!(bits(&group, &whole), bits(&other, &resumed), "{scope} {form}");
        }
    }
}

#[test]
fn residuals_survive_another_scope_and_another_number_of_workers() {
    let device = cpu();
    let mut model = net(&device);
    let start = |n, scope| {
        let builder = GroupConfig::new(EfSgd::new(), TopK::ratio(0.1).unwrap()).with_workers(n).with_scope(scope);
        move |model: &Net| builder.init(model).unwrap()
    };
    let mut group = start(4, Scope::Parameter)(&model);
    for step in 0..3 {
        let g = all(&model, 4, step);
        model = group.round(0.1, &model, g).unwrap().apply(model);
    }
    let snapshot = group.snapshot(&model).unwrap();
    let mean = |snapshot: &backburn_optim::Snapshot, n: usize, path: &str| -> Vec<f64> {
        let vectors: Vec<_> =
            (0..n).map(|w| snapshot.vectors[&format!("worker.{w}.residual/{path}")].clone()).collect();
        (0..vectors[0].len()).map(|j| vectors.iter().map(|v| f64::from(v[j])).sum::<f64>() / n as f64).collect()
    };
    for (n, scope) in [(2, Scope::Global), (7, Scope::Bucket(9)), (1, Scope::Parameter)] {
        let mut other = start(n, scope)(&model);
        model = other.restore(model, &snapshot).unwrap();
        let again = other.snapshot(&model).unwrap();
        for path in ["first.weight", "second.bias"] {
            let (before, after) = (mean(&snapshot, 4, path), mean(&again, n, path));
            assert!(before.iter().zip(after.iter()).all(|(a, b)| (a - b).abs() < 1e-7), "{n} workers, {scope}, {path}");
            assert!(before.iter().any(|b| *b != 0.0), "something is owed");
        }
    }
}

#[test]
fn an_absent_worker_keeps_what_it_owes_and_the_mean_still_divides_by_n() {
    let device = cpu();
    let mut model = net(&device);
    let mut group = GroupConfig::new(EfSgd::new(), Identity).with_workers(2).init(&model).unwrap();
    let before = group.parameters(&model).unwrap();
    let (_, places) = backburn_optim::Places::new(&model, Scope::Parameter, 0).unwrap();
    let g = places.flatten(&model, grads(&model, 0, 0)).unwrap().vector;
    let round = group.partial_round(1.0, &model, vec![Some(grads(&model, 0, 0)), None]).unwrap();
    assert_eq!(round.traffic().workers[1].up, 0);
    model = round.apply(model);
    let after = group.parameters(&model).unwrap();
    for ((x, y), g) in before.as_slice().iter().zip(after.as_slice().iter()).zip(g.as_slice().iter()) {
        assert_eq!(x - g / 2.0, *y);
    }
}

#[test]
fn nonsense_is_refused_with_the_reason() {
    let device = cpu();
    let model = net(&device);
    let none = GroupConfig::new(Sgd::default(), Identity).with_workers(0).init(&model).unwrap_err();
    assert_eq!(none, SetupError::NoWorkers);
    let sign = GroupConfig::any("ef-sgd".parse().unwrap(), "sign".parse().unwrap()).init(&model).unwrap_err();
    assert!(sign.to_string().contains("no bound relative to its input"));
    let mut group = GroupConfig::new(CompressedSgd::default(), Identity).with_workers(2).init(&model).unwrap();
    let error = group.round(0.1, &model, all(&model, 3, 0)).unwrap_err();
    assert_eq!(error.to_string(), "3 gradients for 2 workers");
    let error = group.round(f64::NAN, &model, all(&model, 2, 0)).unwrap_err();
    assert!(error.to_string().contains("it must be 0, or from"), "{error}");
}

#[test]
fn a_damaged_or_foreign_snapshot_changes_nothing() {
    let device = cpu();
    let model = net(&device);
    let mut group = GroupConfig::new(EfSgd::new(), Identity).with_workers(2).init(&model).unwrap();
    let mut bytes = group.snapshot(&model).unwrap().to_bytes();
    let flipped = bytes.len() - 3;
    bytes[flipped] ^= 1;
    let error = backburn_optim::Snapshot::from_bytes(&bytes, "memory").unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    assert!(backburn_optim::Snapshot::from_bytes(&bytes[..40], "memory").is_err());
    let mut other = GroupConfig::new(Sgd::default(), Identity).with_workers(2).init(&model).unwrap();
    let snapshot = group.snapshot(&model).unwrap();
    let error = other.restore(model, &snapshot).unwrap_err();
    assert!(error.to_string().contains("the method ef-sgd"), "{error}");
}
