//! What other implementations got wrong, each as a test, and their published golden numbers.

mod common;

use std::sync::Arc;

use backburn_compress::payload::{Dense, Format, Values};
use backburn_compress::{
    AnyCompressor, Compressor, Key, LowRank, Memo, Payload, Qsgd, RandomK, ScaledSign, Source, TopK, TwoBit, Unbiased,
    Unit, Update, encode_message, low_rank,
};
use common::{distance, key, normal, square};

fn decoded(c: &dyn Compressor, x: &[f32]) -> Vec<f32> {
    c.compress(Source::still(x), &Unit::vector("v", x.len()), &key(1), &mut Memo::default()).decode()
}

/// A scale of ‖x‖₂/√d has a relative error of 1.94 on a one-sparse vector of 1024; ‖x‖₁/d stays below 1.
#[test]
fn bug_1_the_sign_scale_is_the_mean_magnitude() {
    let mut x = vec![0.0; 1024];
    x[5] = 3.0;
    let y = decoded(&ScaledSign, &x);
    assert_eq!(y[5], 3.0 / 1024.0);
    assert!(distance(&x, &y) <= square(&x));
    let wrong = vec![(square(&x) / 1024.0).sqrt() as f32; 1024];
    assert!(distance(&x, &wrong) > 1.9 * square(&x));
}

/// Signs take a bit, and every byte of indices and scales is counted.
#[test]
fn bug_2_bytes_are_real() {
    let x = normal(8000, 1);
    let unit = Unit::vector("v", 8000);
    let size = |form: &str| {
        let c: AnyCompressor = form.parse().unwrap();
        let payload = Arc::new(c.compress(Source::still(&x), &unit, &key(1), &mut Memo::default()));
        assert_eq!(encode_message(&vec![payload.clone()].into()).len(), 20 + payload.num_bytes(), "{form}");
        payload.num_bytes()
    };
    assert_eq!(size("sign"), 1000 + 3);
    assert_eq!(size("sign:scaled"), 1000 + 3 + 4);
    // 80 values of four bytes, and their places: log₂ C(8000, 80) is 80.6 bytes.
    assert!((320 + 81..320 + 81 + 10).contains(&size("topk:0.01")), "{}", size("topk:0.01"));
    // A whole message with bf16 values against four bytes an index and four a value.
    assert!(size("topk:0.01,values=bf16") * 10 <= 4 * 80 * 8);
}

/// Random-k draws without replacement; a threshold is on magnitudes; the step size counts from the first step on.
#[test]
fn bug_3_masks_are_what_they_say() {
    for seed in 0..200 {
        let c = RandomK::count(7).unwrap();
        let payload = c.compress(Source::still(&[1.0; 10]), &Unit::vector("v", 10), &key(seed), &mut Memo::default());
        assert_eq!(payload.decode().iter().filter(|y| **y == 1.0).count(), 7);
    }
    let threshold: AnyCompressor = "threshold:1".parse().unwrap();
    assert_eq!(decoded(&threshold, &[-3.0, 0.5, 1.0, -0.5]), [-3.0, 0.0, 1.0, 0.0]);
    let mut p = [0.0; 2];
    let update = Update { last: None, decay: 1.0, gain: 0.1, gradient: &[1.0, 2.0] };
    TopK::count(2).unwrap().compress(
        Source::moving(&mut p, update),
        &Unit::vector("v", 2),
        &key(1),
        &mut Memo::default(),
    );
    assert_eq!(p, [0.1, 0.2]);
}

/// What rounding to half precision takes away stays in the residual, in every format.
#[test]
fn bug_4_rounding_returns_to_the_residual() {
    let g = normal(100, 6);
    let unit = Unit::vector("v", 100);
    for c in [
        TopK::ratio(1.0).unwrap().with_values(Format::Bf16),
        TopK::ratio(1.0).unwrap().with_values(Format::F16),
        TopK::ratio(1.0).unwrap().with_values(backburn_compress::compressors::Coding::levels(7).unwrap()),
    ] {
        let mut p = vec![0.0; 100];
        let update = |last| Update { last, decay: 1.0, gain: 1.0, gradient: &g };
        let sent = c.compress(Source::moving(&mut p, update(None)), &unit, &key(1), &mut Memo::default());
        let zero = vec![0.0; 100];
        let update = Update { last: Some(&sent), decay: 1.0, gain: 1.0, gradient: &zero };
        c.compress(Source::moving(&mut p, update), &unit, &key(2), &mut Memo::default());
        let residual: Vec<f32> = g.iter().zip(sent.decode()).map(|(g, y)| g - y).collect();
        assert_eq!(p, residual, "{c}");
        assert!(square(&residual) > 0.0, "{c}");
    }
}

