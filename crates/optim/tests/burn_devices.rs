//! A naive `Vec<f64>` oracle speaks for every device: the same EF-SGD written out plainly, against
//! `Group` on each device that this build and machine have.

use backburn_compress::{Key, Layout, Scope, random};
use backburn_optim::{DeviceKind, GroupConfig, Places};
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

#[derive(Module, Debug)]
struct Points {
    a: Param<Tensor<2>>,
    b: Param<Tensor<1>>,
}

const SHAPES: [(&str, &[usize]); 2] = [("a", &[6, 7]), ("b", &[9])];
const WORKERS: usize = 3;
const STEPS: usize = 6;
const SEED: u64 = 5;

fn start(i: usize) -> f32 {
    (i as f32 * 0.61).sin()
}

fn points(device: &Device) -> Points {
    let a = (0..42).map(start).collect::<Vec<_>>();
    let b = (42..51).map(start).collect::<Vec<_>>();
    Points {
        a: Param::from_tensor(Tensor::from_data(TensorData::new(a, [6, 7]), device)),
        b: Param::from_tensor(Tensor::from_data(TensorData::new(b, [9]), device)),
    }
}

/// The gradient of ½Σ(x − t)², t a wave of its own for every worker and step.
fn target(worker: usize, step: usize, i: usize) -> f32 {
    ((i + 7 * worker + 13 * step) as f32 * 0.43).cos() * 3.0
}

fn grads(model: &Points, worker: usize, step: usize) -> GradientsParams {
    let device = model.a.val().device();
    let wave =
        |from: usize, to: usize| TensorData::new((from..to).map(|i| target(worker, step, i)).collect(), [to - from]);
    let a = model.a.val() - Tensor::<1>::from_data(wave(0, 42), &device).reshape([6, 7]);
    let b = model.b.val() - Tensor::<1>::from_data(wave(42, 51), &device);
    let loss = (a.powi_scalar(2).sum() + b.powi_scalar(2).sum()).mul_scalar(0.5);
    GradientsParams::from_grads(loss.backward(), model)
}

/// C(p), written for clarity alone.
fn naive(form: &str, p: &[f64], key: &Key) -> Vec<f64> {
    let d = p.len();
    let keep = |chosen: &dyn Fn(usize) -> bool| (0..d).map(|i| if chosen(i) { p[i] } else { 0.0 }).collect();
    match form {
        "identity" => p.to_vec(),
        "sign:scaled" => {
            let scale = p.iter().map(|x| x.abs()).sum::<f64>() / d as f64;
            p.iter().map(|x| if *x >= 0.0 { scale } else { -scale }).collect()
        }
        "topk:0.2" => {
            let mut order: Vec<usize> = (0..d).collect();
            order.sort_by(|a, b| p[*b].abs().total_cmp(&p[*a].abs()).then(a.cmp(b)));
            let k = (0.2 * d as f64).ceil() as usize;
            keep(&|i| order[..k].contains(&i))
        }
        "randk:0.2" => {
            let k = (0.2 * d as f64).ceil() as usize;
            let chosen = random::subset(key.shared().draw(), d, k);
            keep(&|i| chosen.contains(&(i as u32)))
        }
        "threshold:0.4" => keep(&|i| p[i].abs() >= 0.4),
        other => panic!("no oracle for {other}"),
    }
}

fn lr(step: usize) -> f64 {
    if step < 3 { 0.2 } else { 0.05 }
}

fn oracle(form: &str) -> Vec<f64> {
    let shapes = SHAPES.iter().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect();
    let layout = Layout::new(shapes, Scope::Parameter, 0).unwrap();
    let mut x: Vec<f64> = (0..51).map(|i| f64::from(start(i))).collect();
    let mut e = vec![vec![0.0; 51]; WORKERS];
    for step in 0..STEPS {
        let mut mean = vec![0.0; 51];
        for (w, e) in e.iter_mut().enumerate() {
            let p: Vec<f64> = (0..51).map(|i| lr(step) * (x[i] - f64::from(target(w, step, i))) + e[i]).collect();
            for unit in layout.units() {
                let key = Key { step: step as u64, worker: Some(w as u32), ..Key::new(SEED) }.unit(unit.key);
                let sent = naive(form, &p[unit.range.clone()], &key);
                for (i, sent) in unit.range.clone().zip(sent) {
                    e[i] = p[i] - sent;
                    mean[i] += sent / WORKERS as f64;
                }
            }
        }
        x.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m);
    }
    x
}

#[test]
fn every_device_agrees_with_the_oracle() {
    let mut tried = 0;
    for name in DeviceKind::ALL {
        let Ok(device) = name.device() else {
            eprintln!("{name}: no such device on this machine");
            continue;
        };
        tried += 1;
        let device = device.autodiff();
        for form in ["identity", "sign:scaled", "topk:0.2", "randk:0.2", "threshold:0.4"] {
            let mut model = points(&device);
            let builder = GroupConfig::any("ef-sgd".parse().unwrap(), form.parse().unwrap());
            let mut group = builder.with_workers(WORKERS).with_seed(SEED).init(&model).unwrap();
            for step in 0..STEPS {
                let g = (0..WORKERS).map(|w| grads(&model, w, step)).collect();
                model = group.round(lr(step), &model, g).unwrap().apply(model);
            }
            let (_, places) = Places::new(&model, Scope::Parameter, 0).unwrap();
            for (i, (ours, exact)) in places.read(&model).unwrap().as_slice().iter().zip(oracle(form)).enumerate() {
                let error = (f64::from(*ours) - exact).abs();
                assert!(error <= 1e-5 + 1e-4 * exact.abs(), "{name} {form}: x[{i}] is {ours}, the oracle says {exact}");
            }
        }
    }
    assert!(tried >= 1, "no device at all");
}

#[test]
fn a_model_may_move_to_another_device_mid_run() {
    let kinds = DeviceKind::ALL.into_iter().filter(|kind| *kind != DeviceKind::Auto);
    let devices: Vec<Device> = kinds.filter_map(|kind| kind.device().ok()).collect();
    let run = |hop: bool| {
        let first = devices[0].clone().autodiff();
        let mut model = points(&first);
        let mut group = GroupConfig::any("ef-sgd:momentum=0.9".parse().unwrap(), "topk:0.2".parse().unwrap())
            .with_workers(2)
            .init(&model)
            .unwrap();
        for step in 0..4 {
            if hop {
                model = model.fork(&devices[step % devices.len()].clone().autodiff());
            }
            let g = (0..2).map(|w| grads(&model, w, step)).collect();
            model = group.round(0.1, &model, g).unwrap().apply(model);
        }
        group.parameters(&model).unwrap()
    };
    let (stayed, hopped) = (run(false), run(true));
    assert!(stayed.as_slice().iter().zip(hopped.as_slice().iter()).all(|(a, b)| (a - b).abs() < 1e-4), "{devices:?}");
}
