//! Configs beside Burn's own, groups of parameters, step sizes, and a process of many.

use backburn_compress::{Identity, ScaledSign, Scope, TopK};
use backburn_optim::{
    EfSgd, EfSgdConfig, Group, GroupConfig, Mail, ModelError, ParameterGroup, Policy, SetupError, Sgd, Threads, device,
};
use burn::config::Config;
use burn::grad_clipping::GradientClippingConfig;
use burn::lr_scheduler::constant::ConstantLr;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Module, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
}

fn cpu() -> Device {
    device("auto").unwrap().autodiff()
}

fn net() -> Net {
    let device = cpu();
    let net = Net { first: LinearConfig::new(6, 5).init(&device), second: LinearConfig::new(5, 3).init(&device) };
    let probe = GroupConfig::new(Sgd::default(), Identity).init(&net).unwrap();
    let x: Vec<f32> = (0..probe.layout().len()).map(|i| (i as f32 * 0.37).sin()).collect();
    probe.with_parameters(net, &x).unwrap()
}

fn grads(net: &Net, worker: usize, step: usize) -> GradientsParams {
    let values: Vec<f32> = (0..24).map(|i| (i as f32 + 10.0 * worker as f32 + step as f32).cos()).collect();
    let x = Tensor::<1>::from_data(TensorData::new(values, [24]), &cpu()).reshape([4, 6]);
    let out = net.second.forward(net.first.forward(x).tanh());
    GradientsParams::from_grads(out.powi_scalar(2).mean().backward(), net)
}

fn bits(net: &Net) -> Vec<u32> {
    let tensors =
        [&net.first, &net.second].map(|l| [l.weight.val().into_data(), l.bias.as_ref().unwrap().val().into_data()]);
    tensors.iter().flatten().flat_map(|d| d.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()).collect()
}

fn close(a: &Net, b: &Net) -> bool {
    bits(a).iter().zip(bits(b)).all(|(a, b)| (f32::from_bits(*a) - f32::from_bits(b)).abs() <= 1e-6)
}

/// A program's config, as nearly every Burn program has one.
#[derive(Config, Debug)]
struct Training {
    pub optimizer: EfSgdConfig,
    pub group: GroupConfig,
    #[config(default = 3)]
    pub epochs: usize,
}

#[test]
fn configs_stand_in_a_derived_config() {
    // Pins serde and Clone of both configs, as `#[derive(Config)]` needs them, with every setting.
    let optimizer = EfSgdConfig::new(TopK::ratio(0.25).unwrap())
        .with_momentum(0.9)
        .with_nesterov()
        .with_weight_decay(5e-4)
        .with_seed(3)
        .with_grad_clipping(GradientClippingConfig::Norm(1.0));
    let group = GroupConfig::new(EfSgd::new().with_step_outside(), ScaledSign)
        .with_workers(4)
        .with_seed(7)
        .with_scope(Scope::Bucket(16))
        .with_dense_below(4)
        .with_clipping(GradientClippingConfig::Value(0.5))
        .with_groups(vec![ParameterGroup::matching("*.bias").with_policy(Policy::Dense).with_step_size(2.0)]);
    let config = Training::new(optimizer, group);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("config.json");
    config.save(&file).unwrap();
    let loaded = Training::load(&file).unwrap();
    assert_eq!(loaded.to_string(), config.to_string());
    assert!(config.to_string().contains("\"topk:0.25\""), "{config}");
    let model = net();
    // `init` borrows: a config serves many times.
    assert!(loaded.optimizer.init().is_ok() && loaded.optimizer.init().is_ok());
    assert_eq!(loaded.group.init(&model).unwrap().workers(), 4);
    let error = Training::load_binary(
        br#"{"optimizer":{"compressor":"sign"},"group":{"method":"sgd","compressor":"identity"},"epochs":1}"#,
    );
    assert!(
        error.unwrap().optimizer.init().err().unwrap().to_string().contains("`sign` cannot stand under error feedback")
    );
}

fn run(config: &GroupConfig, steps: usize, lr: impl Fn() -> ModuleLr) -> (Net, Group) {
    let mut model = net();
    let mut group = config.init(&model).unwrap();
    for step in 0..steps {
        let g = (0..config.workers()).map(|w| grads(&model, w, step)).collect();
        model = group.round(lr(), &model, g).unwrap().apply(model);
    }
    (model, group)
}