/// Quantisation rounds by uniform noise, so it is unbiased; under feedback only the scaled one stays bounded.
#[test]
fn bug_5_quantisation_is_unbiased_and_feedback_needs_it_scaled() {
    let x = [0.3f32, -0.7, 0.2, 0.61];
    let c = Qsgd::new(1).unwrap();
    let mut mean = [0.0f64; 4];
    let n = 40_000;
    for seed in 0..n {
        let y = c.compress(Source::still(&x), &Unit::vector("v", 4), &key(seed), &mut Memo::default()).decode();
        mean.iter_mut().zip(y).for_each(|(m, y)| *m += f64::from(y) / n as f64);
    }
    // Four standard errors of a value of at most 1.
    mean.iter().zip(x).for_each(|(m, x)| assert!((m - f64::from(x)).abs() < 0.02, "{mean:?}"));

    let d = 512;
    let grown = |c: &dyn Compressor| {
        let (mut p, mut last, mut memo) = (vec![0.0; d], None, Memo::default());
        for step in 0..60 {
            let g = normal(d, step);
            let update = Update { last: last.as_ref(), decay: 1.0, gain: 1.0, gradient: &g };
            let key = Key { step, ..Key::new(1) };
            last = Some(c.compress(Source::moving(&mut p, update), &Unit::vector("v", d), &key, &mut memo));
        }
        square(&p)
    };
    let (unscaled, scaled) = (grown(&c), grown(&c.scaled()));
    println!("{unscaled:e} {scaled:e}");
    assert!(unscaled > 1e3 * scaled);
    assert!("qsgd:s=1".parse::<AnyCompressor>().map(backburn_compress::Feedback::try_from).unwrap().is_err());
}

/// Indices beyond 2¹⁶ survive.
#[test]
fn bug_14_indices_reach_as_far_as_tensors() {
    let mut x = vec![0.0f32; 200_000];
    (x[65_535], x[65_536], x[199_999]) = (1.0, 2.0, 3.0);
    let payload =
        TopK::count(3).unwrap().compress(Source::still(&x), &Unit::vector("v", 200_000), &key(1), &mut Memo::default());
    let message = payload.into();
    let read = backburn_compress::decode_message(&encode_message(&message), 200_000).unwrap();
    let Payload::Sparse(sparse) = &*read.payloads[0] else { panic!("top-k is sparse") };
    assert_eq!(sparse.indices, [65_535, 65_536, 199_999]);
}

/// Zero and rank-deficient matrices have an orthonormal basis of what there is, and the warm Q recovers.
#[test]
fn bug_15_low_rank_survives_matrices_without_rank() {
    let unit = Unit::tensor("m", &[20, 30]);
    let c = LowRank::new(4).unwrap();
    let mut memo = Memo::default();
    assert_eq!(c.compress(Source::still(&[0.0; 600]), &unit, &key(1), &mut memo).decode(), [0.0; 600]);
    let rank_one: Vec<f32> = (0..600).map(|i| (1 + i / 30) as f32 * ((i % 30) as f32 - 14.5)).collect();
    let y = c.compress(Source::still(&rank_one), &unit, &key(2), &mut memo).decode();
    assert!(distance(&rank_one, &y) < 1e-8 * square(&rank_one));
    // After which Q has three rows of nothing, and must find four directions again.
    let full = normal(600, 5);
    for step in 3..6 {
        c.compress(Source::still(&full), &unit, &key(step), &mut memo);
    }
    let y = c.compress(Source::still(&full), &unit, &key(6), &mut memo).decode();
    let best_of_one = 0.93 * square(&full);
    assert!(distance(&full, &y) < best_of_one - 0.1 * square(&full));

    let mut p = vec![1.0f32, 2.0, 2.0, 4.0, 3.0, 6.0];
    low_rank::orthonormalise(&mut p, 2);
    let column = |r: usize| p.iter().skip(r).step_by(2).copied().collect::<Vec<f32>>();
    assert!((square(&column(0)) - 1.0).abs() < 1e-6);
    assert_eq!(column(1), [0.0; 3]);
    let mut zero = vec![0.0f32; 6];
    low_rank::orthonormalise(&mut zero, 2);
    assert_eq!(zero, [0.0; 6]);
}

/// The 2-bit threshold of ±4 with a residual.
#[test]
fn golden_two_bit_threshold() {
    let g = [-6.0, -2.0, 3.0, 1.0, 10.0, 5.0, -3.0, 2.0, -8.0, 0.0];
    let mut p = [-3.0, 1.0, -1.0, 5.0, -2.0, 2.0, 3.0, -7.0, -2.0, -100.0];
    let c = TwoBit::new(4.0).unwrap();
    let unit = Unit::vector("v", 10);
    let update = Update { last: None, decay: 1.0, gain: 1.0, gradient: &g };
    let sent = c.compress(Source::moving(&mut p, update), &unit, &key(1), &mut Memo::default());
    assert_eq!(sent.decode(), [-4.0, 0.0, 0.0, 4.0, 4.0, 4.0, 0.0, -4.0, -4.0, -4.0]);
    sent.axpy(-1.0, &mut p);
    assert_eq!(p, [-5.0, -1.0, 2.0, 2.0, 4.0, 3.0, 0.0, -1.0, -6.0, -96.0]);
    let Payload::Dense(Dense { values: Values::Levels(levels) }) = sent else { panic!("levels") };
    assert_eq!(levels.most, 1);
}
