//! What is made of many messages, and of one with notes, beside the plain loops.

mod common;

use std::sync::Arc;

use backburn_compress::payload::{Drawn, Sketch, Sparse, Values};
use backburn_compress::{
    Key, Layout, Memo, Message, Note, Payload, Scope, Source, Stream, Vector, WireError, decode_message,
    encode_message, majority, mean, mean_at, mean_of_place, mean_of_senders, message_bytes,
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
