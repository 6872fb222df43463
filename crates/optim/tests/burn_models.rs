//! Whatever model a group is given: made apart, frozen, tied, of any rank and type.

use backburn_compress::{Identity, Scope, TopK};
use backburn_optim::{
    EfSgd, EfSgdConfig, Group, GroupConfig, ModelError, ParameterGroup, RoundError, SetupError, Sgd, Snapshot,
    SnapshotError, device, mean_of_nodes,
};
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::quantization::QuantScheme;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// A module with one 1-D parameter.
#[derive(Module, Debug)]
struct M {
    a: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct Two {
    a: Param<Tensor<1>>,
    b: Param<Tensor<1>>,
}

fn cpu() -> Device {
    device("auto").unwrap().autodiff()
}

fn param(values: &[f32]) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &cpu()))
}

fn m(values: &[f32]) -> M {
    M { a: param(values) }
}

fn two(a: &[f32], b: &[f32]) -> Two {
    Two { a: param(a), b: param(b) }
}

fn values(p: &Param<Tensor<1>>) -> Vec<f32> {
    p.val().into_data().iter::<f32>().collect()
}

/// Gradients of these values.
fn of(pairs: &[(&Param<Tensor<1>>, &[f32])]) -> GradientsParams {
    let mut grads = GradientsParams::new();
    for (p, g) in pairs {
        let g = Tensor::<1>::from_data(TensorData::new(g.to_vec(), [g.len()]), &cpu().inner());
        grads.register(p.id, g);
    }
    grads
}

fn sgd<M: Module>(model: &M) -> Group {
    GroupConfig::new(Sgd::default(), Identity).init(model).unwrap()
}

#[test]
fn a_model_that_was_loaded_or_made_apart_is_the_same_model() {
    // Pins that no way into a group finds parameters by `ParamId`: save, parameters, with_parameters, apply, direction.
    let first = m(&[1.0, 2.0]);
    let mut group = sgd(&first);
    let apart = m(&[5.0, 6.0]);
    assert_ne!(first.a.id, apart.a.id);
    assert_eq!(group.parameters(&apart).unwrap().as_slice(), [5.0, 6.0]);
    let moved = group.with_parameters(apart.clone(), &[7.0, 8.0]).unwrap();
    assert_eq!(values(&moved.a), [7.0, 8.0]);
    let snapshot = group.snapshot(&apart).unwrap();
    assert_eq!(snapshot.vectors["model/a"], [5.0, 6.0]);

    let round = group.round(1.0, &first, vec![of(&[(&first.a, &[1.0, 1.0])])]).unwrap();
    assert_eq!(values(&round.clone().apply(apart.clone()).a), [4.0, 5.0]);
    assert_eq!(values(&round.apply(first.clone()).a), [0.0, 1.0]);

    let loaded = m(&[0.0, 0.0]).load_record(m(&[5.0, 6.0]).into_record());
    let round = group.round(1.0, &loaded, vec![of(&[(&loaded.a, &[1.0, 1.0])])]).unwrap();
    let direction = round.direction().unwrap();
    let loaded = SgdConfig::new().init().step(1.0, loaded, direction);
    assert_eq!(values(&loaded.a), [4.0, 5.0]);
}

#[test]
fn another_model_is_an_error_that_names_the_parameter() {
    // Pins that what is not understood is never skipped: other shapes, missing parameters, vectors of another length.
    let model = two(&[1.0, 2.0], &[3.0]);
    let mut group = sgd(&model);
    let shape = group.parameters(&two(&[1.0], &[3.0])).unwrap_err();
    assert_eq!(shape, ModelError::Shape { path: "a".into(), found: vec![1], expected: vec![2] });
    assert_eq!(group.parameters(&m(&[1.0, 2.0])).unwrap_err(), ModelError::Missing { path: "b".into() });
    let one = m(&[1.0, 2.0]);
    let error = group.round(1.0, &one, vec![of(&[(&one.a, &[1.0, 1.0])])]).unwrap_err();
    assert!(error.to_string().contains("no parameter `b`"), "{error}");
    let grads = of(&[(&model.a, &[1.0, 1.0]), (&model.b, &[1.0])]);
    let round = group.round(1.0, &model, vec![grads]).unwrap();
    assert!(round.clone().try_apply(one.clone()).is_err());
    assert_eq!(values(&round.apply(one).a), [1.0, 2.0], "it stays as it is");
    assert!(group.with_parameters(model, &[1.0]).is_err());
}

