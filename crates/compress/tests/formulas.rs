//! What a compressor says of itself, and what small formulas come to, worked out by hand.

mod common;

use backburn_compress::compressors::Coding;
use backburn_compress::payload::Format;
use backburn_compress::{
    AnyCompressor, Class, Compressor, CountSketch, Fcc, HardThreshold, LowRank, Memo, Norm, Qsgd, RandomK, Scope,
    Source, TernGrad, TiledTopK, TopK, Unbiased, Unit, low_rank,
};
use common::{adversarial, examples, key, normal};

#[test]
fn classes_are_those_of_the_formulas() {
    // Pins the numbers themselves: a bound that is too wide keeps every law, and promises less than is true.
    let (v90, v10000, v5) = (Unit::vector("v", 90), Unit::vector("v", 10_000), Unit::vector("v", 5));
    let (v18, m8) = (Unit::vector("v", 18), Unit::tensor("m", &[8, 8]));
    let contractive = Class::Contractive;
    let max_norm = |b: f64, s: f64| ((b - 1.0) / (4.0 * s * s)).min((1.0 + b.sqrt()) / (2.0 * s));
    let cases: Vec<(&str, &Unit, Class)> = vec![
        ("identity", &v90, contractive(1.0)),
        ("topk:0.1", &v90, contractive(0.1)),
        ("randk:k=3", &v90, contractive(1.0 / 30.0)),
        ("topk:k=3,values=f16", &v90, contractive((1.0 - 0.25 / 1024.0 / 1024.0) / 30.0)),
        ("topk:k=3,values=bf16", &v90, contractive((1.0 - 1.0 / 65536.0) / 30.0)),
        // ω = min(8/(4·15²), 4/30) = 8/900.
        ("topk:0.1,values=qsgd:15", &v90, contractive(0.1 / (1.0 + 8.0 / 900.0))),
        // A bucket holds 512 values.
        ("topk:0.1,values=qsgd:15", &v10000, contractive(0.1 / (1.0 + 511.0 / 900.0))),
        ("topk:0.1,values=qsgd:1", &v10000, contractive(0.1 / (1.0 + max_norm(512.0, 1.0)))),
        ("topk:0.2,values=4bit", &v90, contractive(0.2 * (8.0 / 9.0 / (1.0 + 17.0 / 16384.0) - 1e-6))),
        ("topk:0.1,values=sign", &v90, contractive(0.1 / 9.0)),
        ("topk:0.1,values=2bit", &v90, Class::NonExpansive),
        // Four tiles of 16, of which 4 are kept.
        ("topk:4/16,tiles", &m8, contractive(0.25)),
        ("topk:4/16,values=sign,tiles", &m8, contractive(0.25 / 16.0)),
        // Four tiles of 4, one of 2, of which 1 is kept.
        ("topk:3/16,tiles", &v18, contractive(0.25)),
        ("topk:4/16,values=sign,tiles", &v18, contractive(0.25 / 5.0)),
        ("threshold:0.5", &v90, Class::Absolute(22.5)),
        ("threshold:unit-norm-budget=100", &v90, Class::Absolute(90.0 * 0.0025)),
        ("qsgd:s=15,bucket=10", &v90, Class::Unbiased(10.0 / 225.0)),
        ("qsgd:s=1,bucket=64", &v90, Class::Unbiased(8.0)),
        ("qsgd:s=1,bucket=64", &v5, Class::Unbiased(5f64.sqrt())),
        ("qsgd:s=15,bucket=10,norm=max", &v90, Class::Unbiased(0.01)),
        ("qsgd:s=1,bucket=64,norm=max", &v90, Class::Unbiased(4.5)),
        ("qsgd:s=15,bucket=10,scaled", &v90, contractive(1.0 / (1.0 + 10.0 / 225.0))),
        ("terngrad:bucket=16", &v90, Class::Unbiased(1.5)),
        ("terngrad:bucket=16", &v5, Class::Unbiased((5f64.sqrt() - 1.0) / 2.0)),
        ("natural", &v90, Class::Unbiased(0.125)),
        ("natural:scaled", &v90, contractive(1.0 / 1.125)),
        ("fcc:rounds=2,of=topk:0.1", &v90, contractive(0.19)),
        ("fcc:rounds=3,of=threshold:0.5", &v90, Class::Absolute(22.5)),
    ];
    for (form, unit, right) in cases {
        let class = form.parse::<AnyCompressor>().unwrap().class(unit);
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b;
        let same = match (class, right) {
            (Class::Contractive(a), Class::Contractive(b)) => near(a, b),
            (Class::Absolute(a), Class::Absolute(b)) | (Class::Unbiased(a), Class::Unbiased(b)) => near(a, b),
            (a, b) => a == b,
        };
        assert!(same, "{form} on {} coordinates: {class:?} is not {right:?}", unit.len());
    }
}

