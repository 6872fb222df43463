//! The message decoder on hostile bytes.
//!
//! `cargo +nightly fuzz run decode -- -max_len=256`
//!
//! An input is the body of a message behind a byte that says how many payloads it claims; the header and its checksum
//! are made to fit, since a fuzzer does not guess a CRC.

#![no_main]

use backburn_compress::{decode_message, encode_message, message_bytes};
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 4096;

fuzz_target!(|data: &[u8]| {
    let _ = decode_message(data, LIMIT);
    let Some((count, body)) = data.split_first() else { return };
    let mut bytes = b"BB\x01\x00".to_vec();
    bytes.extend(u32::from(*count).to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), body);
    bytes.extend(crc.to_le_bytes());
    bytes.extend(body);
    if let Ok(message) = decode_message(&bytes, LIMIT) {
        for payload in &message.payloads {
            assert!(payload.len() as u64 <= LIMIT);
            assert_eq!(payload.decode().len(), payload.len());
        }
        // What was read can be written, in its announced size, and read again.
        let encoded = encode_message(&message);
        assert_eq!(encoded.len() as u64, message_bytes(&message));
        let again = decode_message(&encoded, LIMIT).expect("own bytes");
        assert_eq!(encode_message(&again), encoded);
    }
});