#[test]
fn gradients_of_another_model_are_an_error() {
    // Pins that gradients under foreign ids are refused, of one worker of two as well, with nothing changed.
    let (model, apart) = (m(&[1.0, 2.0]), m(&[1.0, 2.0]));
    let mut group = GroupConfig::new(EfSgd::new(), Identity).with_workers(2).init(&model).unwrap();
    let before = group.snapshot(&model).unwrap();
    let foreign = of(&[(&apart.a, &[1.0, 1.0])]);
    let error = group.round(1.0, &model, vec![of(&[(&model.a, &[1.0, 1.0])]), foreign]).unwrap_err();
    assert_eq!(error, RoundError::Model(ModelError::Foreign { worker: 1, count: 1, without: Some("a".into()) }));
    assert!(error.to_string().contains("`a` has none"), "{error}");
    assert_eq!(group.snapshot(&model).unwrap(), before);
}

#[test]
fn gradients_of_another_shape_or_rank_are_an_error() {
    // Pins that Burn's panics on such gradients do not reach the user.
    let model = m(&[1.0, 2.0]);
    let mut group = sgd(&model);
    let error = group.round(1.0, &model, vec![of(&[(&model.a, &[1.0; 3])])]).unwrap_err();
    assert!(error.to_string().contains("`a` is of shape [3], the parameter of [2]"), "{error}");
    let mut grads = GradientsParams::new();
    grads.register(model.a.id, Tensor::<2>::ones([1, 2], &cpu().inner()));
    let error = group.round(1.0, &model, vec![grads]).unwrap_err();
    assert_eq!(error, RoundError::Model(ModelError::Rank { worker: 0, path: "a".into(), rank: 1 }));
    let error = group.round(ModuleLearningRate::default(), &model, vec![of(&[(&model.a, &[1.0, 1.0])])]).unwrap_err();
    assert_eq!(error, RoundError::Model(ModelError::NoStepSize));
}

#[test]
fn nobody_hears_of_the_panics_that_answer_us() {
    // Pins that no text of Burn's panics is printed, and that other panics' is.
    const INNER: &str = "BACKBURN_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        gradients_of_another_shape_or_rank_are_an_error();
        panic!("this one is meant to be heard");
    }
    let name = "nobody_hears_of_the_panics_that_answer_us";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name, "--nocapture"]).env(INNER, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("panicked").count(), 1, "{said}");
    assert!(said.contains("meant to be heard"), "{said}");
}

#[test]
fn tied_parameters_are_one_and_stay_tied() {
    // Pins that one parameter at two paths is laid out once, moves at both, and keeps one gradient.
    let a = param(&[1.0, 2.0]);
    let mut model = Two { b: a.clone(), a };
    let mut group = sgd(&model);
    assert_eq!(group.layout().len(), 2);
    for step in 0..2 {
        let loss = (model.a.val() * 2.0 + model.b.val()).sum();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = group.round(0.5, &model, vec![grads]).unwrap().apply(model);
        assert_eq!(values(&model.a), [1.0, 2.0].map(|x| x - 1.5 * (step + 1) as f32));
        assert_eq!(values(&model.a), values(&model.b));
    }
    let snapshot = group.snapshot(&model).unwrap();
    let model = group.restore(model, &snapshot).unwrap();
    let grads = GradientsParams::from_grads((model.a.val() + model.b.val()).sum().backward(), &model);
    let a: Tensor<1> = grads.get(model.a.id).unwrap();
    assert_eq!(a.into_data().iter::<f32>().collect::<Vec<_>>(), [2.0, 2.0]);
}

#[test]
fn parameters_keep_their_type_and_other_optimizers_follow() {
    // Pins f16, bf16 and f64 parameters, beside f32, through `apply`, `direction` and a snapshot, as under Burn's SGD.
    let of_type = |dtype: DType| Tensor::from_data(TensorData::new(vec![1.0f32, 2.0, 3.0], [3]), (&cpu(), dtype));
    for dtype in [DType::F16, DType::BF16, DType::F64] {
        let model = Two { a: Param::from_tensor(of_type(dtype)), b: param(&[1.0, 2.0, 3.0]) };
        let mut group = sgd(&model);
        let grads = |m: &Two| GradientsParams::from_grads((m.a.val().cast(DType::F32) + m.b.val()).sum().backward(), m);
        let round = group.round(0.5, &model, vec![grads(&model)]).unwrap();
        let follows = SgdConfig::new().init().step(0.5, model.clone(), round.direction().unwrap());
        let applied = round.apply(model);
        let snapshot = group.snapshot(&applied).unwrap();
        let again = Two { a: Param::from_tensor(of_type(dtype) * 0.0), b: param(&[0.0; 3]) };
        let restored = group.restore(again, &snapshot).unwrap();
        for model in [follows, applied, restored] {
            assert_eq!(model.a.val().dtype(), dtype);
            assert_eq!(model.b.val().dtype(), DType::F32);
            assert_eq!((values(&model.a), values(&model.b)), (vec![0.5, 1.5, 2.5], vec![0.5, 1.5, 2.5]));
        }
    }
}

