//! The single-worker optimizer beside Burn's own.

use backburn_compress::{Identity, ScaledSign, TopK};
use backburn_optim::{EfSgdConfig, Solo, device, load_optimizer};
use burn::module::{Module, ParamGroup};
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};

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
    for (momentum, decay) in [(0.0, 0.0), (0.9, 0.0), (0.9, 5e-4)] {
        let mut theirs = SgdConfig::new();
        if momentum > 0.0 {
            theirs = theirs.with_momentum(Some(MomentumConfig { momentum, dampening: 0.0, nesterov: false }));
        }
        if decay > 0.0 {
            theirs = theirs.with_weight_decay(Some(WeightDecayConfig { penalty: decay as f32 }));
        }
        for outside in [false, true] {
            let ours = EfSgdConfig::new(Identity).with_momentum(momentum).with_weight_decay(decay);
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
    let optim = load_optimizer(config().init().unwrap(), &path).unwrap();
    let (resumed, _) = train(optim, 4..9, half);
    assert_eq!(weights(&whole), weights(&resumed));
}

#[test]
fn a_state_of_another_optimizer_is_an_error_and_not_dropped_silently() {
    let device = cpu().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optim");
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let (_, optim) = train(SgdConfig::new().with_momentum(Some(momentum)).init(), 0..2, net(&device));
    optim.save(&path).unwrap();
    let loaded = load_optimizer(EfSgdConfig::new(ScaledSign).init().unwrap(), &path);
    let error = loaded.err().expect("a foreign record is refused");
    assert!(error.to_string().contains("4 of 4 parameter states"), "{error}");
}

#[test]
fn a_gradient_that_is_not_finite_leaves_tensor_and_state_as_they_were() {
    let device = cpu().autodiff();
    let config = EfSgdConfig::new(TopK::ratio(0.2).unwrap()).with_momentum(0.9);
    let probe = config.probe();
    let (model, mut optim) = train(config.init().unwrap(), 0..3, net(&device));
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
    let (dense, probe) = (EfSgdConfig::new(Identity), signs.probe());
    let optim = dense.init().unwrap().with_group(ParamGroup::from_predicate("first"), signs.build().unwrap(), None);
    let (_, optim) = train(optim, 0..3, net(&device));
    assert_eq!(probe.steps(), 6, "two parameters of `first`, three steps");
    assert!(!optim.to_record().is_empty());
}

#[test]
fn bytes_are_really_saved_in_this_very_run() {
    let device = cpu().autodiff();
    let run = |config: EfSgdConfig| {
        let probe = config.probe();
        train(config.init().unwrap(), 0..5, net(&device));
        probe.bytes_up()
    };
    let dense = run(EfSgdConfig::new(Identity));
    assert!(run(EfSgdConfig::new(ScaledSign)) < dense);
}

#[test]
fn methods_that_need_more_than_one_gradient_are_refused() {
    for form in ["sgd", "compressed-sgd", "ef-sgd"] {
        assert!(Solo::any(form.parse().unwrap(), "identity".parse().unwrap()).is_ok());
    }
    let refused = Solo::any("ef-sgd".parse().unwrap(), "sign".parse().unwrap()).unwrap_err();
    assert!(refused.to_string().contains("`sign` cannot stand under error feedback"));
}
