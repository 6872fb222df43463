//! What is written is read back bit for bit, and hostile bytes do no harm.

mod common;

use backburn_compress::payload::{LowRank, Signs, Sketch};
use backburn_compress::{Compressor, Memo, Message, Payload, Source, decode_message, encode_message, message_bytes};
use common::{adversarial, examples, key, normal, units};
use proptest::prelude::*;

const LIMIT: u64 = 10_000;

/// A message of one payload of every example, on small vectors.
fn messages() -> Vec<Message> {
    let mut messages = Vec::new();
    for c in examples() {
        for len in [1, 2, 60, 63, 64, 65, 420] {
            for unit in units(len) {
                let x = normal(len, len as u64);
                messages.push(c.compress(Source::still(&x), &unit, &key(2), &mut Memo::default()).into());
            }
        }
    }
    messages.push(Payload::zero(9).into());
    messages.push(Payload::from(Sketch::new(&normal(50, 1), 3, 7, 4)).into());
    messages.push(messages.iter().take(7).map(|m: &Message| m.payloads[0].clone()).collect());
    messages
}

/// The header that belongs to this body.
fn seal(count: u32, body: &[u8]) -> Vec<u8> {
    seal_as(2, count, body)
}

fn seal_as(version: u8, count: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = [b"BB".as_slice(), &[version, 0]].concat();
    bytes.extend(count.to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), body);
    bytes.extend(crc.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Decodes and, where that succeeds, applies and encodes again.
fn harmless(bytes: &[u8]) {
    if let Ok(message) = decode_message(bytes, LIMIT) {
        for payload in &message.payloads {
            assert!(payload.len() as u64 <= LIMIT);
            assert_eq!(payload.decode().len(), payload.len());
        }
        assert_eq!(encode_message(&message).len() as u64, message_bytes(&message));
    }
}

#[test]
fn what_is_sent_is_what_was_applied() {
    for c in examples() {
        for (name, x) in adversarial() {
            for unit in units(x.len()) {
                let payload = c.compress(Source::still(&x), &unit, &key(7), &mut Memo::default());
                let bytes = encode_message(&payload.clone().into());
                assert_eq!(bytes.len(), 20 + payload.num_bytes(), "{c} on {name}");
                let read = decode_message(&bytes, x.len() as u64).unwrap_or_else(|e| panic!("{c} on {name}: {e}"));
                assert_eq!(*read.payloads[0], payload, "{c} on {name}");
                let bits = |p: &Payload| p.decode().iter().map(|y| y.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&read.payloads[0]), bits(&payload), "{c} on {name}");
            }
        }
    }
}

/// Bytes whose checksum is right say exactly what a payload may not be.
#[test]
fn what_no_payload_can_be_is_refused_with_the_reason() {
    let body = |payload: Payload| encode_message(&payload.into())[20..].to_vec();
    let edited = |payload: Payload, at: usize, with: &[u8]| {
        let mut body = body(payload);
        body.splice(at..at + 1, with.iter().copied());
        body
    };
    let signs = || Payload::from(Signs { len: 9, words: vec![0x1ff], low: -1.0, high: 1.0 });
    let low_rank = || Payload::from(LowRank { rows: 4, rank: 1, p: vec![1.0; 4], q: vec![1.0; 4] });
    let long: Vec<u8> = [0xff; 9].into_iter().chain([2]).collect();
    let endless = [0x80; 11];
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (edited(Payload::zero(9), 1, &[0x89, 0]), "shortest form"),
        (edited(Payload::zero(9), 1, &long), "shortest form"),
        (edited(Payload::zero(9), 1, &endless), "over 64 bits"),
        (edited(signs(), 3, &[2]), "unused bits"),
        (edited(low_rank(), 2, &[3]), "do not divide"),
        (edited(low_rank(), 2, &[0]), "do not divide"),
        (edited(low_rank(), 1, &[0]), "do not divide"),
        (edited(low_rank(), 3, &[0]), "rank"),
        (edited(low_rank(), 3, &[5]), "rank"),
    ];
    for (body, why) in cases {
        let error = decode_message(&seal(1, &body), LIMIT).unwrap_err().to_string();
        assert!(error.contains(why), "{error} is not about {why}: {body:02x?}");
    }
    for payload in [Payload::zero(9), signs(), low_rank()] {
        let read = decode_message(&seal(1, &body(payload.clone())), LIMIT).unwrap();
        assert_eq!(*read.payloads[0], payload);
    }
}