#[test]
fn every_rank_from_0_to_8_moves() {
    // Pins scalars, empty parameters and ranks up to 8, through apply and direction.
    #[derive(Module, Debug)]
    struct Ranks {
        r0: Param<Tensor<0>>,
        r2: Param<Tensor<2>>,
        r5: Param<Tensor<5>>,
        r8: Param<Tensor<8>>,
        none: Param<Tensor<2>>,
    }
    fn ones<const D: usize>(shape: [usize; D], fill: f32) -> Param<Tensor<D>> {
        let n = shape.iter().product();
        Param::from_tensor(Tensor::<1>::from_data(TensorData::new(vec![fill; n], [n]), &cpu()).reshape(shape))
    }
    let model = Ranks {
        r0: ones([], 2.0),
        r2: ones([2, 1], 2.0),
        r5: ones([1, 2, 1, 2, 1], 2.0),
        r8: ones([1, 1, 1, 2, 1, 1, 1, 1], 2.0),
        none: ones([0, 3], 2.0),
    };
    let sum = |m: &Ranks| m.r0.val().reshape([1]) + m.r2.val().sum() + m.r5.val().sum() + m.r8.val().sum();
    let mut group = sgd(&model);
    let grads = GradientsParams::from_grads(sum(&model).backward(), &model);
    let round = group.round(1.0, &model, vec![grads]).unwrap();
    let follows = SgdConfig::new().init().step(1.0, model.clone(), round.direction().unwrap());
    for model in [follows, round.apply(model)] {
        assert_eq!(sum(&model).into_scalar::<f32>(), 9.0);
        assert_eq!(model.r0.val().into_data().iter::<f32>().collect::<Vec<_>>(), [1.0]);
    }
}

#[test]
fn a_parameter_without_a_gradient_does_not_move() {
    // Pins law 12 on modules: no gradient is neither decay nor momentum, as under Burn's own optimizers.
    let mut model = two(&[1.0, 1.0], &[1.0]);
    let method = EfSgd::new().with_weight_decay(0.1).unwrap();
    let mut group = GroupConfig::new(method, Identity).init(&model).unwrap();
    let grads = of(&[(&model.b, &[1.0])]);
    model = group.round(1.0, &model, vec![grads]).unwrap().apply(model);
    assert_eq!(values(&model.a), [1.0, 1.0]);

    let mut model = two(&[0.0], &[0.0]);
    let mut group = GroupConfig::new(EfSgd::new().with_momentum(0.9).unwrap(), Identity).init(&model).unwrap();
    for step in 0..3 {
        let grads = if step == 0 { of(&[(&model.a, &[1.0]), (&model.b, &[1.0])]) } else { of(&[(&model.b, &[1.0])]) };
        model = group.round(1.0, &model, vec![grads]).unwrap().apply(model);
    }
    assert_eq!(values(&model.a), [-1.0]);
}

