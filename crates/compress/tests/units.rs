//! What is compressed says in which units it is; and whoever compresses it leaves it at rest.

mod common;

use backburn_compress::payload::{Dense, Halves, Values};
use backburn_compress::{
    AnyCompressor, Compressor, Correction, Key, Layout, Memo, Payload, Policy, Scope, Source, Unit, Update, Vector,
    compress, decode_message, encode_message, feedback,
};
use common::{examples, key, normal};

/// γ goes from 1 to these; powers of two, so that everything scales exactly.
const GAMMAS: [f32; 2] = [1.0 / 1024.0, 1024.0];

/// `c` after it has seen a hundred vectors of gradients.
fn calibrated(c: &AnyCompressor, unit: &Unit) -> Memo {
    let mut memo = Memo::default();
    for seed in 0..100 {
        c.compress(Source::still(&normal(unit.len(), seed)), unit, &key(seed), &mut memo);
    }
    memo
}

/// A calibrated threshold acts at λγ: a server, NEOLITHIC, FCC's inner rounds and X⁺ − H are vectors at rest in units of
/// γ, and one that forgets so sends nothing once γ has fallen a thousandfold.
#[test]
fn calibrated_thresholds_send_their_budget_at_every_step_size() {
    for form in ["threshold:budget=4", "threshold:ratio=0.1", "fcc:rounds=3,of=threshold:budget=4"] {
        let c: AnyCompressor = form.parse().unwrap();
        let unit = Unit::vector("v", 40);
        let memo = calibrated(&c, &unit);
        let g = normal(40, 1000);
        let say = |source: Source<'_>| c.compress(source, &unit, &key(1), &mut memo.clone());
        let at_one = say(Source::still(&g));
        assert!((1..=12).contains(&at_one.sent()), "{form}: {}", at_one.sent());
        for gamma in GAMMAS {
            let x: Vec<f32> = g.iter().map(|g| g * gamma).collect();
            let scaled: Vec<f32> = at_one.decode().iter().map(|x| x * gamma).collect();
            assert_eq!(
                say(Source::still(&x).in_units_of(gamma.into())).decode(),
                scaled,
                "{form} at rest, γ = {gamma}"
            );
            let mut p = vec![0.0; 40];
            let update = Update { last: None, decay: 1.0, gain: gamma, gradient: &g };
            assert_eq!(say(Source::moving(&mut p, update)).decode(), scaled, "{form} in motion, γ = {gamma}");
            assert_eq!(say(Source::still(&x)).sent() == 0, gamma < 1.0, "{form} without its units");
        }
    }
}

/// A compressor that looks at nothing still leaves p where it belongs, or the next step would subtract from a vector
/// that never moved.
#[test]
fn a_source_moves_on_though_nobody_looks() {
    let (mut p, g) = (vec![1.0f32; 5], [1.0; 5]);
    let last = Payload::floats(vec![0.5; 5]);
    let update = Update { last: Some(&last), decay: 2.0, gain: 3.0, gradient: &g };
    drop(Source::moving(&mut p, update));
    assert_eq!(p, [4.0; 5]);
    // Looked at twice, it has moved once.
    let mut source = Source::moving(&mut p, update);
    assert_eq!(source.magnitudes(), 50.0);
    assert_eq!((source.square(), source.gather(&[2]), source.dense()), (500.0, vec![10.0], vec![10.0; 5]));
    drop(source);
    assert_eq!(p, [10.0; 5]);
    assert_eq!(Source::moving(&mut p, update).settle(), [22.0; 5].as_slice());
}

/// The whole model moves on and speaks as its units do, each under its own key.
#[test]
fn a_model_is_compressed_unit_by_unit() {
    let parameters = vec![
        ("w".into(), vec![12, 10], Policy::Compressed),
        ("b".into(), vec![10], Policy::Dense),
        ("v".into(), vec![30], Policy::Compressed),
    ];
    let layout = Layout::build(parameters, Scope::Parameter, 0).unwrap();
    let (g, key) = (Vector::from(normal(layout.len(), 1)), Key { worker: Some(2), ..Key::new(5) });
    for c in examples() {
        let mut memos = vec![Memo::default(); 3];
        let mut p = Vector::zeros(layout.len());
        let correction = Correction { last: None, decay: 1.0, gain: 0.5, gradient: &g };
        let moved = feedback(&c, &mut p, correction, &layout, &key, &mut memos);
        let mut half = g.clone();
        half.scale(0.5);
        assert_eq!(p, half);
        let rest = compress(&c, &half, 0.5, &layout, &key, &mut vec![Memo::default(); 3]);
        assert_eq!(moved, rest, "{c}");
        for (unit, payload) in layout.units().iter().zip(&moved.payloads) {
            let x = &half.as_slice()[unit.range.clone()];
            if unit.dense {
                assert_eq!(payload.decode(), x, "{c}");
            } else {
                let source = Source::still(x).in_units_of(0.5);
                let alone = c.compress(source, unit, &key.unit(unit.key), &mut Memo::default());
                assert_eq!(**payload, alone, "{c}");
            }
        }
    }
}

/// 10⁻⁸ is below binary16's least number, and a contraction must not lose it.
#[test]
fn half_precision_brings_small_numbers_back() {
    let c: AnyCompressor = "topk:1.0,values=f16".parse().unwrap();
    for x in [vec![1e-8f32], vec![1e-8, 1e-12], vec![1e5, -3.0], vec![1e-8, 1.0], vec![3e38, -1e30], vec![1e-44]] {
        let payload = c.compress(Source::still(&x), &Unit::vector("v", x.len()), &key(1), &mut Memo::default());
        for (y, x) in payload.decode().iter().zip(&x) {
            assert!((y - x).abs() <= x.abs() / 2048.0 || *x < 1e-11, "{y:e} for {x:e}");
        }
        let message = payload.into();
        assert_eq!(decode_message(&encode_message(&message), 10).unwrap(), message);
    }
    // Where it needs none, no power of two is written: format 1, as before; and format 1 is still read.
    let plain = c.compress(Source::still(&[1.0, -2.5]), &Unit::vector("v", 2), &key(1), &mut Memo::default());
    let Payload::Sparse(sparse) = &plain else { panic!("top-k is sparse") };
    assert!(matches!(sparse.values, Values::F16(_)));
    let bytes = encode_message(&plain.into());
    assert_eq!(bytes[20..], [4 | 1 << 4, 2, 2, 0x00, 0x3c, 0x00, 0xc1]);
    // The other format, byte for byte: an exponent, then the halves.
    let halves = Halves { exponent: -41, values: vec![half::f16::ONE] };
    let bytes = encode_message(&Payload::from(Dense { values: Values::Halves(halves) }).into());
    assert_eq!(bytes[20..], [5 << 4, 1, 0xd7, 0xff, 0x00, 0x3c]);
}
