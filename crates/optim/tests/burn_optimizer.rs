//! The single-worker optimizer beside Burn's own.

use std::path::{Path, PathBuf};

use backburn_compress::{Identity, ScaledSign, TopK};
use backburn_optim::{EfSgdConfig, LoadError, SetupError, Solo, device, load_optimizer};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, ModuleMapper, Param, ParamGroup, ParamId};
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
}

fn cpu() -> Device {
    device("auto").unwrap()
}

/// Weights and inputs without any process-wide generator.
fn wave(n: usize, phase: f32) -> TensorData {
    let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7 + phase).sin()).collect();
    TensorData::new(values, [n])
}

fn net(device: &Device) -> Net {
    let linear = |d_in: usize, d_out: usize, phase| {
        let mut layer = LinearConfig::new(d_in, d_out).init(device);
        let weight = Tensor::<1>::from_data(wave(d_in * d_out, phase), device).reshape([d_in, d_out]);
        layer.weight = layer.weight.map(|_| weight.require_grad());
        layer.bias = layer.bias.map(|b| b.map(|b| b.zeros_like().require_grad()));
        layer
    };
    Net { first: linear(6, 5, 0.1), second: linear(5, 3, 0.2) }
}

fn grads(net: &Net, step: usize) -> GradientsParams {
    let device = net.first.weight.val().device();
    let x = Tensor::<1>::from_data(wave(24, step as f32), &device).reshape([4, 6]);
    let y = Tensor::<1>::from_data(wave(12, 0.3 * step as f32), &device).reshape([4, 3]);
    let out = net.second.forward(net.first.forward(x).tanh());
    GradientsParams::from_grads(MseLoss::new().forward(out, y, Reduction::Mean).backward(), net)
}

fn weights(net: &Net) -> Vec<u32> {
    let tensors = [
        net.first.weight.val().into_data(),
        net.second.weight.val().into_data(),
        net.first.bias.as_ref().unwrap().val().into_data(),
        net.second.bias.as_ref().unwrap().val().into_data(),
    ];
    tensors.iter().flat_map(|d| d.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()).collect()
}

fn train(mut optim: ModuleOptimizer, steps: std::ops::Range<usize>, mut net: Net) -> (Net, ModuleOptimizer) {
    for step in steps {
        let lr = if step < 5 { 0.1 } else { 0.01 };
        let g = grads(&net, step);
        net = optim.step(lr, net, g);
    }
    (net, optim)
}

#[test]
fn under_identity_the_weights_are_those_of_burns_sgd() {
    let device = cpu().autodiff();
    for (momentum, decay, nesterov) in [(0.0, 0.0, false), (0.9, 0.0, false), (0.9, 5e-4, false), (0.9, 5e-4, true)] {
        let mut theirs = SgdConfig::new();
        if momentum > 0.0 {
            theirs = theirs.with_momentum(Some(MomentumConfig { momentum, dampening: 0.0, nesterov }));
        }
        if decay > 0.0 {
            theirs = theirs.with_weight_decay(Some(WeightDecayConfig { penalty: decay as f32 }));
        }
        for outside in [false, true] {
            let ours = EfSgdConfig::new(Identity).with_momentum(momentum).with_weight_decay(decay);
            let ours = if nesterov { ours.with_nesterov() } else { ours };
            let ours = if outside { ours.with_step_outside() } else { ours };
            let (a, _) = train(theirs.clone().init(), 0..10, net(&device));
            let (b, _) = train(ours.init().unwrap(), 0..10, net(&device));
            let (a, b) = (weights(&a), weights(&b));
            let close = a.iter().zip(&b).all(|(a, b)| (f32::from_bits(*a) - f32::from_bits(*b)).abs() <= 1e-6);
            assert!(close, "momentum {momentum}, decay {decay}, outside {outside}");
            if momentum == 0.0 {
                assert_eq!(a, b, "plain SGD agrees bit for bit");
            }
        }
    }
}

#[test]
fn a_saved_and_loaded_optimizer_goes_on_bit_for_bit() {
    let device = cpu().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optim");
    let config = || EfSgdConfig::new(TopK::ratio(0.2).unwrap()).with_momentum(0.9).with_weight_decay(1e-3);
    let (whole, _) = train(config().init().unwrap(), 0..9, net(&device));
    let (half, optim) = train(config().init().unwrap(), 0..4, net(&device));
    optim.save(&path).unwrap();
    let optim = load_optimizer(config().init().unwrap(), &half, &path).unwrap();
    let (resumed, _) = train(optim, 4..9, half);
    assert_eq!(weights(&whole), weights(&resumed));
}