#[test]
fn a_frozen_layer_thaws_and_freezes_without_loss() {
    // Pins that (un)freezing keeps every residual: the others' as they are, the frozen one's until it is back.
    let mut model = two(&[0.0; 4], &[0.0; 4]);
    let mut group = GroupConfig::new(EfSgd::new(), TopK::count(1).unwrap()).with_workers(2).init(&model).unwrap();
    let g = [4.0, 3.0, 2.0, 1.0];
    let both = |m: &Two| vec![of(&[(&m.a, &g), (&m.b, &g)]), of(&[(&m.a, &g), (&m.b, &g)])];
    model = group.round(1.0, &model, both(&model)).unwrap().apply(model);
    let owed = |group: &mut Group, m: &Two, path: &str| {
        group.snapshot(m).unwrap().vectors.get(&format!("worker.1.residual/{path}")).cloned()
    };
    assert_eq!(owed(&mut group, &model, "b").unwrap(), [0.0, 3.0, 2.0, 1.0]);

    model.b = model.b.set_require_grad(false);
    let alone = |m: &Two| vec![of(&[(&m.a, &g)]), of(&[(&m.a, &g)])];
    let frozen = values(&model.b);
    model = group.round(1.0, &model, alone(&model)).unwrap().apply(model);
    assert_eq!((group.layout().len(), values(&model.b)), (4, frozen));
    assert_eq!(owed(&mut group, &model, "a").unwrap(), [4.0, 0.0, 4.0, 2.0], "it went on: 3 + 3 was sent");
    let error = group.round(1.0, &model, both(&model)).unwrap_err();
    assert_eq!(error.to_string(), "worker 0: `b` has a gradient, and is frozen");
    // A file keeps what rests, too.
    let bytes = group.snapshot(&model).unwrap().to_bytes();
    let mut group = GroupConfig::new(EfSgd::new(), TopK::count(1).unwrap()).with_workers(2).init(&model).unwrap();
    model = group.restore(model, &Snapshot::from_bytes(&bytes, "memory").unwrap()).unwrap();

    model.b = model.b.set_require_grad(true);
    let none = vec![of(&[]), of(&[])];
    model = group.round(1.0, &model, none).unwrap().apply(model);
    assert_eq!(group.layout().len(), 8);
    assert_eq!(owed(&mut group, &model, "b").unwrap(), [0.0, 3.0, 2.0, 1.0]);
    assert_eq!(owed(&mut group, &model, "a").unwrap(), [4.0, 0.0, 4.0, 2.0]);
}

#[test]
fn what_cannot_be_trained_is_said() {
    // Pins the hint at `.autodiff()`.
    let plain = M { a: Param::from_tensor(Tensor::<1>::ones([2], &cpu().inner())) };
    let config = GroupConfig::new(EfSgd::new(), Identity);
    let error = config.init(&plain).unwrap_err();
    assert_eq!(error, SetupError::Model(ModelError::NoAutodiff));
    assert!(error.to_string().contains("device.autodiff()"), "{error}");
    let frozen = m(&[1.0]).no_grad();
    assert_eq!(config.init(&frozen).unwrap_err(), SetupError::Model(ModelError::Untrainable { frozen: 1 }));
}

#[derive(Module, Debug)]
struct Whole {
    first: Linear,
    norm: BatchNorm,
    frozen: Param<Tensor<1>>,
    counter: Param<Tensor<1, Int>>,
}

fn whole(device: &Device, fill: f32) -> Whole {
    let frozen = Tensor::<1>::from_data(TensorData::new(vec![fill, 6.0], [2]), device);
    let counter =
        Tensor::<1, Int>::from_data(TensorData::new(vec![fill as i64 + (1 << 40)], [1]), (device, DType::I64));
    Whole {
        first: LinearConfig::new(3, 2).init(device),
        norm: BatchNormConfig::new(2).init(device),
        frozen: Param::from_tensor(frozen).set_require_grad(false),
        counter: Param::initialized(ParamId::new(), counter),
    }
}

impl Whole {
    fn loss(&self, device: &Device) -> Tensor<1> {
        let x = Tensor::<1>::from_data(TensorData::new((0..12).map(|i| (i as f32).sin()).collect(), [12]), device);
        let out = self.norm.forward(self.first.forward(x.reshape([4, 3])).unsqueeze_dim::<3>(2));
        out.powi_scalar(3).mean() + self.frozen.val().sum() * 0.0
    }
}

#[test]
fn a_snapshot_holds_the_whole_model() {
    // Pins that frozen parameters, pending running statistics and integers come back exactly, not only what is trained.
    let device = cpu();
    let mut model = whole(&device, 5.0);
    let mut group = GroupConfig::new(EfSgd::new(), TopK::count(1).unwrap()).init(&model).unwrap();
    for _ in 0..3 {
        let grads = GradientsParams::from_grads(model.loss(&device).backward(), &model);
        model = group.round(0.1, &model, vec![grads]).unwrap().apply(model);
    }
    let bytes = group.snapshot(&model).unwrap().to_bytes();
    let other = whole(&device, 0.0);
    let mut fresh = GroupConfig::new(EfSgd::new(), TopK::count(1).unwrap()).init(&other).unwrap();
    let snapshot = Snapshot::from_bytes(&bytes, "memory").unwrap();
    let restored = fresh.restore(other, &snapshot).unwrap();
    assert_eq!(values(&restored.frozen), [5.0, 6.0]);
    assert_eq!(restored.counter.val().into_data().iter::<i64>().collect::<Vec<_>>(), [5 + (1 << 40)]);
    let statistics = |m: &Whole| backburn_optim::batch_norm::statistics(m);
    assert_eq!(statistics(&restored), statistics(&model));
    assert_ne!(statistics(&restored), [0.0, 0.0, 1.0, 1.0]);
    assert!(!restored.frozen.is_require_grad() && restored.first.weight.is_require_grad());
    assert_eq!(fresh.snapshot(&restored).unwrap(), snapshot);
}

