//! Pins that every instruction set gives the same bits, which a kernel of one set alone would break.

use crate::compressor::Compressor;
use crate::compressors::AnyCompressor;
use crate::key::Key;
use crate::layout::{Layout, Unit};
use crate::memo::Memo;
use crate::message::{Message, decode_message, encode_message, mean};
use crate::random::Philox;
use crate::simd::cap;
use crate::source::{Source, Update};

/// A textual form, p, the bytes, what is read from them, and a mean.
type Seen = (String, Vec<f32>, Vec<u8>, Message, Message);

/// Three steps of feedback of every example of the table, p, the bytes, what is read from them, and the mean of three.
fn everything() -> Vec<Seen> {
    let (d, rows) = (70_016, 64);
    let normal = |seed: u64| {
        let mut random = Philox::new(seed);
        (0..d).map(|_| random.normal()).collect::<Vec<f32>>()
    };
    let (layout, unit) = (Layout::flat(d).unwrap(), Unit::tensor("m", &[rows, d / rows]));
    let gradients = [normal(1), normal(2), normal(3)];
    let each = |text: &str| -> Seen {
        let c: AnyCompressor = text.parse().unwrap();
        let (mut p, mut memo) = (vec![0.0; d], Memo::default());
        let mut messages: Vec<Message> = Vec::new();
        for (step, gradient) in gradients.iter().enumerate() {
            let last = messages.last().map(|m| &*m.payloads[0]);
            let update = Update { last, decay: 0.9, gain: 0.3, gradient };
            let key = Key { step: step as u64, worker: Some(1), ..Key::new(4) };
            messages.push(c.compress(Source::moving(&mut p, update), &unit, &key, &mut memo).into());
        }
        let bytes = encode_message(&messages[2]);
        let read = decode_message(&bytes, d as u64).unwrap();
        let inbox: Vec<Option<&Message>> = messages.iter().map(Some).collect();
        (text.to_string(), p, bytes, read, mean(&inbox, &layout))
    };
    AnyCompressor::table().iter().flat_map(|e| e.examples).map(|text| each(text)).collect()
}

/// Every instruction set gives the same bits, from gradients to bytes and back to means.
#[test]
fn every_level_gives_the_same_bits() {
    let at_level = [0, 1, 2].map(|level| {
        cap::set(level);
        everything()
    });
    for (level, got) in at_level.iter().enumerate() {
        for (got, expected) in got.iter().zip(&at_level[0]) {
            assert!(got == expected, "{} at level {level}", expected.0);
        }
    }
}
