//! The fused kernels give exactly what plain loops over a `Vec<f32>` give, on any number of threads.

mod common;

use backburn_compress::payload::{Drawn, Levels, Payload, Powers, Signs, Sparse, Values};
use backburn_compress::{AnyCompressor, Compressor, Key, Memo, Source, Unit, Update, random};
use common::{examples, normal};

/// p ← (p − decode(last))·decay + gain·g.
fn move_on(p: &mut [f32], last: Option<&Payload>, decay: f32, gain: f32, g: &[f32]) {
    if let Some(last) = last {
        for part in last.parts() {
            p.iter_mut().zip(part.decode()).for_each(|(p, v)| *p -= v);
        }
    }
    p.iter_mut().zip(g).for_each(|(p, g)| *p = *p * decay + gain * g);
}

/// A sum in blocks of 4096: sixteen partial sums each, added in order.
fn sum(x: &[f32], term: impl Fn(f32) -> f64) -> f64 {
    let block = |x: &[f32]| {
        let mut lanes = [0.0f64; 16];
        x.iter().enumerate().for_each(|(j, x)| lanes[j % 16] += term(*x));
        lanes.iter().sum::<f64>()
    };
    x.chunks(4096).map(block).sum()
}

fn signs(x: &[f32], low: f32, high: f32) -> Payload {
    let mut words = vec![0u64; x.len().div_ceil(64)];
    x.iter().enumerate().for_each(|(j, x)| words[j / 64] |= u64::from(*x >= 0.0) << (j % 64));
    Signs { len: x.len(), words, low, high }.into()
}

fn keep(x: &[f32], indices: Vec<u32>) -> Payload {
    let values = indices.iter().map(|i| x[*i as usize]).collect();
    Sparse { len: x.len(), indices, values: Values::F32(values) }.into()
}

/// Philox4x32-7.
fn block(draw: u64, index: u64) -> [u32; 4] {
    let (mut c, mut k) = ([index as u32, (index >> 32) as u32, 0, 0], [draw as u32, (draw >> 32) as u32]);
    for _ in 0..7 {
        let (a, b) = (u64::from(c[0]) * 0xd251_1f53, u64::from(c[2]) * 0xcd9e_8d57);
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9e37_79b9), k[1].wrapping_add(0xbb67_ae85)];
    }
    c
}

/// The random word of coordinate j.
fn word(draw: u64, j: usize) -> u32 {
    let word = block(draw, (16 * (j / 128) + j % 16) as u64)[j % 128 / 32];
    if (j / 16).is_multiple_of(2) { word.rotate_left(16) } else { word }
}

fn quantise(x: &[f32], s: u8, bucket: usize, max: bool, factor: f64, draw: u64) -> Payload {
    let (mut steps, mut levels) = (Vec::new(), Vec::new());
    for (b, x) in x.chunks(bucket).enumerate() {
        let norm = if max {
            x.iter().fold(0.0f64, |m, x| m.max(f64::from(x.abs())))
        } else {
            let mut lanes = [0.0f64; 16];
            x.iter().enumerate().for_each(|(j, x)| lanes[j % 16] += f64::from(*x) * f64::from(*x));
            lanes.iter().sum::<f64>().sqrt()
        };
        let step = (norm / f64::from(s)) as f32;
        steps.push((norm / f64::from(s) * factor) as f32);
        for (i, x) in x.iter().enumerate() {
            let ratio = if step == 0.0 { 0.0 } else { (x.abs() * (1.0 / step)).min(f32::from(s)) };
            let chance = f64::from(ratio.fract());
            let up = f64::from(word(draw, b * bucket + i) >> 8) / f64::from(1 << 24) < chance;
            let level = ratio.floor() as i8 + i8::from(up);
            levels.push(if x.is_sign_negative() { -level } else { level });
        }
    }
    Payload::dense(Values::Levels(Levels { most: s, bucket, steps, levels }))
}

/// The plain form of a compressor, where it has one of its own here.
fn oracle(form: &str, x: &[f32], key: &Key) -> Option<Payload> {
    let d = x.len();
    Some(match form {
        "identity" => Payload::dense(Values::F32(x.to_vec())),
        "sign" => signs(x, -1.0, 1.0),
        "sign:scaled" => {
            let scale = (sum(x, |x| f64::from(x.abs())) / d as f64) as f32;
            signs(x, -scale, scale)
        }
        "onebit" => {
            let high = x.iter().filter(|x| **x >= 0.0).count();
            let mean = |n: usize, total: f64| (total / n.max(1) as f64) as f32;
            let low = mean(d - high, sum(x, |x| f64::from(x.min(0.0))));
            signs(x, low, mean(high, sum(x, |x| f64::from(x.max(0.0)))))
        }
        "twobit:0.5" => {
            let level = |x: &f32| {
                if *x >= 0.5 {
                    1
                } else if *x <= -0.5 {
                    -1
                } else {
                    0
                }
            };
            let levels = x.iter().map(level).collect();
            Payload::dense(Values::Levels(Levels { most: 1, bucket: d, steps: vec![0.5], levels }))
        }
        "topk:0.1" | "topk:k=3" => {
            let k = if form == "topk:0.1" { (0.1 * d as f64).ceil() as usize } else { 3.min(d) };
            let mut order: Vec<u32> = (0..d as u32).collect();
            order.sort_by(|a, b| x[*b as usize].abs().total_cmp(&x[*a as usize].abs()).then(a.cmp(b)));
            order.truncate(k);
            order.sort_unstable();
            keep(x, order)
        }
        "randk:0.1" => {
            let draw = key.shared().draw();
            let indices = random::subset(draw, d, (0.1 * d as f64).ceil() as usize);
            let values = indices.iter().map(|i| x[*i as usize]).collect();
            Drawn { len: d, draw, values: Values::F32(values) }.into()
        }
        "threshold:0.5" => keep(x, (0..d as u32).filter(|i| x[*i as usize].abs() >= 0.5).collect()),
        "qsgd:s=15,bucket=512" => quantise(x, 15, 512, false, 1.0, key.draw()),
        "qsgd:s=1,bucket=7,norm=max" => quantise(x, 1, 7, true, 1.0, key.draw()),
        "terngrad:bucket=10" => quantise(x, 1, 10, true, 1.0, key.draw()),
        "qsgd:s=127,bucket=512,scaled" => {
            let b = d.min(512) as f64;
            let omega = (b / (127.0 * 127.0)).min(b.sqrt() / 127.0);
            quantise(x, 127, 512, false, 1.0 / (1.0 + omega), key.draw())
        }
        "natural" => {
            let code = |(j, x): (usize, &f32)| {
                let magnitude = x.to_bits() & 0x7fff_ffff;
                let (exponent, mantissa) = (magnitude >> 23, magnitude & 0x7f_ffff);
                let up = (word(key.draw(), j) >> 9) + mantissa >= 1 << 23;
                let exponent = exponent + u32::from(up);
                (2 * exponent + u32::from(x.is_sign_negative() && exponent > 0)) as u16
            };
            Payload::dense(Values::Powers(Powers { scale: 1.0, codes: x.iter().enumerate().map(code).collect() }))
        }
        _ => return None,
    })
}

