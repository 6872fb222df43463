//! The mean of messages is what a plain loop over their decoded vectors gives.

mod common;

use backburn_compress::payload::{Payload, Sketch, Sparse};
use backburn_compress::{Compressor, Key, Layout, Memo, Message, Source, decode_into, mean};
use common::{examples, normal};

#[test]
fn means_are_those_of_the_decoded_vectors() {
    for d in [1, 100, 70_000] {
        let layout = Layout::flat(d).unwrap();
        for c in examples() {
            let message = |w: u32| -> Message {
                let key = Key { worker: Some(w), ..Key::new(3) };
                let x = normal(d, u64::from(w));
                c.compress(Source::still(&x), &layout.units()[0], &key, &mut Memo::default()).into()
            };
            let messages: Vec<Message> = (0..3).map(message).collect();
            // An absent worker counts as zero, not as a smaller n.
            let inbox = [Some(&messages[0]), None, Some(&messages[1]), Some(&messages[2])];
            let mut sum = vec![0.0f32; d];
            messages.iter().for_each(|m| m.payloads[0].axpy(1.0, &mut sum));
            let mut got = vec![0.0f32; d];
            decode_into(&mean(&inbox, &layout).payloads, 1.0, &mut got, &layout);
            // Transforms add before they are undone: what is rounded is of the size of a whole tile.
            let tile =
                if c.to_string().starts_with("dct") { sum.iter().fold(0.0f32, |m, s| m.max(s.abs())) } else { 0.0 };
            for (got, sum) in got.iter().zip(sum) {
                let bound = 1e-6 * tile;
                assert!((got - sum / 4.0).abs() <= bound, "{c}: {got} for {}", sum / 4.0);
            }
        }
    }
}

/// Kinds that add without a look at memory in between, by a number of workers that is a power of two and by one that
/// is not, absent ones among them; the second time in memory that held something else.
#[test]
fn means_in_memory_that_was_used_are_the_same() {
    let d = 70_001;
    let layout = Layout::flat(d).unwrap();
    for form in
        ["sign:scaled", "onebit", "qsgd:s=15,bucket=512", "qsgd:s=7,bucket=100", "twobit:0.5", "natural", "identity"]
    {
        let c: backburn_compress::AnyCompressor = form.parse().unwrap();
        let message = |w: u32| -> Message {
            let key = Key { worker: Some(w), ..Key::new(3) };
            let x = normal(d, u64::from(w));
            c.compress(Source::still(&x), &layout.units()[0], &key, &mut Memo::default()).into()
        };
        let messages: Vec<Message> = (0..7).map(message).collect();
        for n in [2, 3, 7, 8] {
            let inbox: Vec<Option<&Message>> = (0..n).map(|w| messages.get(w).filter(|_| w != 1)).collect();
            let mut sum = vec![0.0f32; d];
            inbox.iter().flatten().for_each(|m| m.payloads[0].axpy(1.0, &mut sum));
            let expected: Vec<f32> = sum.iter().map(|s| s / n as f32).collect();
            for _ in 0..2 {
                let got = mean(&inbox, &layout);
                assert_eq!(got.payloads[0].decode(), expected, "{form}, {n} workers");
                got.recycle();
                Message::from(Payload::floats(vec![f32::NAN; d])).recycle();
            }
        }
    }
}

#[test]
fn sparse_means_stay_sparse() {
    let layout = Layout::flat(100).unwrap();
    let c: backburn_compress::AnyCompressor = "topk:k=5".parse().unwrap();
    let message = |w: u64| -> Message {
        c.compress(Source::still(&normal(100, w)), &layout.units()[0], &Key::new(w), &mut Memo::default()).into()
    };
    let (a, b) = (message(1), message(2));
    assert!(
        matches!(&*mean(&[Some(&a), Some(&b)], &layout).payloads[0], Payload::Sparse(Sparse { indices, .. }) if indices.len() <= 10)
    );
}

#[test]
fn sketches_average_cell_by_cell() {
    let layout = Layout::flat(200).unwrap();
    let (x, y) = (normal(200, 1), normal(200, 2));
    let of = |x: &[f32]| -> Message { Payload::from(Sketch::new(x, 3, 16, 7)).into() };
    let (a, b) = (of(&x), of(&y));
    let half: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 0.5 * (x + y)).collect();
    let mean = mean(&[Some(&a), Some(&b)], &layout);
    let Payload::Sketch(got) = &*mean.payloads[0] else { panic!("a sketch") };
    let expected = Sketch::new(&half, 3, 16, 7).cells;
    got.cells.iter().zip(expected).for_each(|(g, e)| assert!((g - e).abs() < 1e-4));
}

/// Law 11: a mean is finite where its parts are. Summing first and dividing then is not enough at 4 · 10³⁸.
#[test]
fn means_of_large_numbers_are_finite() {
    for d in [1, 40, 5000] {
        let layout = Layout::flat(d).unwrap();
        for c in examples() {
            let message = |w: u32| -> Message {
                let key = Key { worker: Some(w), ..Key::new(3) };
                let x: Vec<f32> = normal(d, u64::from(w)).iter().map(|x| 1e38 * (0.5 + 0.1 * x)).collect();
                c.compress(Source::still(&x), &layout.units()[0], &key, &mut Memo::default()).into()
            };
            let messages: Vec<Message> = (0..8).map(message).collect();
            if !messages.iter().all(Message::is_finite) {
                continue;
            }
            let inbox: Vec<Option<&Message>> = messages.iter().map(Some).collect();
            let mut sum = vec![0.0f64; d];
            for message in &messages {
                sum.iter_mut().zip(message.payloads[0].decode()).for_each(|(s, v)| *s += f64::from(v));
            }
            let got = mean(&inbox, &layout);
            assert!(got.is_finite(), "{c}");
            let tile =
                if c.to_string().starts_with("dct") { sum.iter().fold(0.0f64, |m, s| m.max(s.abs())) } else { 0.0 };
            for (got, sum) in got.payloads[0].decode().iter().zip(sum) {
                assert!(
                    (f64::from(*got) - sum / 8.0).abs() <= 1e-6 * ((sum / 8.0).abs() + tile),
                    "{c}: {got:e} for {:e}",
                    sum / 8.0
                );
            }
        }
    }
}

#[test]
fn sketches_of_large_numbers_average() {
    let layout = Layout::flat(20).unwrap();
    let mut x = [0.0; 20];
    x[5] = 3e38;
    let message = Message::from(Payload::from(Sketch::new(&x, 3, 100, 7)));
    let mean = mean(&[Some(&message); 4], &layout);
    assert!(mean.is_finite());
    assert_eq!(mean, message);
}