#[test]
fn builders_make_what_their_texts_make() {
    let ok = "within the range";
    let cases: Vec<(AnyCompressor, &str)> = vec![
        (AnyCompressor::new(TopK::count(3).expect(ok).with_values(Format::F16)), "topk:k=3,values=f16"),
        (AnyCompressor::new(RandomK::ratio(0.1).expect(ok).with_values(Format::Bf16)), "randk:0.1,values=bf16"),
        (
            AnyCompressor::new(TiledTopK::new(4, 4).expect(ok).with_values(Coding::TwoBit)),
            "topk:4/16,values=2bit,tiles",
        ),
        (
            AnyCompressor::new(CountSketch::columns(7).expect(ok).with_rows(3).expect(ok).with_k(2).expect(ok)),
            "sketch:cols=7,rows=3,k=2",
        ),
        (
            AnyCompressor::new(Qsgd::new(7).expect(ok).with_bucket(10).expect(ok).with_norm(Norm::Max)),
            "qsgd:s=7,bucket=10,norm=max",
        ),
        (AnyCompressor::new(TernGrad::bucket(10).expect(ok)), "terngrad:bucket=10"),
        (AnyCompressor::new(TernGrad::bucket(10).expect(ok).scaled()), "terngrad:bucket=10,scaled"),
        (AnyCompressor::new(HardThreshold::budget(100).expect(ok)), "threshold:0.05"),
        (AnyCompressor::new(HardThreshold::calibrated(4).expect(ok)), "threshold:budget=4"),
        (AnyCompressor::new(LowRank::new(4).expect(ok)), "lowrank:4"),
        (AnyCompressor::new(Fcc::new(2, TopK::count(1).expect(ok)).expect(ok)), "fcc:rounds=2,of=topk:k=1"),
    ];
    let unit = Unit::tensor("m", &[8, 16]);
    let x = normal(unit.len(), 7);
    for (built, text) in cases {
        assert_eq!(built.to_string(), text);
        let parsed: AnyCompressor = text.parse().unwrap();
        let says = |c: &AnyCompressor| c.compress(Source::still(&x), &unit, &key(1), &mut Memo::default());
        assert_eq!((says(&built), built.parts()), (says(&parsed), parsed.parts()), "{text}");
    }
    assert_eq!(LowRank::new(4).expect(ok).rank(), 4);
    let of = |form: &str| form.parse::<AnyCompressor>().unwrap().parts();
    assert_eq!(
        (of("topk:0.1"), of("fcc:rounds=3,of=topk:0.1"), of("fcc:rounds=2,of=fcc:rounds=3,of=sign:scaled")),
        (1, 3, 6)
    );
    assert!("qsgd:norm=l1".parse::<AnyCompressor>().is_err() && "qsgd:norm=l2".parse::<AnyCompressor>().is_ok());
    assert_eq!("bucket:7".parse::<Scope>().unwrap().to_string(), "bucket:7");
}

#[test]
fn four_bits_are_the_nearest_and_ties_go_up() {
    let coded = |x: &[f32]| {
        let c: AnyCompressor = "topk:1.0,values=4bit".parse().unwrap();
        c.compress(Source::still(x), &Unit::vector("v", x.len()), &key(1), &mut Memo::default()).decode()
    };
    let check = |x: &[f32]| {
        let m = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let sizes: Vec<f32> = (0..=6).map(|e| m * 0.5f32.powi(e)).chain([0.0]).collect();
        for (x, y) in x.iter().zip(coded(x)) {
            let far = |size: &f32| (f64::from(x.abs()) - f64::from(*size)).abs();
            let nearest = sizes.iter().copied().reduce(|a, b| if far(&b) < far(&a) { b } else { a }).unwrap();
            assert_eq!(y, if *x < 0.0 { -nearest } else { nearest }, "{x} of {m}");
        }
    };
    // All places halfway, a little below and a little above.
    let halves = (0..=6).map(|e| 0.75 * 0.5f32.powi(e)).chain([0.5f32.powi(7)]);
    check(&halves.flat_map(|h| [h, h * 0.999, h * 1.001, -h]).chain([1.0, -1.0, 0.0]).collect::<Vec<_>>());
    check(&normal(2000, 4).iter().map(|x| x * x * x).collect::<Vec<_>>());
    check(&normal(2000, 5).iter().map(|x| x.powi(7) * 1e20).collect::<Vec<_>>());
    assert_eq!(coded(&[0.0; 5]), [0.0; 5]);
}