type ModuleLr = burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;

fn theirs(mut optim: ModuleOptimizer, steps: usize, lr: impl Fn() -> ModuleLr) -> Net {
    let mut model = net();
    for step in 0..steps {
        let g = grads(&model, 0, step);
        model = optim.step(lr(), model, g);
    }
    model
}

#[test]
fn clipping_decay_and_step_sizes_are_burns() {
    // Pins the order clip, decay, step size, and the last group's word, against Burn's SGD with groups of its own.
    let clipping = GradientClippingConfig::Norm(0.05);
    let decay = |penalty| SgdConfig::new().with_weight_decay(Some(WeightDecayConfig { penalty }));
    let lr = || {
        ModuleLrScheduler::new(ConstantLr::new(0.1))
            .with_group(ParamGroup::from_predicate("bias"), ConstantLr::new(0.2))
            .step()
    };
    let vectors = ParameterGroup::all().with_rank(..=1).with_weight_decay(0.0).with_step_size(1.5);
    let groups = vec![ParameterGroup::all().with_weight_decay(0.01), vectors];
    let burn = decay(0.01).with_gradient_clipping(Some(clipping.clone())).init();
    let burn = burn.with_group(ParamGroup::from_predicate("bias"), SgdConfig::new().build(), Some(clipping.init()));
    // 1.5 · 0.2 = 0.3
    let reference = theirs(burn, 5, || {
        ModuleLrScheduler::new(ConstantLr::new(0.1))
            .with_group(ParamGroup::from_predicate("bias"), ConstantLr::new(0.3))
            .step()
    });
    for method in ["sgd", "ef-sgd", "ef-sgd:outside", "ef21-sgd"] {
        let config = GroupConfig::any(method.parse().unwrap(), "identity".parse().unwrap());
        let config = config.with_clipping(clipping.clone()).with_groups(groups.clone());
        let (ours, _) = run(&config, 5, lr);
        assert!(close(&ours, &reference), "{method}");
    }
}

#[test]
fn what_is_owed_is_conserved_when_one_parameters_step_size_changes() {
    // Pins law 1 for a share of the step size that changes, of both forms: Σγ_s g_s = x_0 − x_t + what is owed.
    for method in ["ef-sgd", "ef-sgd:outside"] {
        let mut model = net();
        let config = GroupConfig::any(method.parse().unwrap(), "topk:1".parse().unwrap());
        let mut group = config.init(&model).unwrap();
        let x0 = group.parameters(&model).unwrap();
        let mut sum = vec![0.0f64; x0.len()];
        let step_size = |step: usize| if step < 4 { 0.5 } else { 0.05 };
        for step in 0..8 {
            let g = grads(&model, 0, step);
            let places = backburn_optim::Places::new(&model, Scope::Parameter, 0).unwrap().1;
            let flat = places.flatten(&model, grads(&model, 0, step)).unwrap().vector;
            for p in group.layout().parameters() {
                let lr = if p.path == "second.weight" { step_size(step) } else { 0.1 };
                p.range.clone().for_each(|i| sum[i] += lr * f64::from(flat.as_slice()[i]));
            }
            let lr = ModuleLrScheduler::new(ConstantLr::new(0.1));
            let lr = lr.with_group(ParamGroup::from_path("second.weight"), ConstantLr::new(step_size(step))).step();
            model = group.round(lr, &model, vec![g]).unwrap().apply(model);
        }
        let x = group.parameters(&model).unwrap();
        let snapshot = group.snapshot(&model).unwrap();
        for p in group.layout().parameters() {
            let unit = match (method, p.path.as_str()) {
                ("ef-sgd", _) => 1.0,
                (_, "second.weight") => step_size(7),
                _ => 0.1,
            };
            let owed = &snapshot.vectors[&format!("worker.0.residual/{}", p.path)];
            for (i, e) in p.range.clone().zip(owed) {
                let moved = f64::from(x0.as_slice()[i]) - f64::from(x.as_slice()[i]);
                let difference = moved + unit * f64::from(*e) - sum[i];
                assert!(difference.abs() < 1e-5, "{method} {}: {difference}", p.path);
            }
        }
    }
}