/// Four steps of feedback; all payloads and the last p.
fn run(c: &AnyCompressor, unit: &Unit) -> (Vec<Payload>, Vec<f32>) {
    let d = unit.len();
    let (mut p, mut memo, mut payloads) = (vec![0.0; d], Memo::default(), Vec::<Payload>::new());
    for (step, (decay, gain)) in [(1.0, 1.0), (1.0, 0.25), (0.5, 1.0), (1.0, 0.1)].into_iter().enumerate() {
        let g = normal(d, step as u64);
        let update = Update { last: payloads.last(), decay, gain, gradient: &g };
        let payload = c.compress(Source::moving(&mut p, update), unit, &step_key(step), &mut memo);
        payloads.push(payload);
    }
    (payloads, p)
}

fn step_key(step: usize) -> Key {
    Key { step: step as u64, worker: Some(1), ..Key::new(8) }
}

#[test]
fn fused_steps_equal_plain_ones() {
    let mut seen = 0;
    for c in examples() {
        for d in [1, 63, 64, 65, 1000, 4097, 140_000] {
            for unit in common::units(d) {
                if d > 10_000 && unit.shape.len() > 1 && !c.to_string().contains("lowrank") {
                    continue;
                }
                let (payloads, last_p) = run(&c, &unit);
                let (mut p, mut memo, mut last) = (vec![0.0; d], Memo::default(), None);
                for (step, (decay, gain)) in [(1.0, 1.0), (1.0, 0.25), (0.5, 1.0), (1.0, 0.1)].into_iter().enumerate() {
                    move_on(&mut p, last.as_ref(), decay, gain, &normal(d, step as u64));
                    let key = step_key(step);
                    if let Some(expected) = oracle(&c.to_string(), &p, &key) {
                        assert_eq!(payloads[step], expected, "{c}, d = {d}, step {step}");
                        seen += 1;
                    }
                    // A vector at rest in the same units is the same.
                    let source = Source::still(&p).in_units_of(f64::from(gain));
                    let rest = c.compress(source, &unit, &key, &mut memo);
                    assert_eq!(payloads[step], rest, "{c}, d = {d}, step {step}");
                    last = Some(payloads[step].clone());
                }
                assert_eq!(last_p, p, "{c}, d = {d}");
            }
        }
    }
    assert!(seen > 300);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for c in examples() {
        for unit in [Unit::vector("v", 140_001), Unit::tensor("m", &[300, 400])] {
            let runs: Vec<_> = [1, 2, 3, 8]
                .map(|threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| run(&c, &unit))
                })
                .into();
            for other in &runs[1..] {
                assert!(runs[0] == *other, "{c}");
            }
        }
    }
}

#[test]
fn a_guess_never_changes_the_choice() {
    // Scales that leap, constants, zeros and ties, so that guesses are too high, too low and useless.
    let vectors = [
        normal(100_000, 1),
        normal(100_000, 2).iter().map(|x| x * 1e-6).collect(),
        normal(100_000, 3).iter().map(|x| x * 1e6).collect(),
        vec![1.0; 100_000],
        vec![0.0; 100_000],
        normal(100_000, 4).iter().map(|x| x.round()).collect(),
        normal(100_000, 5),
    ];
    let unit = Unit::vector("v", 100_000);
    for form in ["topk:0.001", "topk:0.01", "topk:0.2", "topk:0.3", "topk:0.9", "topk:1"] {
        let c: AnyCompressor = form.parse().unwrap();
        let mut memo = Memo::default();
        for (i, x) in vectors.iter().enumerate() {
            let warm = c.compress(Source::still(x), &unit, &step_key(i), &mut memo);
            let cold = c.compress(Source::still(x), &unit, &step_key(i), &mut Memo::default());
            assert!(warm == cold, "{form} on vector {i}");
            let mut order: Vec<u32> = (0..100_000).collect();
            order.sort_by(|a, b| x[*b as usize].abs().total_cmp(&x[*a as usize].abs()).then(a.cmp(b)));
            order.truncate(warm.sent());
            order.sort_unstable();
            assert!(warm == keep(x, order), "{form} on vector {i}");
        }
    }
}