#[test]
fn what_is_decoded_is_within_its_bound() {
    // Pins what rounds rely on when they decide from what is sent alone that sums stay finite.
    for c in examples() {
        for (name, x) in adversarial() {
            for unit in common::units(x.len()) {
                let said = c.compress(Source::still(&x), &unit, &key(3), &mut Memo::default());
                let peak = said.decode().iter().fold(0.0f64, |m, y| m.max(f64::from(y.abs())));
                // Products of denormal numbers round as they like.
                assert!(said.bound() + 1e-40 >= peak * (1.0 - 1e-6), "{c} on {name}: {} < {peak}", said.bound());
                assert!(said.is_finite() && !said.is_empty() && said.len() == x.len(), "{c} on {name}");
            }
        }
    }
}

#[test]
fn products_of_matrices_are_the_plain_sums() {
    for (rows, columns, rank) in [(1, 1, 1), (3, 5, 2), (7, 4, 4), (40, 700, 3)] {
        let (m, q) = (normal(rows * columns, 1), normal(rank * columns, 2));
        let p = low_rank::times_q(&m, rows, &q, rank);
        assert_eq!(p.len(), rows * rank);
        for (i, p) in p.iter().enumerate() {
            let (row, r) = (i / rank, i % rank);
            let plain: f64 =
                (0..columns).map(|j| f64::from(m[row * columns + j]) * f64::from(q[r * columns + j])).sum();
            assert!((f64::from(*p) - plain).abs() < 1e-4 * (columns as f64).sqrt(), "{rows}×{columns}, {rank}");
        }
    }
}

#[test]
fn the_largest_are_those_of_a_plain_sort() {
    // Pins the choice where magnitudes lie so close that it takes more than one look, and among equal ones.
    let spread = |base: u32, width: u32, n: usize| -> Vec<f32> {
        let mut random = backburn_compress::Philox::new(u64::from(base ^ width));
        let sign = |i: usize| if i.is_multiple_of(3) { -1.0 } else { 1.0 };
        (0..n).map(|i| f32::from_bits(base + random.below(width)) * sign(i)).collect()
    };
    let one = 1.0f32.to_bits();
    let mut outlier = spread(one, 5000, 3000);
    outlier[1234] = 1e20;
    let inputs = [
        spread(one, 1 << 22, 3000),
        spread(one, 5000, 20_000),
        spread(one, 300, 20_000),
        spread(one, 3, 9000),
        spread(0, 900, 9000),
        spread(one, 1, 9000),
        outlier,
        normal(9000, 3),
        normal(70_000, 5),
    ];
    for (i, x) in inputs.iter().enumerate() {
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|a, b| x[*b].abs().total_cmp(&x[*a].abs()).then(a.cmp(b)));
        let unit = Unit::vector("v", x.len());
        // The guess of one count is of no use for the next.
        let mut memo = Memo::default();
        for k in [1, 7, 90, 91, 91, x.len() / 5, x.len() / 4, x.len() / 3, x.len() - 1, x.len(), 3] {
            let c = AnyCompressor::new(TopK::count(k).unwrap());
            let y = c.compress(Source::still(x), &unit, &key(1), &mut memo).decode();
            let mut plain = vec![0.0; x.len()];
            order[..k].iter().for_each(|j| plain[*j] = x[*j]);
            assert!(y == plain, "input {i}, k = {k}");
        }
    }
}

#[test]
fn every_tile_keeps_its_own_largest() {
    let x = normal(8 * 12, 6);
    let unit = Unit::tensor("m", &[8, 12]);
    let c: AnyCompressor = "topk:3/16,tiles".parse().unwrap();
    let of = |unit: &Unit| c.compress(Source::still(&x), unit, &key(1), &mut Memo::default()).decode();
    let plain = |tiles: Vec<Vec<usize>>, k: usize| {
        let mut y = vec![0.0; x.len()];
        for mut tile in tiles {
            tile.sort_by(|a, b| x[*b].abs().total_cmp(&x[*a].abs()));
            tile[..k].iter().for_each(|j| y[*j] = x[*j]);
        }
        y
    };
    let blocks = (0..2).flat_map(|i| (0..3).map(move |j| (i, j)));
    let places = |(i, j): (usize, usize)| (0..16).map(|p| (4 * i + p / 4) * 12 + 4 * j + p % 4).collect();
    assert_eq!(of(&unit), plain(blocks.map(places).collect(), 3));
    // A unit of another length says nothing of its shape: pieces of four.
    let pieces = |first: usize| (first..first + 4).collect();
    assert_eq!(of(&Unit::tensor("m", &[4, 4])), plain((0..96).step_by(4).map(pieces).collect(), 1));
}