#[test]
fn policies_say_what_is_sent() {
    // Pins dense (sent as it is), skipped (not sent, does not move), and that a pattern of nothing is an error.
    let base = GroupConfig::new(EfSgd::new(), TopK::count(1).unwrap());
    let lr = || 0.1.into();
    let dense = base.clone().with_groups(vec![ParameterGroup::all().with_rank(..=1).with_policy(Policy::Dense)]);
    let (_, mut group) = run(&dense, 2, lr);
    let (model, _) = run(&dense, 2, lr);
    let snapshot = group.snapshot(&model).unwrap();
    assert!(snapshot.vectors["worker.0.residual/first.bias"].iter().all(|e| *e == 0.0));
    assert!(snapshot.vectors["worker.0.residual/first.weight"].iter().any(|e| *e != 0.0));
    assert_eq!(group.layout().units().iter().filter(|u| u.dense).count(), 2);

    let skipped = base.clone().with_groups(vec![ParameterGroup::matching("first.*").with_policy(Policy::Skipped)]);
    let (moved, group) = run(&skipped, 2, lr);
    assert_eq!(group.layout().parameters().len(), 2);
    assert_eq!(moved.first.weight.val().into_data(), net().first.weight.val().into_data());
    assert_ne!(moved.second.weight.val().into_data(), net().second.weight.val().into_data());

    let nothing = base.with_groups(vec![ParameterGroup::matching("third.*")]).init(&net()).unwrap_err();
    assert_eq!(nothing, SetupError::Model(ModelError::Unmatched("third.*".into())));
}

#[test]
fn processes_give_the_bits_of_one() {
    // Pins that `init_over` is the same group: n workers in one process and n processes give the same bits, and save
    // and load through the same code.
    let config = GroupConfig::any("ef-sgd:momentum=0.9".parse().unwrap(), "topk:0.2".parse().unwrap()).with_seed(5);
    let config =
        config.with_groups(vec![ParameterGroup::matching("*.bias").with_weight_decay(0.1).with_step_size(2.0)]);
    fn step<P: Mail>(group: &mut Group<P>, model: Net, step: usize) -> Net {
        let own = group.cluster().seats().map(|w| grads(&model, w, step)).collect();
        group.round(0.1, &model, own).unwrap().apply(model)
    }
    let together = config.clone().with_workers(3);
    let mut model = net();
    let mut group = together.init(&model).unwrap();
    for t in 0..6 {
        model = step(&mut group, model, t);
    }
    let threads: Vec<_> = Threads::links(3)
        .into_iter()
        .map(|link| {
            let config = config.clone();
            std::thread::spawn(move || {
                let mut model = net();
                let mut group = config.init_over(link, &model).unwrap();
                assert_eq!(group.workers(), 3);
                for t in 0..3 {
                    model = step(&mut group, model, t);
                }
                let snapshot = group.snapshot(&model).unwrap();
                model = group.restore(model, &snapshot).unwrap();
                for t in 3..6 {
                    model = step(&mut group, model, t);
                }
                bits(&model)
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), bits(&model));
    }
}

#[test]
fn one_process_that_cannot_go_on_is_an_error_for_all() {
    // Pins that an error on one rank's gradients is told to the others, who would wait for ever otherwise.
    let config = GroupConfig::new(EfSgd::new(), Identity);
    let threads: Vec<_> = Threads::links(2)
        .into_iter()
        .enumerate()
        .map(|(rank, link)| {
            let config = config.clone();
            std::thread::spawn(move || {
                let model = net();
                let mut group = config.init_over(link, &model).unwrap();
                let wrong = net();
                let g = if rank == 1 { grads(&wrong, rank, 0) } else { grads(&model, rank, 0) };
                let first = group.round(0.1, &model, vec![g]).unwrap_err().to_string();
                // All go on together afterwards.
                let second = group.round(0.1, &model, vec![grads(&model, rank, 0)]).is_ok();
                (first, second)
            })
        })
        .collect();
    let said: Vec<(String, bool)> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert!(said[1].0.contains("belong to no parameter of this model"), "{}", said[1].0);
    assert!(said[0].0.contains("rank 1"), "{}", said[0].0);
    assert!(said.iter().all(|(_, second)| *second));
}

#[test]
fn another_number_of_workers_than_processes_is_refused() {
    // Pins that `with_workers` is not ignored over a transport.
    let [link, _other] = Threads::pair();
    let error = GroupConfig::new(EfSgd::new(), Identity).with_workers(3).init_over(link, &net()).err().unwrap();
    assert_eq!(error, SetupError::Workers { asked: 3, there: 2 });
}
