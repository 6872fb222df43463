//! What is made of many messages, and of one with notes, beside the plain loops.

mod common;

use std::sync::Arc;

use backburn_compress::payload::{Codebook, Drawn, Halves, Levels, LowRank, Powers, Sketch, Sparse, Sum, Values};
use backburn_compress::{
    AnyCompressor, Compressor, Key, Layout, Memo, Message, Note, Payload, Scope, Source, Stream, Unit, Update, Vector,
    WireError, decode_message, encode_message, majority, mean, mean_at, mean_of_place, mean_of_senders, message_bytes,
};
use common::normal;

fn layout() -> Layout {
    Layout::new(vec![("a".into(), vec![5]), ("b".into(), vec![2, 35])], Scope::Parameter, 0).unwrap()
}

fn said(x: &[f32]) -> Message {
    Vector::from(x.to_vec()).to_message(&layout())
}

fn sketch(x: &[f32], draw: u64) -> Sketch {
    Sketch::new(x, 3, 40, draw)
}

#[test]
fn notes_come_back_from_the_wire_and_others_are_refused() {
    let x = normal(75, 1);
    let own = said(&x).with_note(Note::number(-2.5)).with_note(Note::Sketch(sketch(&x, 9)));
    let bytes = encode_message(&own);
    assert_eq!(message_bytes(&own), bytes.len() as u64);
    let come = |message: &Message| decode_message(&encode_message(message), 1000).unwrap();
    assert_eq!(come(&own).payloads.len(), 4);
    assert_eq!(come(&own).read_as(&own).unwrap(), own);
    assert_eq!((own.len(), own.is_empty(), Message::new().is_empty()), (151, false, true));
    assert!(!Message::new().with_note(Note::number(0.0)).is_empty() && !said(&x).is_empty());
    let short = Vector::from(x[..70].to_vec());
    let others: Vec<(Message, &str)> = vec![
        (said(&x), "another number of payloads"),
        (said(&x).with_note(Note::number(1.0)), "another number of payloads"),
        (own.clone().with_note(Note::number(1.0)), "another number of payloads"),
        (said(&x).with_note(Note::number(1.0)).with_note(Note::number(1.0)), "a note of another kind"),
        (
            said(&x).with_note(Note::Sketch(sketch(&x, 9))).with_note(Note::Sketch(sketch(&x, 9))),
            "a note of another kind",
        ),
        (
            said(&x).with_note(Note::number(1.0)).with_note(Note::Sketch(Sketch::new(&x, 4, 30, 9))),
            "a note of another kind",
        ),
        (
            [5, 70]
                .map(|n| Arc::new(Payload::floats(short.as_slice()[..n.min(69)].to_vec())))
                .into_iter()
                .collect::<Message>()
                .with_note(Note::number(1.0))
                .with_note(Note::Sketch(sketch(&x, 9))),
            "payloads of other lengths",
        ),
        (
            said(&x)
                .payloads
                .into_iter()
                .chain([Arc::new(Payload::floats(vec![1.0, 2.0])), Arc::new(Payload::zero(1))])
                .collect::<Message>(),
            "a note of no known kind",
        ),
    ];
    for (other, why) in others {
        match come(&other).read_as(&own) {
            Err(WireError::Shape(found)) => assert_eq!(found, why),
            other => panic!("{why}: {other:?}"),
        }
    }
    assert!(Message::new().apart(1).is_err());
}

#[test]
fn notes_are_bounded_and_draw_alike() {
    let x = normal(75, 1);
    assert_eq!([2.0, f64::NAN, 1e60, -1e60].map(|x| Note::number(x).as_number().unwrap()), {
        let most = f64::from(f32::MAX);
        [2.0, most, most, -most]
    });
    let of = |draw| Note::Sketch(sketch(&x, draw));
    assert!(of(1).draws_like(&of(1)) && !of(1).draws_like(&of(2)));
    assert!(of(1).draws_like(&Note::number(1.0)) && Note::number(1.0).draws_like(&Note::number(2.0)));
    assert_eq!((of(1).as_number(), Note::number(-3.0).bound()), (None, 3.0));
    let most = sketch(&x, 1).cells.iter().fold(0.0f32, |m, c| m.max(c.abs()));
    assert_eq!(of(1).bound(), f64::from(most));
    assert!(said(&x).with_note(of(1)).is_finite() && !said(&x).with_note(Note::Number(f32::NAN)).is_finite());
}

