//! The mean of messages is what a plain loop over their decoded vectors gives.

mod common;

use std::sync::Arc;

use backburn_compress::{Compressor, Key, Layout, Memo, Message, Payload, decode_into, mean, sketch};
use common::{examples, normal};

#[test]
fn means_are_those_of_the_decoded_vectors() {
    for d in [1, 100, 70_000] {
        let layout = Layout::flat(d).unwrap();
        for c in examples() {
            if d > 1000 && c.to_string().starts_with("sketch") {
                continue;
            }
            let message = |w: u32| -> Message {
                let key = Key { worker: Some(w), ..Key::new(3) };
                let x = normal(d, u64::from(w));
                vec![Arc::new(c.compress(&x, &layout.units()[0], &key, &mut Memo::default()))]
            };
            let messages: Vec<Message> = (0..3).map(message).collect();
            // An absent worker counts as zero, not as a smaller n.
            let inbox = [Some(&messages[0]), None, Some(&messages[1]), Some(&messages[2])];
            let mut sum = vec![0.0f32; d];
            messages.iter().for_each(|m| m[0].axpy(1.0, &mut sum));
            let mut got = vec![0.0f32; d];
            decode_into(&mean(&inbox, &layout), 1.0, &mut got, &layout);
            for (got, sum) in got.iter().zip(sum) {
                let expected = sum / 4.0;
                assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{c}: {got} for {expected}");
            }
        }
    }
}

#[test]
fn sparse_means_stay_sparse() {
    let layout = Layout::flat(100).unwrap();
    let c: backburn_compress::AnyCompressor = "topk:k=5".parse().unwrap();
    let message = |w: u64| -> Message {
        vec![Arc::new(c.compress(&normal(100, w), &layout.units()[0], &Key::new(w), &mut Memo::default()))]
    };
    let (a, b) = (message(1), message(2));
    assert!(
        matches!(&*mean(&[Some(&a), Some(&b)], &layout)[0], Payload::Sparse { indices, .. } if indices.len() <= 10)
    );
}

#[test]
fn sketches_average_cell_by_cell() {
    let layout = Layout::flat(200).unwrap();
    let (x, y) = (normal(200, 1), normal(200, 2));
    let of = |x: &[f32]| -> Message { vec![Arc::new(sketch::sketch(x, 3, 16, 7))] };
    let (a, b) = (of(&x), of(&y));
    let half: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 0.5 * (x + y)).collect();
    let (Payload::Sketch { cells: got, .. }, Payload::Sketch { cells: expected, .. }) =
        (&*mean(&[Some(&a), Some(&b)], &layout)[0], &sketch::sketch(&half, 3, 16, 7))
    else {
        panic!("sketches")
    };
    got.iter().zip(expected).for_each(|(g, e)| assert!((g - e).abs() < 1e-4));
}