#[test]
fn a_model_of_other_shapes_is_not_restored() {
    // Pins that a [2, 3] parameter is not scrambled into a [3, 2] one, and that nothing changes on the error.
    #[derive(Module, Debug)]
    struct Matrix {
        w: Param<Tensor<2>>,
    }
    let of = |shape| Matrix { w: Param::from_tensor(Tensor::<2>::ones(shape, &cpu())) };
    let (model, turned) = (of([2, 3]), of([3, 2]));
    let snapshot = sgd(&model).snapshot(&model).unwrap();
    let mut group = sgd(&turned);
    let before = group.snapshot(&turned).unwrap();
    let error = group.restore(turned.clone(), &snapshot).unwrap_err();
    assert!(matches!(error, SnapshotError::Shape { .. } | SnapshotError::Other { .. }), "{error}");
    assert_eq!(group.snapshot(&turned).unwrap(), before);
}

#[test]
fn gradient_checkpointing_survives_a_round() {
    // Pins that `apply` restores what Burn's own optimizers restore: the next forward pass meets its own strategy.
    let device = device("auto").unwrap().autodiff().gradient_checkpointing();
    let mut model = whole(&device, 1.0);
    let mut group = GroupConfig::new(EfSgd::new(), Identity).init(&model).unwrap();
    for _ in 0..2 {
        let grads = GradientsParams::from_grads(model.loss(&device).backward(), &model);
        model = group.round(0.1, &model, vec![grads]).unwrap().apply(model);
    }
    let snapshot = group.snapshot(&model).unwrap();
    model = group.restore(model, &snapshot).unwrap();
    assert!(model.loss(&device).into_scalar::<f32>().is_finite());
}

#[test]
fn an_overflow_is_refused_with_the_state_as_before() {
    // Pins law 11 on modules: a finite gradient never gives a model that is not, in silence.
    let model = m(&[1.0, 1.0]);
    let sign = backburn_compress::ScaledSign;
    let mut group = GroupConfig::new(EfSgd::new(), sign).init(&model).unwrap();
    let before = group.snapshot(&model).unwrap();
    let error = group.round(100.0, &model, vec![of(&[(&model.a, &[3e37, 1.0])])]).unwrap_err();
    assert!(matches!(error, RoundError::Overflow { .. }), "{error}");
    assert_eq!(group.snapshot(&model).unwrap(), before);

    let model = m(&[f32::MAX, 0.0]);
    let mut group = sgd(&model);
    let error = group.round(1.0, &model, vec![of(&[(&model.a, &[-3e38, 0.0])])]).unwrap_err();
    assert!(matches!(error, RoundError::Overflow { what: "x", .. }), "{error}");
}

/// A parameter of another type.
fn typed(values: &[f32], dtype: DType) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&cpu(), dtype)))
}

#[test]
fn what_a_parameters_own_type_does_not_hold_is_refused() {
    // Pins that f16 and bf16 weights never become infinite in silence when a step is cast back: refused, state as
    // before, the parameter named; and that the last step that they hold is taken.
    let cases = [
        (DType::F16, "f16", [60000.0, 1.0], -5500.0, -5600.0),
        (DType::BF16, "bf16", [3.38e38, 1.0], -1e36, -2e36),
        (DType::F32, "f32", [3.38e38, 1.0], -2e36, -4e36),
    ];
    for (dtype, name, x, held, not) in cases {
        let model = Two { a: typed(&x, dtype), b: param(&[1.0]) };
        for method in ["sgd", "ef-sgd:momentum=0.9", "ef-sgd:outside,momentum=0.9", "perturbed:r=1e-9"] {
            let config = GroupConfig::any(method.parse().unwrap(), "identity".parse().unwrap());
            let mut group = config.init(&model).unwrap();
            let before = group.snapshot(&model).unwrap();
            let grads = |g: f32| vec![of(&[(&model.a, &[g, 0.0]), (&model.b, &[1.0])])];
            let error = group.round(1.0, &model, grads(not)).unwrap_err();
            assert!(error.is_rejected() && error.is_divergence(), "{method}: {error}");
            match (&error, dtype) {
                (RoundError::Overflow { path, what: "x", .. }, DType::F32) => assert_eq!(path, "a"),
                (RoundError::Outgrown { outgrown, .. }, _) => {
                    assert_eq!((outgrown.path.as_str(), outgrown.dtype), ("a", name));
                }
                _ => panic!("{method}, {name}: {error}"),
            }
            assert_eq!(group.snapshot(&model).unwrap(), before, "{method}, {name}");
            let moved = group.round(1.0, &model, grads(held)).unwrap().apply(model.clone());
            assert!(values(&moved.a).iter().all(|x| x.is_finite()), "{method}, {name}: {:?}", values(&moved.a));
            assert_eq!(values(&moved.b), [0.0]);
        }
        let (mut optim, probe) = EfSgdConfig::new(Identity).with_momentum(0.9).init_with_probe().unwrap();
        let grads = |g: f32| of(&[(&model.a, &[g, 0.0]), (&model.b, &[1.0])]);
        let stayed = optim.step(1.0, model.clone(), grads(not));
        assert_eq!((values(&stayed.a), values(&stayed.b)), (values(&model.a), vec![0.0]), "{name}");
        assert_eq!((probe.rejected(), probe.steps()), (1, 1));
        let moved = optim.step(1.0, model.clone(), grads(held));
        assert!(values(&moved.a)[0].is_finite() && values(&moved.a) != values(&model.a), "{name}");
    }
}