#[test]
fn a_state_of_another_optimizer_is_an_error_and_not_dropped_silently() {
    let device = cpu().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optim");
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let (net, optim) = train(SgdConfig::new().with_momentum(Some(momentum)).init(), 0..2, net(&device));
    optim.save(&path).unwrap();
    let loaded = load_optimizer(EfSgdConfig::new(ScaledSign).init().unwrap(), &net, &path);
    let error = loaded.err().expect("a foreign record is refused");
    assert!(error.to_string().contains("4 of 4 parameter states"), "{error}");
}

#[test]
fn a_gradient_that_is_not_finite_leaves_tensor_and_state_as_they_were() {
    let device = cpu().autodiff();
    let config = EfSgdConfig::new(TopK::ratio(0.2).unwrap()).with_momentum(0.9);
    let (optim, probe) = config.init_with_probe().unwrap();
    let (model, mut optim) = train(optim, 0..3, net(&device));
    let mut poisoned = grads(&model, 3);
    let g = poisoned.remove::<2>(model.first.weight.id).unwrap();
    poisoned.register::<2>(model.first.weight.id, g * f32::NAN);
    let before = model.first.weight.val().into_data();
    let (bytes, rejected) = (probe.bytes_up(), probe.rejected());
    let model = optim.step(0.1, model, poisoned);
    assert_eq!(model.first.weight.val().into_data(), before);
    assert_eq!(probe.rejected(), rejected + 1);
    assert!(probe.bytes_up() > bytes, "the other parameters were stepped and sent");
    // The worker recovers: its residual was never touched.
    let g = grads(&model, 4);
    let model = optim.step(0.1, model, g);
    assert!(weights(&model).iter().all(|w| f32::from_bits(*w).is_finite()));
    assert_eq!(probe.rejected(), rejected + 1);
}

#[test]
fn parameter_groups_may_have_compressors_of_their_own() {
    let device = cpu().autodiff();
    let signs = EfSgdConfig::new(ScaledSign);
    let (dense, signs) = (EfSgdConfig::new(Identity), signs.build().unwrap());
    let probe = signs.probe();
    let optim = dense.init().unwrap().with_group(ParamGroup::from_predicate("first"), signs, None);
    let (_, optim) = train(optim, 0..3, net(&device));
    assert_eq!(probe.steps(), 6, "two parameters of `first`, three steps");
    assert!(!optim.to_record().is_empty());
}

#[test]
fn bytes_are_really_saved_in_this_very_run() {
    let device = cpu().autodiff();
    let run = |config: EfSgdConfig| {
        let (optim, probe) = config.init_with_probe().unwrap();
        train(optim, 0..5, net(&device));
        probe.bytes_up()
    };
    let dense = run(EfSgdConfig::new(Identity));
    assert!(run(EfSgdConfig::new(ScaledSign)) < dense);
}

#[test]
fn methods_that_need_more_than_one_gradient_are_refused() {
    // Pins that an optimizer of one gradient a step is refused to what needs more; a new method is sorted by what it asks.
    let any = |form: &str| Solo::any(form.parse().unwrap(), "identity".parse().unwrap());
    for form in ["sgd", "compressed-sgd", "ef-sgd", "ef21-sgdm:eta=0.1", "neolithic:rounds=1"] {
        assert!(any(form).is_ok(), "{form}");
    }
    let more =
        ["neolithic:rounds=4", "ef21-sgdm:eta=0.1,b-init=2", "ef21-sgd-ideal", "beer", "perturbed:r=0.01,interval=3"];
    for form in more {
        let refused = any(form).unwrap_err();
        assert!(matches!(refused, SetupError::NotSolo(_)), "{form}: {refused}");
    }
    let refused = Solo::any("ef-sgd".parse().unwrap(), "sign".parse().unwrap()).unwrap_err();
    assert!(refused.to_string().contains("`sign` cannot stand under error feedback"));
}

#[test]
fn every_optimizer_has_a_probe_of_its_own() {
    // Pins that clones of a config do not share counters: a WGAN's two optimizers took 54 and 36 steps, not 90 each.
    let device = cpu().autodiff();
    let config = EfSgdConfig::new(Identity);
    let (first, of_first) = config.init_with_probe().unwrap();
    let (second, of_second) = config.clone().init_with_probe().unwrap();
    train(first, 0..5, net(&device));
    train(second, 0..3, net(&device));
    assert_eq!((of_first.steps(), of_second.steps()), (20, 12));
    assert_eq!((of_first.rounds(), of_second.rounds()), (5, 3));
}

