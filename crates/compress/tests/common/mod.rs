//! What the test suites share: the table's examples, and vectors that are hard on compressors.
#![allow(dead_code)] // every suite uses its own part

use backburn_compress::{AnyCompressor, Key, Philox, Unit};

/// Every textual form of the table.
pub fn examples() -> Vec<AnyCompressor> {
    let examples = AnyCompressor::table().iter().flat_map(|e| e.examples).map(|text| text.parse().expect(text));
    let examples: Vec<_> = examples.collect();
    assert!(examples.len() > 40, "laws over {} examples say little", examples.len());
    examples
}

/// The key of seed `seed` for worker 3.
pub fn key(seed: u64) -> Key {
    Key { step: 5, unit: 11, worker: Some(3), ..Key::new(seed) }
}

/// Units of `len` coordinates: a vector, and a matrix where there is one.
pub fn units(len: usize) -> Vec<Unit> {
    let mut units = vec![Unit::vector("v", len)];
    if let Some(rows) = (2..=len.isqrt()).rev().find(|r| len.is_multiple_of(*r)) {
        units.push(Unit::tensor("m", &[rows, len / rows]));
    }
    units
}

/// Standard normal coordinates.
pub fn normal(len: usize, seed: u64) -> Vec<f32> {
    let mut random = Philox::new(seed);
    (0..len).map(|_| random.normal()).collect()
}

/// Named inputs on which compressors have been known to fail.
pub fn adversarial() -> Vec<(&'static str, Vec<f32>)> {
    let mut one_sparse = vec![0.0; 60];
    one_sparse[37] = -7.0;
    let heavy = normal(96, 3).iter().map(|x| x * x * x * x * x).collect();
    let mut spike = vec![1e-3; 80];
    spike[79] = 1e3;
    let mut zeros = vec![-0.0; 48];
    zeros[5] = 0.0;
    vec![
        ("normal", normal(90, 1)),
        ("one-sparse", one_sparse),
        ("heavy-tailed", heavy),
        ("constant", vec![2.5; 72]),
        ("negative", vec![-0.125; 64]),
        ("zero", zeros),
        ("one coordinate", vec![-3.0]),
        ("two coordinates", vec![0.0, 4.0]),
        ("spike", spike),
        ("alternating", (0..66).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect()),
        ("denormal", (0..50).map(|i| f32::from_bits(i * 977) * if i % 3 == 0 { -1.0 } else { 1.0 }).collect()),
        ("tiny", normal(90, 2).iter().map(|x| x * 1e-8).collect()),
        ("huge", normal(90, 3).iter().map(|x| x * 1e30).collect()),
        ("long", normal(5000, 9)),
    ]
}

/// ‖x‖².
pub fn square(x: &[f32]) -> f64 {
    x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()
}

/// ‖x − y‖².
pub fn distance(x: &[f32], y: &[f32]) -> f64 {
    assert_eq!(x.len(), y.len());
    x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum()
}

/// Mean and its standard error.
pub fn estimate(samples: &[f64]) -> (f64, f64) {
    let n = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / n;
    let variance = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}