#[test]
fn no_node_under_gossip_leaves_its_parameters_type() {
    // Pins the same where every worker has an x of its own, of which the model gets the mean: one that leaves is enough,
    // whether the gradient or its neighbours take it there.
    let whole = [f32::MAX, -0.1];
    for n in 1..=64 {
        assert_eq!(mean_of_nodes(vec![&whole[..]; n].into_iter()).as_slice(), whole, "{n}");
    }
    let cases = [
        (DType::F16, 60000.0, -5500.0, -5600.0),
        (DType::BF16, 3.38e38, -1e36, -2e36),
        (DType::F32, 3.38e38, -2e36, -4e36),
    ];
    for (dtype, x, held, not) in cases {
        let model = Two { a: typed(&[x, 1.0], dtype), b: param(&[1.0]) };
        let config = GroupConfig::any("beer:gossip=0.5".parse().unwrap(), "identity".parse().unwrap());
        let mut group = config.with_workers(3).init(&model).unwrap();
        let grads = |all: [f32; 3]| all.map(|g| of(&[(&model.a, &[g, 0.0]), (&model.b, &[1.0])])).into_iter().collect();
        let before = group.snapshot(&model).unwrap();
        for gradients in [[not; 3], [0.0, not, 0.0]] {
            let error = group.round(1.0, &model, grads(gradients)).unwrap_err();
            assert!(error.is_rejected() && error.is_divergence(), "{error}");
            match (&error, dtype) {
                (RoundError::Overflow { path, .. }, DType::F32) => assert_eq!(path, "a"),
                (RoundError::Outgrown { outgrown, .. }, _) => assert_eq!(outgrown.path, "a"),
                _ => panic!("{dtype:?}: {error}"),
            }
            assert_eq!(group.snapshot(&model).unwrap(), before, "{dtype:?}");
        }
        let moved = group.round(1.0, &model, grads([held; 3])).unwrap().apply(model.clone());
        let a = values(&moved.a);
        assert!(a[0] > x && a[0].is_finite() && values(&moved.b) == [0.0], "{dtype:?}: {a:?}");
        // The tracked gradient goes on where it went.
        let error = group.round(1.0, &moved, grads([held; 3])).unwrap_err();
        assert!(error.is_rejected() && error.is_divergence(), "{dtype:?}: {error}");
    }
}

#[test]
fn a_share_of_the_step_size_is_no_way_around_what_is_finite() {
    // Pins law 11 where a parameter's own step size, which acts when the move is applied, is beyond the round's.
    let model = two(&[1.0, 1.0], &[1.0]);
    for method in ["sgd", "ef-sgd", "ef-sgd:outside", "ef21-sgd"] {
        let config = GroupConfig::any(method.parse().unwrap(), "identity".parse().unwrap());
        let config = config.with_groups(vec![ParameterGroup::matching("a").with_step_size(1e30)]);
        let mut group = config.init(&model).unwrap();
        let before = group.snapshot(&model).unwrap();
        let grads = |g: f32| vec![of(&[(&model.a, &[1.0, g]), (&model.b, &[1.0])])];
        let error = group.round(1.0, &model, grads(1e9)).unwrap_err();
        assert!(error.is_rejected() && error.to_string().contains("`a`"), "{method}: {error}");
        assert_eq!(group.snapshot(&model).unwrap(), before, "{method}");
        let moved = group.round(1.0, &model, grads(1e5)).unwrap().apply(model.clone());
        assert_eq!((values(&moved.a), values(&moved.b)), (vec![-1e30, -1e35], vec![0.0]), "{method}");
    }
}