#[test]
fn clipping_is_burns_own() {
    // Pins that gradient clipping comes before momentum and decay, as under Burn's optimizers.
    let device = cpu().autodiff();
    for clipping in [GradientClippingConfig::Norm(0.05), GradientClippingConfig::Value(0.01)] {
        let theirs = SgdConfig::new().with_gradient_clipping(Some(clipping.clone()));
        let ours = EfSgdConfig::new(Identity).with_grad_clipping(clipping);
        let (a, _) = train(theirs.init(), 0..4, net(&device));
        let (b, _) = train(ours.init().unwrap(), 0..4, net(&device));
        assert_eq!(weights(&a), weights(&b));
    }
}

/// Two models of one structure and the same weights, made apart.
fn saved(config: &EfSgdConfig, folder: &Path) -> (Net, PathBuf) {
    let device = cpu().autodiff();
    let path = folder.join("optim.bpk");
    let (net, optim) = train(config.init().unwrap(), 0..4, net(&device));
    optim.save(&path).unwrap();
    (net, path)
}

#[test]
fn states_are_found_by_path_in_a_model_made_apart() {
    // Pins that residuals and momenta follow the path and not the `ParamId`, which differs here.
    let folder = tempfile::tempdir().unwrap();
    let config = EfSgdConfig::new(TopK::ratio(0.2).unwrap()).with_momentum(0.9);
    let (half, path) = saved(&config, folder.path());
    let (whole, _) = train(config.init().unwrap(), 0..9, net(&cpu().autodiff()));
    let apart = net(&cpu().autodiff()).load_record(half.clone().into_record());
    // Burn's records restore ids; this one's are its own.
    let apart = foreign(apart);
    assert_ne!(apart.first.weight.id, half.first.weight.id);
    let optim = load_optimizer(config.init().unwrap(), &apart, &path).unwrap();
    let (resumed, optim) = train(optim, 4..9, apart);
    assert_eq!(weights(&whole), weights(&resumed));
    assert_eq!(optim.to_record().len(), 4, "no state is orphaned");
}

/// The same weights under other ids.
fn foreign(net: Net) -> Net {
    struct Renamed;
    impl ModuleMapper for Renamed {
        fn map_float<const D: usize>(&mut self, p: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (_, tensor, mapper) = p.consume();
            Param::from_mapped_value(ParamId::new(), tensor, mapper)
        }
    }
    net.map(&mut Renamed)
}

#[test]
fn states_that_do_not_fit_are_an_error() {
    // Pins that no state is dropped at the first step: of another method, of a parameter of another shape or unknown.
    let folder = tempfile::tempdir().unwrap();
    let topk = || EfSgdConfig::new(TopK::ratio(0.2).unwrap());
    let (model, path) = saved(&topk(), folder.path());
    for other in [topk().with_momentum(0.9), topk().with_step_outside()] {
        let error = load_optimizer(other.init().unwrap(), &model, &path).err().expect("refused");
        assert!(matches!(error, LoadError::Lost { lost: 4, saved: 4, .. }), "{error}");
    }
    // Another compressor is welcome: what is owed is owed (law 1).
    assert!(load_optimizer(EfSgdConfig::new(ScaledSign).init().unwrap(), &model, &path).is_ok());
    let device = cpu().autodiff();
    let turned = Net { first: LinearConfig::new(5, 6).init(&device), second: LinearConfig::new(5, 3).init(&device) };
    let error = load_optimizer(topk().init().unwrap(), &turned, &path).err().expect("refused");
    assert!(matches!(error, LoadError::Lost { lost: 2, saved: 4, .. }), "{error}");
    let error = load_optimizer(topk().init().unwrap(), &turned.first, &path).err().expect("refused");
    assert!(matches!(error, LoadError::Unknown { .. }), "{error}");
    // Where Burn loads the record by itself, the probe counts at the first step.
    let (optim, probe) = topk().with_momentum(0.9).init_with_probe().unwrap();
    train(optim.load(&path).unwrap(), 4..5, model);
    assert_eq!(probe.unreadable(), 4);
}