#[test]
fn rounds_over_what_is_left_are_the_plain_recursion() {
    for (inner, rounds) in [("topk:k=1", 3), ("sign:scaled", 4), ("randk:k=5", 3), ("topk:k=2,values=f16", 2)] {
        let c: AnyCompressor = format!("fcc:rounds={rounds},of={inner}").parse().unwrap();
        let one: AnyCompressor = inner.parse().unwrap();
        let x = normal(40, 8);
        let unit = Unit::vector("v", 40);
        let mut left = x.clone();
        for round in 0..rounds {
            let base = key(2);
            let key = base.round(base.round * 64 + round);
            let said = one.compress(Source::still(&left), &unit, &key, &mut Memo::default());
            said.axpy(-1.0, &mut left);
        }
        let y = c.compress(Source::still(&x), &unit, &key(2), &mut Memo::default()).decode();
        for ((x, y), left) in x.iter().zip(&y).zip(&left) {
            assert!((x - y - left).abs() < 1e-6, "{c}: {x} − {y} is not {left}");
        }
    }
}

#[test]
fn shapes_and_edges_are_as_documented() {
    let sketch = |form: CountSketch, len: usize| (form.shape(len), form.k(len));
    assert_eq!(sketch(CountSketch::columns(40).unwrap().with_rows(3).unwrap(), 1000), ((3, 40), 12));
    assert_eq!(sketch(CountSketch::columns(40).unwrap().with_rows(3).unwrap(), 7), ((3, 40), 7));
    assert_eq!(sketch(CountSketch::ratio(0.1).unwrap(), 1000), ((5, 20), 10));
    assert_eq!(sketch(CountSketch::ratio(0.1).unwrap().with_k(3).unwrap(), 1001), ((5, 21), 3));
    // Two factors of as many numbers as the matrix are worth nothing.
    let matrix = |shape: &[usize], rank: usize| low_rank::matrix(&Unit::tensor("m", shape), rank);
    assert_eq!((matrix(&[4, 4], 1), matrix(&[4, 4], 2), matrix(&[4, 5], 2)), (Some((4, 4)), None, Some((4, 5))));
    assert_eq!((matrix(&[2, 3, 4], 1), matrix(&[24], 1), matrix(&[24, 1], 1)), (Some((2, 12)), None, None));
    for wrong in ["topk:0", "topk:0.0", "randk:-0.1", "topk:1.0001", "threshold:ratio=0", "sketch:0", "topk:nan"] {
        assert!(wrong.parse::<AnyCompressor>().is_err(), "{wrong}");
    }
    // A warm Q starts at unit length, row by row; a row of zeros as the first one did.
    let first = low_rank::first_q(6, 3, &key(1));
    let mut q: Vec<f32> = normal(18, 9);
    q[6..12].fill(0.0);
    let before = q.clone();
    low_rank::refresh_q(&mut q, 6, &key(1));
    for (r, row) in q.chunks(6).enumerate() {
        let of = if r == 1 { &first[6..12] } else { &before[6 * r..][..6] };
        let norm = common::square(of).sqrt();
        assert!(row.iter().zip(of).all(|(q, of)| (f64::from(*q) - f64::from(*of) / norm).abs() < 1e-6), "row {r}");
    }
}

#[test]
fn steps_without_a_gradient_calibrate_nothing() {
    let c: AnyCompressor = "threshold:budget=4".parse().unwrap();
    let unit = Unit::vector("v", 40);
    let mut memo = Memo::default();
    let say = |x: &[f32], memo: &mut Memo| c.compress(Source::still(x), &unit, &key(1), memo).sent();
    // Zeros, and fewer coordinates than the budget.
    let mut few = vec![0.0; 40];
    few[..3].fill(1.0);
    for _ in 0..100 {
        say(&[0.0; 40], &mut memo);
        say(&few, &mut memo);
    }
    assert_eq!(memo.scalars[..2], [0.0, 0.0]);
    let steps: Vec<usize> = (0..17).map(|seed| say(&normal(40, seed), &mut memo)).collect();
    assert_eq!(steps[..16], [4; 16]);
    assert!(memo.scalars[0] == 16.0 && steps[16] <= 40 && memo.scalars[1] > 0.0);
}
