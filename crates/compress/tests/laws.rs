//! Every compressor keeps the promise of its class, on adversarial inputs too.

mod common;

use backburn_compress::{AnyCompressor, Class, Compressor, Feedback, Memo, ScaledSign, Source, Unit};
use common::{adversarial, distance, estimate, examples, key, square, units};

const SEEDS: u64 = 300;

/// C(x) for every seed.
fn draws(c: &AnyCompressor, x: &[f32], unit: &Unit) -> Vec<Vec<f32>> {
    (0..SEEDS).map(|seed| c.compress(Source::still(x), unit, &key(seed), &mut Memo::default()).decode()).collect()
}

/// What no format can represent: half a step at the bottom of its range.
fn floor(d: usize) -> f64 {
    let least: f64 = 1.2e-38;
    d as f64 * least * least
}

#[test]
fn contractions_contract() {
    for c in examples() {
        for (name, x) in adversarial() {
            for unit in units(x.len()) {
                let Class::Contractive(alpha) = c.class(&unit) else { continue };
                assert!(alpha > 0.0 && alpha <= 1.0, "{c} {name}: α = {alpha}");
                let errors: Vec<f64> = draws(&c, &x, &unit).iter().map(|y| distance(&x, y)).collect();
                let (mean, deviation) = estimate(&errors);
                let bound = (1.0 - alpha) * square(&x) * (1.0 + 1e-6) + floor(x.len()) + 1e-12 * square(&x);
                assert!(mean <= bound + 4.0 * deviation, "{c} on {name}: {mean} > {bound} ± {deviation}");
            }
        }
    }
}