#[test]
fn sums_that_overflow_on_the_way_to_a_finite_mean_do_not() {
    // Pins that four workers of (1e38, 1) at a step size of 1e-38 move x by −1, in a round and on modules.
    for compressor in ["identity", "topk:1", "randk:1", "sign:scaled", "qsgd:scaled"] {
        let model = m(&[0.0, 0.0]);
        let config = GroupConfig::any("ef-sgd:outside".parse().unwrap(), compressor.parse().unwrap());
        let mut group = config.with_workers(4).with_seed(1).init(&model).unwrap();
        let grads = (0..4).map(|_| of(&[(&model.a, &[1e38, 1.0])])).collect();
        let moved = group.round(1e-38, &model, grads).unwrap().apply(model.clone());
        let x = values(&moved.a);
        let right = match compressor {
            // Of both coordinates.
            "sign:scaled" => (x[0] + 0.5).abs() < 1e-6 && x[0] == x[1],
            // One of the two was drawn; unbiased roundings are scaled.
            "randk:1" => (x[0] + 1.0).abs() < 1e-6 || x[0] == 0.0,
            "qsgd:scaled" => x[0] < -0.5 && x[0].is_finite(),
            _ => (x[0] + 1.0).abs() < 1e-6,
        };
        assert!(right, "{compressor}: {x:?}");
    }
}

/// A model of every kind of parameter that there is.
#[derive(Module, Debug)]
struct Kinds {
    single: Param<Tensor<2>>,
    half: Param<Tensor<1>>,
    brain: Param<Tensor<1>>,
    double: Param<Tensor<1>>,
    scalar: Param<Tensor<0>>,
    empty: Param<Tensor<2>>,
    tied: Param<Tensor<2>>,
    frozen: Param<Tensor<1>>,
    lazy: Linear,
    quantised: Param<Tensor<2>>,
}

impl Kinds {
    fn new(device: &Device) -> Self {
        let wave = |n: usize| TensorData::new((0..n).map(|i| 1.0 + (i as f32 * 0.7).sin()).collect::<Vec<_>>(), [n]);
        let of = |dtype: DType| Param::from_tensor(Tensor::<1>::from_data(wave(5), (device, dtype)));
        let single = Param::from_tensor(Tensor::<1>::from_data(wave(6), device).reshape([2, 3]));
        let plain = Tensor::<1>::from_data(wave(32), &device.clone().inner()).reshape([4, 8]);
        let quantised = Param::from_tensor(plain.quantize_dynamic(&QuantScheme::default())).set_require_grad(false);
        Self {
            tied: single.clone(),
            single,
            half: of(DType::F16),
            brain: of(DType::BF16),
            double: of(DType::F64),
            scalar: Param::from_tensor(Tensor::<1>::from_data(wave(1), device).reshape::<0, _>([0usize; 0])),
            empty: Param::from_tensor(Tensor::zeros([0, 3], device)),
            frozen: of(DType::F32).set_require_grad(false),
            lazy: LinearConfig::new(3, 2).with_initializer(Initializer::Constant { value: 0.25 }).init(device),
            quantised,
        }
    }

    /// Of squares, so that every step's gradient is another.
    fn grads(&self) -> GradientsParams {
        let half = self.half.val().cast(DType::F32).powi_scalar(2).sum();
        let brain = self.brain.val().cast(DType::F32).powi_scalar(2).sum();
        let double = self.double.val().cast(DType::F32).powi_scalar(2).sum();
        let scalar = self.scalar.val().reshape([1]).powi_scalar(2);
        let single = self.single.val().powi_scalar(2).sum() + self.empty.val().sum();
        let lazy = self.lazy.forward(self.single.val()).powi_scalar(2).sum() + self.frozen.val().sum();
        GradientsParams::from_grads((half + brain + double + scalar + single + lazy).backward(), self)
    }

    /// Every trained tensor's values, and how far from each other two roundings of 1 lie in its type.
    fn values(&self) -> Vec<(Vec<f64>, f64)> {
        let of = |data: TensorData, ulp: f64| (data.iter::<f64>().collect(), ulp);
        vec![
            of(self.single.val().into_data(), 0.0),
            of(self.half.val().into_data(), 2f64.powi(-10)),
            of(self.brain.val().into_data(), 2f64.powi(-7)),
            // Gradients are of f32.
            of(self.double.val().into_data(), 2f64.powi(-23)),
            of(self.scalar.val().into_data(), 0.0),
            of(self.empty.val().into_data(), 0.0),
            of(self.frozen.val().into_data(), 0.0),
            of(self.lazy.weight.val().into_data(), 0.0),
            of(self.lazy.bias.as_ref().unwrap().val().into_data(), 0.0),
        ]
    }