#[test]
fn sketches_are_linear_and_their_norm_is_near() {
    let (x, y) = (normal(3000, 1), normal(3000, 2));
    let of = |x: &[f32]| Sketch::new(x, 5, 400, 7);
    let mut sum = of(&x);
    sum.add_scaled(-2.0, &of(&y));
    let both: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x - 2.0 * y).collect();
    assert!(sum.cells.iter().zip(&of(&both).cells).all(|(a, b)| (a - b).abs() < 1e-4));
    let norm = common::square(&both).sqrt();
    assert!((sum.norm() / norm - 1.0).abs() < 0.1, "{} beside {norm}", sum.norm());
    // Of another draw it says nothing of these.
    let before = sum.clone();
    sum.add_scaled(1.0, &Sketch::new(&y, 5, 400, 8));
    assert_eq!(sum, before);
    assert_eq!(Sketch::merge([&of(&x), &Sketch::new(&x, 5, 400, 8)]), None);
}

#[test]
fn votes_and_means_are_those_of_the_plain_loops() {
    let layout = layout();
    let xs: Vec<Vec<f32>> = (0..4).map(|w| normal(75, w).iter().map(|x| x.trunc()).collect()).collect();
    let messages: Vec<Message> = xs.iter().map(|x| said(x)).collect();
    for absent in [None, Some(0), Some(3)] {
        let inbox: Vec<_> = messages.iter().enumerate().map(|(w, m)| (Some(w) != absent).then_some(m)).collect();
        let there: Vec<&Vec<f32>> = xs.iter().enumerate().filter(|(w, _)| Some(*w) != absent).map(|(_, x)| x).collect();
        let mut heard = Vector::zeros(75);
        heard.add_decoded(1.0, &majority(&inbox, &layout), &layout);
        let mut tied = 0;
        for j in 0..75 {
            // Zeros and ties count as +1.
            let votes: i32 = there.iter().map(|x| if x[j] >= 0.0 { 1 } else { -1 }).sum();
            tied += usize::from(votes == 0);
            assert_eq!(heard.as_slice()[j], if votes >= 0 { 1.0 } else { -1.0 }, "{absent:?}, {j}");
        }
        assert_eq!(tied > 0, absent.is_none());
        let mut of_all = Vector::zeros(75);
        of_all.add_payloads(1.0, &mean(&inbox, &layout).payloads, &layout);
        for j in 0..75 {
            let plain = there.iter().map(|x| x[j]).sum::<f32>() / 4.0;
            assert!((of_all.as_slice()[j] - plain).abs() < 1e-6);
        }
        let second = mean_at(&inbox, 1);
        assert_eq!(second, mean_of_place(&inbox, 1, 70).decode());
        assert_eq!(second, of_all.as_slice()[5..]);
    }
    assert_eq!(mean_at(&[None, None], 1), Vec::<f32>::new());
    assert_eq!(mean_of_place(&[None, None], 1, 70).decode(), vec![0.0; 70]);
    assert!(Arc::ptr_eq(&mean_of_place(&[Some(&messages[0])], 1, 70), &messages[0].payloads[1]));
    assert_eq!(mean_of_place(&[Some(&messages[0]), None], 0, 5).decode()[0], xs[0][0] / 2.0);
}

#[test]
fn a_mean_over_senders_divides_by_those_that_name_a_coordinate() {
    let layout = Layout::new(vec![("a".into(), vec![40])], Scope::Parameter, 0).unwrap();
    let sparse = |indices: Vec<u32>, values: Vec<f32>| {
        [Arc::new(Sparse { len: 40, indices, values: Values::F32(values) }.into())].into_iter().collect::<Message>()
    };
    let messages =
        [sparse(vec![0, 3], vec![2.0, 4.0]), sparse(vec![3, 9], vec![8.0, 0.0]), sparse(vec![39], vec![-1.0])];
    let inbox: Vec<_> = messages.iter().map(Some).chain([None]).collect();
    let mean = mean_of_senders(&inbox, &layout);
    match &*mean.payloads[0] {
        Payload::Sparse(s) => {
            assert_eq!((&s.indices[..], &s.values), (&[0, 3, 9, 39][..], &Values::F32(vec![2.0, 6.0, 0.0, -1.0])))
        }
        other => panic!("{other:?}"),
    }
    // Where many are named it is dense.
    let all = sparse((0..40).collect(), vec![3.0; 40]);
    let dense = mean_of_senders(&[Some(&all), Some(&messages[2])], &layout);
    assert!(matches!(&*dense.payloads[0], Payload::Dense(_)));
    let decoded = dense.payloads[0].decode();
    assert_eq!((decoded[0], decoded[39]), (3.0, 1.0));
    assert_eq!(mean_of_senders(&[None], &layout).payloads[0].decode(), vec![0.0; 40]);
}