#[test]
fn non_expansive_compressors_do_not_expand() {
    let mut seen = 0;
    for c in examples() {
        for (name, x) in adversarial() {
            for unit in units(x.len()) {
                let Class::NonExpansive = c.class(&unit) else { continue };
                for y in draws(&c, &x, &unit).iter().take(20) {
                    assert!(distance(&x, y) <= square(&x) * (1.0 + 1e-6) + floor(x.len()), "{c} on {name}");
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 50);
}

/// Whoever reads a class may rely on a bounded residual: α > 0 or κ < ∞, and nothing else promises one.
#[test]
fn a_bounded_residual_is_promised_where_it_is_known() {
    let unit = Unit::tensor("m", &[64, 32]);
    let promises = |form: &str| {
        let class = form.parse::<AnyCompressor>().unwrap().class(&unit);
        (class.bears_feedback(), class.bounds_residual())
    };
    for form in [
        "lowrank:4",
        "twobit:0.5",
        "sketch:0.2",
        "threshold:budget=4",
        "threshold:ratio=0.1",
        "fcc:rounds=2,of=lowrank:1",
    ] {
        assert_eq!(promises(form), (true, false), "{form}");
    }
    for form in [
        "topk:0.01",
        "sign:scaled",
        "onebit",
        "qsgd:scaled",
        "threshold:0.5",
        "fcc:rounds=2,of=topk:0.1",
        "topk:1,values=f16",
    ] {
        assert_eq!(promises(form), (true, true), "{form}");
    }
    for form in ["sign", "qsgd", "terngrad", "natural"] {
        assert_eq!(promises(form), (false, false), "{form}");
    }
    // A vector goes dense, exactly.
    let vector = "lowrank:4".parse::<AnyCompressor>().unwrap().class(&Unit::vector("v", 64));
    assert_eq!(vector, Class::Contractive(1.0));
}

#[test]
fn absolute_compressors_are_within_kappa() {
    for c in examples() {
        for (name, x) in adversarial() {
            for unit in units(x.len()) {
                let Class::Absolute(kappa) = c.class(&unit) else { continue };
                let y = c.compress(Source::still(&x), &unit, &key(1), &mut Memo::default()).decode();
                assert!(distance(&x, &y) <= kappa, "{c} on {name}");
            }
        }
    }
}

#[test]
fn unbiased_compressors_are_unbiased() {
    for c in examples() {
        for (name, x) in adversarial() {
            let unit = Unit::vector("v", x.len());
            let Class::Unbiased(omega) = c.class(&unit) else { continue };
            let ys = draws(&c, &x, &unit);
            let errors: Vec<f64> = ys.iter().map(|y| distance(&x, y)).collect();
            let (mean, deviation) = estimate(&errors);
            let bound = omega * square(&x) * (1.0 + 1e-5) + floor(x.len());
            assert!(mean <= bound + 4.0 * deviation, "{c} on {name}: {mean} > {bound} ± {deviation}");
            // The mean error along a few directions: all ones, the input itself, alternating blocks, the
            // largest coordinate.
            let largest = (0..x.len()).max_by(|a, b| x[*a].abs().total_cmp(&x[*b].abs())).unwrap();
            for direction in 0..4 {
                let weight = |j: usize| match direction {
                    0 => 1.0,
                    1 => f64::from(x[j]),
                    2 => [1.0, -1.0][j / 7 % 2],
                    _ => f64::from(u8::from(j == largest)),
                };
                let along = |y: &Vec<f32>| {
                    let terms = y.iter().zip(&x).enumerate();
                    terms.map(|(j, (y, x))| weight(j) * (f64::from(*y) - f64::from(*x))).sum::<f64>()
                };
                let (mean, deviation) = estimate(&ys.iter().map(along).collect::<Vec<_>>());
                let rounding = 1e-6 * square(&x).sqrt() * (0..x.len()).map(|j| weight(j).powi(2)).sum::<f64>().sqrt();
                // Where coordinates round up once in a million draws, samples say little about the deviation.
                let heaviest = (0..x.len()).map(|j| weight(j).abs()).fold(0.0, f64::max);
                let rare = ["spike", "heavy-tailed"].contains(&name);
                let rounding = rounding + if rare { 4.0 * heaviest * square(&x).sqrt() / SEEDS as f64 } else { 0.0 };
                assert!(
                    mean.abs() <= 4.0 * deviation + rounding + floor(x.len()).sqrt(),
                    "{c} on {name}, direction {direction}: {mean} ± {deviation}"
                );
            }
        }
    }
}

#[test]
fn scaled_sign_contracts_by_exactly_phi() {
    for (name, x) in adversarial() {
        let unit = Unit::vector("v", x.len());
        let y = ScaledSign.compress(Source::still(&x), &unit, &key(1), &mut Memo::default()).decode();
        let one: f64 = x.iter().map(|x| f64::from(x.abs())).sum();
        let phi = if one == 0.0 { 1.0 } else { one * one / (x.len() as f64 * square(&x)) };
        let error = (1.0 - phi) * square(&x);
        assert!((distance(&x, &y) - error).abs() <= 1e-6 * square(&x) + floor(x.len()), "{name}");
    }
}

#[test]
fn nothing_becomes_nothing() {
    for c in examples() {
        let Class::Contractive(_) = c.class(&Unit::vector("v", 48)) else { continue };
        let y =
            c.compress(Source::still(&[0.0; 48]), &Unit::tensor("m", &[6, 8]), &key(1), &mut Memo::default()).decode();
        assert!(y.iter().all(|y| *y == 0.0), "{c}");
        assert_eq!(
            c.compress(Source::still(&[]), &Unit::vector("v", 0), &key(1), &mut Memo::default()).decode(),
            [0.0; 0],
            "{c}"
        );
    }
}

#[test]
fn feedback_takes_what_its_class_allows() {
    for c in examples() {
        let class = c.class(&Unit::vector("v", 4096));
        match Feedback::try_from(c.clone()) {
            Ok(feedback) => {
                assert!(class.bears_feedback());
                assert_eq!(feedback.to_string(), c.to_string());
            }
            Err(refusal) => {
                assert!(!class.bears_feedback());
                assert!(refusal.to_string().contains("scaled"), "{refusal}");
            }
        }
    }
}

#[test]
fn linear_compressors_are_linear() {
    let (x, y) = (common::normal(60, 1), common::normal(60, 2));
    let sum: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
    let unit = Unit::vector("v", 60);
    for c in examples().into_iter().filter(|c| c.is_linear()) {
        let of = |x: &[f32]| c.compress(Source::still(x), &unit, &key(1), &mut Memo::default()).decode();
        let parts: Vec<f32> = of(&x).iter().zip(of(&y)).map(|(x, y)| x + y).collect();
        assert_eq!(of(&sum), parts, "{c}");
    }
}

#[test]
fn kernels_survive_what_callers_refuse() {
    let mut x = common::normal(300, 4);
    (x[3], x[70], x[299]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
    for c in examples() {
        for unit in units(300) {
            let payload = c.compress(Source::still(&x), &unit, &key(1), &mut Memo::default());
            assert_eq!(payload.decode().len(), 300, "{c}");
        }
    }
}