    fn quantised(&self) -> TensorData {
        self.quantised.val().into_data()
    }
}

#[test]
fn every_kind_of_parameter_trains_as_under_burns_sgd() {
    // Pins types (f16, bf16, f64, mixed), rank 0, empty, tied, frozen, lazy and quantised parameters and devices with
    // gradient checkpointing: in f32 the bits of Burn's SGD, in others within their rounding, by every way in.
    const STEPS: usize = 5;
    for device in [cpu(), device("auto").unwrap().autodiff().gradient_checkpointing()] {
        let start = Kinds::new(&device);
        let mut theirs = (start.clone(), SgdConfig::new().init());
        let mut solo = (start.clone(), EfSgdConfig::new(Identity).init().unwrap());
        let (mut applied, mut followed) = (start.clone(), (start.clone(), SgdConfig::new().init()));
        let (mut group, mut open) = (sgd(&start), sgd(&start));
        for step in 0..STEPS {
            let grads = theirs.0.grads();
            theirs.0 = theirs.1.step(0.01, theirs.0, grads);
            let grads = solo.0.grads();
            solo.0 = solo.1.step(0.01, solo.0, grads);
            let grads = vec![applied.grads()];
            applied = group.round(0.01, &applied, grads).unwrap().apply(applied);
            let grads = vec![followed.0.grads()];
            let direction = open.round(0.01, &followed.0, grads).unwrap().direction().unwrap();
            followed.0 = followed.1.step(0.01, followed.0, direction);
            let right = theirs.0.values();
            for (way, model) in [("solo", &solo.0), ("group", &applied), ("direction", &followed.0)] {
                for (i, ((ours, ulp), (right, _))) in model.values().iter().zip(&right).enumerate() {
                    for (ours, right) in ours.iter().zip(right) {
                        let off = (ours - right).abs();
                        let most = 2.0 * (step + 1) as f64 * ulp * right.abs().max(1.0);
                        assert!(off <= most, "{way}, step {step}, tensor {i}: {ours}, and Burn's {right}");
                    }
                }
                assert_eq!(model.half.dtype(), DType::F16);
                assert_eq!(model.double.dtype(), DType::F64);
                assert_eq!(model.quantised(), start.quantised(), "{way}: left alone");
            }
        }
        // Burn's own optimizers move a tied parameter at its first path alone.
        assert_eq!(applied.tied.val().into_data(), applied.single.val().into_data());
        let moved = |i: usize| theirs.0.values()[i].0 != start.values()[i].0;
        let still: Vec<usize> = (0..start.values().len()).filter(|i| !moved(*i)).collect();
        assert_eq!(still, [5, 6], "the empty and the frozen one");
        // All of it comes back from a snapshot.
        let snapshot = Snapshot::from_bytes(&group.snapshot(&applied).unwrap().to_bytes(), "memory").unwrap();
        let back = sgd(&start).restore(start.clone(), &snapshot).unwrap();
        assert_eq!(back.values(), applied.values());
        assert_eq!(back.quantised(), start.quantised());
    }
}

#[test]
fn foreign_ids_within_a_scope_of_all_parameters() {
    // Pins that the scope does not matter to where parameters are found.
    struct Renamed;
    impl ModuleMapper for Renamed {
        fn map_float<const D: usize>(&mut self, p: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (_, tensor, mapper) = p.consume();
            Param::from_mapped_value(ParamId::new(), tensor, mapper)
        }
    }
    let run = |rename: bool| {
        let mut model = two(&[1.0, -2.0, 3.0], &[4.0, 5.0]);
        let config = GroupConfig::new(EfSgd::new(), TopK::count(2).unwrap()).with_scope(Scope::Global);
        let mut group = config.init(&model).unwrap();
        for _ in 0..4 {
            let loss = (model.a.val().powi_scalar(2).sum() + model.b.val().powi_scalar(2).sum()) * 0.5;
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = group.round(0.3, &model, vec![grads]).unwrap().apply(model);
            if rename {
                model = model.map(&mut Renamed);
            }
        }
        group.parameters(&model).unwrap()
    };
    assert_eq!(run(true), run(false));
}