#[test]
fn no_flipped_bit_in_a_record_panics_or_passes() {
    // Pins that a damaged record is an error of ours, and never one of Burn's panics.
    let folder = tempfile::tempdir().unwrap();
    let config = EfSgdConfig::new(TopK::ratio(0.5).unwrap());
    let (model, path) = saved(&config, folder.path());
    let bytes = std::fs::read(&path).unwrap();
    let intact = weights(&train(load_optimizer(config.init().unwrap(), &model, &path).unwrap(), 4..6, model.clone()).0);
    let damaged = folder.path().join("damaged.bpk");
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(7) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&damaged, flipped).unwrap();
        match load_optimizer(config.init().unwrap(), &model, &damaged) {
            Err(_) => refused += 1,
            // Padding, or a digit of what nobody reads.
            Ok(optim) => assert_eq!(weights(&train(optim, 4..6, model.clone()).0), intact, "byte {at}"),
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn parameters_keep_their_type() {
    // Pins that f16, bf16 and f64 parameters step as under Burn's SGD, and scalars too.
    #[derive(Module, Debug)]
    struct M {
        a: Param<Tensor<1>>,
    }
    #[derive(Module, Debug)]
    struct Scalar {
        a: Param<Tensor<0>>,
    }
    let device = cpu().autodiff();
    for dtype in [DType::F16, DType::BF16, DType::F64, DType::F32] {
        let x = TensorData::new(vec![1.0f32, 2.0, 3.0], [3]);
        let mut model = M { a: Param::from_tensor(Tensor::<1>::from_data(x, (&device, dtype))) };
        for _ in 0..2 {
            let grads = GradientsParams::from_grads(model.a.val().sum().backward(), &model);
            model = EfSgdConfig::new(Identity).init().unwrap().step(0.25, model, grads);
        }
        let data = model.a.val().into_data();
        assert_eq!(data.dtype(), dtype);
        assert_eq!(data.iter::<f32>().collect::<Vec<_>>(), [0.5, 1.5, 2.5]);
    }
    let scalar = Tensor::<1>::from_data(TensorData::new(vec![2.0f32], [1]), &device).reshape::<0, _>([0usize; 0]);
    let model = Scalar { a: Param::from_tensor(scalar) };
    let grads = GradientsParams::from_grads(model.a.val().reshape([1]).sum().backward(), &model);
    let model = EfSgdConfig::new(Identity).init().unwrap().step(1.0, model, grads);
    assert_eq!(model.a.val().into_data().iter::<f32>().collect::<Vec<_>>(), [1.0]);
}

#[test]
fn a_gradient_or_a_state_of_another_shape_is_counted() {
    // Pins that a longer gradient moves nothing, and that a residual whose parameter has changed its shape does not go
    // without a trace.
    #[derive(Module, Debug)]
    struct M {
        a: Param<Tensor<1>>,
    }
    let device = cpu();
    let of = |n: usize| Tensor::<1>::from_data(wave(n, 0.5), &device);
    let model = M { a: Param::from_tensor(Tensor::from_data(wave(3, 0.5), &cpu().autodiff())) };
    let grads = |m: &M, n: usize| {
        let mut grads = GradientsParams::new();
        grads.register(m.a.id, of(n));
        grads
    };
    let (mut optim, probe) = EfSgdConfig::new(TopK::count(1).unwrap()).init_with_probe().unwrap();
    let wrong = grads(&model, 4);
    let stayed = optim.step(0.1, model.clone(), wrong);
    assert_eq!(stayed.a.val().into_data(), model.a.val().into_data());
    assert_eq!((probe.rejected(), probe.steps()), (1, 0));
    let right = grads(&stayed, 3);
    let moved = optim.step(0.1, stayed, right);
    assert_eq!((probe.unreadable(), probe.steps()), (0, 1));
    // The same parameter, of another length.
    let longer = M { a: moved.a.map(|_| Tensor::from_data(wave(4, 0.5), &cpu().autodiff())) };
    let g = grads(&longer, 4);
    drop(optim.step(0.1, longer, g));
    assert_eq!((probe.unreadable(), probe.steps()), (1, 2));
}

/// Lines that were logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line<'a>(&'a Log);
        impl tracing::field::Visit for Line<'_> {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.0.lock().unwrap().push(format!("{value:?}"));
            }
        }
        event.record(&mut Line(self));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_loaded_record_that_goes_on_with_another_seed_says_so() {
    // Pins that the record's seed wins, so that the run goes on bit for bit, and not without a word.
    let folder = tempfile::tempdir().unwrap();
    let config = EfSgdConfig::new(TopK::ratio(0.2).unwrap()).with_seed(3);
    let (model, path) = saved(&config, folder.path());
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let optim = load_optimizer(config.clone().with_seed(3).init().unwrap(), &model, &path).unwrap();
        drop(train(optim, 4..5, model.clone()));
        assert!(log.0.lock().unwrap().is_empty());
        let optim = load_optimizer(config.clone().with_seed(8).init().unwrap(), &model, &path).unwrap();
        drop(train(optim, 4..5, model.clone()));
    });
    let lines = log.0.lock().unwrap();
    assert!(lines.iter().any(|line| line.contains("of seed 3 and not 8")), "{lines:?}");
}