#[test]
fn draws_of_other_counts_do_not_add_value_by_value() {
    let layout = Layout::new(vec![("a".into(), vec![40])], Scope::Parameter, 0).unwrap();
    let drawn = |draw: u64, k: usize| {
        let values = Values::F32((0..k).map(|i| 1.0 + i as f32).collect());
        [Arc::new(Drawn { len: 40, draw, values }.into())].into_iter().collect::<Message>()
    };
    for (a, b, one_draw) in [((3, 5), (3, 5), true), ((3, 5), (3, 7), false), ((3, 5), (4, 5), false)] {
        let messages = [drawn(a.0, a.1), drawn(b.0, b.1)];
        let mean = mean(&[Some(&messages[0]), Some(&messages[1])], &layout);
        assert_eq!(matches!(&*mean.payloads[0], Payload::Drawn(_)), one_draw);
        let [x, y] = messages.map(|m| m.payloads[0].decode());
        let plain: Vec<f32> = x.iter().zip(&y).map(|(x, y)| (x + y) / 2.0).collect();
        assert_eq!(mean.payloads[0].decode(), plain, "{a:?} and {b:?}");
    }
}

#[test]
fn values_of_every_format_are_added_as_they_decode() {
    // Pins the ones too that only messages of earlier versions bring.
    let x: Vec<f32> = normal(130, 3).iter().map(|x| x + 2.5).collect();
    let half = |x: &f32| half::f16::from_f32(*x);
    let powers = Powers { scale: 3.0, codes: (0..130).map(|i| 2 * (120 + i % 7) + i % 2).collect() };
    let levels: Vec<i8> = (0..130).map(|i| (i % 9 - 4) as i8).collect();
    let all = [
        Values::F32(x.clone()),
        Values::F16(x.iter().map(half).collect()),
        Values::Bf16(x.iter().map(|x| half::bf16::from_f32(*x)).collect()),
        Values::Halves(Halves { exponent: -3, values: x.iter().map(half).collect() }),
        Values::Codebook(Codebook::new(&x)),
        Values::Powers(powers),
        Values::Levels(Levels { most: 4, bucket: 50, steps: vec![0.5, 2.0, 0.25], levels }),
    ];
    let (base, a) = (normal(130, 4), -1.75);
    for values in all {
        let of = |i: usize| match &values {
            Values::F32(v) => v[i],
            Values::F16(v) => v[i].to_f32(),
            Values::Bf16(v) => v[i].to_f32(),
            Values::Halves(v) => v.values[i].to_f32() / 8.0,
            Values::Codebook(v) => v.sizes[usize::from(v.levels[i])],
            Values::Powers(v) => {
                let size = 3.0 * 2f32.powi(i32::from(v.codes[i] / 2) - 127);
                if v.codes[i] % 2 == 1 { -size } else { size }
            }
            Values::Levels(v) => f32::from(v.levels[i]) * v.steps[i / 50],
        };
        let dense = Payload::dense(values.clone());
        let (mut y, mut z) = (base.clone(), base.clone());
        dense.axpy(a, &mut y);
        Payload::from(Sparse { len: 130, indices: (0..130).collect(), values: values.clone() }).axpy(a, &mut z);
        for j in 0..130 {
            let plain = base[j] + a * of(j);
            assert!(
                (y[j] - plain).abs() < 1e-5 && (z[j] - plain).abs() < 1e-5,
                "{values:?}, {j}: {} or {}",
                y[j],
                z[j]
            );
        }
        assert_eq!(dense.decode(), (0..130).map(of).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_said_twice_of_a_place_is_taken_off_twice() {
    // Pins a last message whose parts overlap, as rounds of random-k do.
    let part = |indices: &[u32], values: &[f32]| {
        Payload::from(Sparse { len: 3000, indices: indices.to_vec(), values: Values::F32(values.to_vec()) })
    };
    let parts = vec![
        part(&[1, 5, 1030], &[1.0, 2.0, -3.0]),
        part(&[5, 1030, 2999], &[0.5, 4.0, 1.5]),
        part(&[5, 7, 2047], &[0.25, -1.0, 8.0]),
    ];
    let (before, gradient) = (normal(3000, 1), normal(3000, 2));
    for parts in [parts[..1].to_vec(), parts] {
        let last = Payload::from(Sum { parts });
        let mut p = before.clone();
        let update = Update { last: Some(&last), decay: 0.5, gain: 0.25, gradient: &gradient };
        Source::moving(&mut p, update).settle();
        let said = last.decode();
        for j in 0..3000 {
            let plain = (before[j] - said[j]) * 0.5 + 0.25 * gradient[j];
            assert!((p[j] - plain).abs() < 1e-5, "{j}: {} is not {plain}", p[j]);
        }
    }
}

#[test]
fn means_of_matrices_of_low_rank_are_those_of_the_plain_products() {
    // Longer than what is added at a time, so that rows are cut anywhere.
    let (rows, columns) = (40, 70);
    let layout = Layout::new(vec![("m".into(), vec![rows, columns])], Scope::Parameter, 0).unwrap();
    let of = |seed| LowRank { rows, rank: 2, p: normal(2 * rows, seed), q: normal(2 * columns, seed + 9) };
    let factors = [of(1), of(2)];
    let messages = factors.clone().map(|f| [Arc::new(Payload::from(f))].into_iter().collect::<Message>());
    let mean = mean(&[Some(&messages[0]), Some(&messages[1])], &layout).payloads[0].decode();
    for (j, y) in mean.iter().enumerate() {
        let (i, c) = (j / columns, j % columns);
        let entry = |f: &LowRank| (0..2).map(|r| f.p[i * 2 + r] * f.q[r * columns + c]).sum::<f32>();
        let plain = factors.iter().map(entry).sum::<f32>() / 2.0;
        assert!((y - plain).abs() < 1e-5, "{j}: {y} is not {plain}");
    }
}

#[test]
fn buckets_are_rounded_by_draws_of_their_own() {
    let x: Vec<f32> = normal(64, 5).into_iter().cycle().take(128).collect();
    for form in ["qsgd:s=2,bucket=64", "terngrad:bucket=64", "qsgd:s=2,bucket=64,norm=max"] {
        let c: AnyCompressor = form.parse().unwrap();
        let unit = Unit::vector("v", 128);
        let y = c.compress(Source::still(&x), &unit, &Key::new(1), &mut Memo::default()).decode();
        assert_ne!(y[..64], y[64..], "{form}");
        // A bucket's levels are those of its norm.
        let norm = common::square(&x[..64]).sqrt() as f32;
        let peak = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let step = match form {
            "terngrad:bucket=64" => peak,
            "qsgd:s=2,bucket=64" => norm / 2.0,
            _ => peak / 2.0,
        };
        assert!(y.iter().all(|y| (y / step - (y / step).round()).abs() < 1e-5), "{form}");
    }
}

#[test]
fn words_are_taken_for_others_where_half_of_their_letters_are_right() {
    let cases: [(&str, &[&str], Option<&str>); 9] = [
        ("xy", &["ab"], None),
        ("abcd", &["abxy"], Some("abxy")),
        ("abc", &["axy"], None),
        ("abcdefg", &["xyzdefg"], None),
        ("TOPK", &["topk:RATIO"], Some("topk")),
        ("top", &["topk:RATIO"], Some("topk")),
        ("", &["topk"], None),
        ("topk", &[""], None),
        ("signs", &["sing", "sign"], Some("sign")),
    ];
    for (word, known, meant) in cases {
        assert_eq!(backburn_compress::text::nearest(word, known.iter().copied()), meant, "{word}");
    }
}

#[test]
fn small_questions_have_their_answers() {
    let layout = layout();
    assert_eq!(layout.scope(), Scope::Parameter);
    let other = Layout::new(vec![("a".into(), vec![5])], Scope::Bucket(2), 0).unwrap();
    assert_eq!(other.scope(), Scope::Bucket(2));
    let x = Vector::from(vec![1.0, -4.0, 2.0]);
    assert_eq!(
        (x.len(), x.is_empty(), x.peak(), Vector::new().len(), Vector::new().is_empty()),
        (3, false, 4.0, 0, true)
    );
    assert!(!Source::still(&[1.0]).is_empty() && Source::still(&[]).is_empty());
    assert_eq!(Source::still(&[1.0, 2.0]).len(), 2);
    assert!(Payload::zero(0).is_empty() && !Payload::zero(1).is_empty());
    let memo = Memo::new(vec![1.0], vec![2.0]);
    assert_eq!(memo, Memo { scratch: vec![7], ..Memo::new(vec![1.0], vec![2.0]) });
    for other in [Memo::new(vec![1.0], vec![3.0]), Memo::new(vec![2.0], vec![2.0]), Memo::default()] {
        assert_ne!(memo, other);
    }
    let key = Key { worker: Some(4), ..Key::new(3) };
    assert_eq!(key.round(5), Key { round: 5, ..key });
    assert_eq!(key.unit(5), Key { unit: 5, ..key });
    assert_eq!(key.stream(Stream::VALUES), Key { stream: Stream::VALUES, ..key });
    assert_eq!(key.shared(), Key { worker: None, ..key });
}