#[test]
fn every_truncation_is_refused() {
    for message in messages() {
        let bytes = encode_message(&message);
        for len in 0..bytes.len().min(300) {
            assert!(decode_message(&bytes[..len], LIMIT).is_err());
            // With a header that fits, so that the payloads themselves are cut.
            if len >= 20 {
                assert!(decode_message(&seal(message.payloads.len() as u32, &bytes[20..len]), LIMIT).is_err());
            }
        }
        let mut longer = bytes[20..].to_vec();
        longer.push(0);
        assert!(decode_message(&seal(message.payloads.len() as u32, &longer), LIMIT).is_err());
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    for message in messages().iter().step_by(5) {
        let bytes = encode_message(message);
        for bit in 0..8 * bytes.len().min(200) {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_message(&bytes, LIMIT).is_err());
        }
    }
}

#[test]
fn hostile_sizes_are_refused_before_they_are_allocated() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f]; // 2^32 − 1
    for kind in 0..=15u8 {
        for format in 0..=6u8 {
            let mut body = vec![kind | format << 4];
            body.extend(huge);
            for filler in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut body = body.clone();
                body.extend([filler; 24]);
                assert!(decode_message(&seal(1, &body), LIMIT).is_err());
                // Within the limit, the bytes still have to be there, or the few that a code needs.
                let _ = decode_message(&seal(1, &body), 1 << 20);
            }
        }
    }
    assert!(decode_message(&seal(u32::MAX, &[0, 0, 0, 0]), LIMIT).is_err());
}

/// A version reads those before it, but for what they meant otherwise: their wide sketches.
#[test]
fn older_messages_are_read_or_refused() {
    let is_wide = |p: &Payload| match p {
        Payload::Sketch(s) => s.cells.len() / s.rows >= 256,
        _ => false,
    };
    let wide: Message = Payload::from(Sketch::new(&normal(50, 1), 3, 256, 4)).into();
    for message in messages().into_iter().chain([wide]) {
        let (count, body) = (message.payloads.len() as u32, &encode_message(&message)[20..]);
        match decode_message(&seal_as(1, count, body), LIMIT) {
            Ok(read) => assert!(read == message && !message.payloads.iter().any(|p| is_wide(p))),
            Err(error) => {
                assert!(error.to_string().contains("format version 1"), "{error}");
                assert!(message.payloads.iter().any(|p| is_wide(p)));
            }
        }
    }
    let sum = [&[8u8, 50, 1][..], &encode_message(&Payload::from(Sketch::new(&normal(50, 1), 1, 300, 4)).into())[20..]];
    assert!(decode_message(&seal_as(2, 1, &sum.concat()), LIMIT).is_ok());
    assert!(decode_message(&seal_as(1, 1, &sum.concat()), LIMIT).is_err());
    for version in [0, 3, 255] {
        let told = decode_message(&seal_as(version, 0, &[]), LIMIT).unwrap_err().to_string();
        assert!(told.contains(&format!("version {version} is not known")), "{told}");
    }
}

#[test]
fn sums_do_not_nest() {
    let part = [4, 3, 0]; // a zero of three coordinates
    let sum = |parts: &[&[u8]]| [&[8, 3, parts.len() as u8][..], &parts.concat()].concat();
    let flat = sum(&[&part, &part]);
    assert!(decode_message(&seal(1, &flat), LIMIT).is_ok());
    assert!(decode_message(&seal(1, &sum(&[&flat])), LIMIT).unwrap_err().to_string().contains("sum"));
    assert!(decode_message(&seal(1, &sum(&[])), LIMIT).is_err());
    assert!(decode_message(&seal(1, &sum(&[&part, &[4, 2, 0]])), LIMIT).is_err());
    assert!(decode_message(&seal(1, &sum(&[&part[..]; 65])), LIMIT).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutations_do_no_harm(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let messages = messages();
        let message = which.get(&messages);
        let mut body = encode_message(message)[20..].to_vec();
        for (place, byte) in edits {
            let place = place.index(body.len().min(40));
            body[place] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        harmless(&seal(message.payloads.len() as u32, &body));
    }

    #[test]
    fn random_bodies_do_no_harm(count in 0u32..4, body in prop::collection::vec(any::<u8>(), 0..200)) {
        harmless(&seal(count, &body));
    }

    #[test]
    fn random_payloads_of_every_kind_do_no_harm(
        kind in 0u8..9, format in 0u8..6, len in 0u8..127, body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = vec![kind | format << 4, len];
        bytes.extend(body);
        harmless(&seal(1, &bytes));
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        harmless(&bytes);
    }
}
