//! The message format, version 2. Version 1, which is read too, is the same without the symbol code of many
//! symbols (see the source of `payload::entropy`); its sketches of 256 columns and more, which hashed otherwise, are
//! refused.
//!
//! All numbers are little-endian. A message is a header of 20 bytes and the payloads, one after the
//! other, one a unit:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | `"BB"` |
//! | 2 | 1 | version, 2 |
//! | 3 | 1 | message kind, 0: payloads |
//! | 4 | 4 | number of payloads |
//! | 8 | 8 | length of all that follows the header, in bytes |
//! | 16 | 4 | CRC-32C of bytes 0–15 and of all that follows the header |
//!
//! A payload is a kind byte (low nibble: kind; high nibble: format of its values), its length in coordinates
//! as a LEB128 number, and by kind:
//!
//! | kind | what follows |
//! |---|---|
//! | 0 dense | the values |
//! | 1 signs | ⌈len/8⌉ bytes of bits; a set bit is +1, a clear one −1 |
//! | 2 scaled signs | an f32 scale s, then bits; ±s |
//! | 3 two levels | two f32, of a clear and of a set bit, then bits |
//! | 4 sparse | count (LEB128), Golomb coded index gaps (see the source of `payload::index`), values |
//! | 5 drawn | count (LEB128), the 64-bit name of the draw, values |
//! | 6 low rank | rows and rank (LEB128), P (rows × rank) and Qᵀ (rank × len/rows), row by row, f32 |
//! | 7 sketch | rows and columns (LEB128), the 64-bit name of the hashes, rows × columns f32 |
//! | 8 sum | number of parts (one byte, 1 … 64), the parts: payloads of this length that are not sums |
//! | 9 cosine transform | rows, a tile's rows and columns (LEB128), the coefficients: a payload of this length, neither sum nor transform |
//!
//! Values are written by format:
//!
//! | format | what is written |
//! |---|---|
//! | 0 f32, 1 f16, 2 bf16 | one after the other |
//! | 3 levels | the largest level (one byte, 1 … 127), the bucket size (LEB128), an f32 step a bucket, symbols of the alphabet 0 … 2·largest: level + largest |
//! | 4 powers of two | an f32 scale, symbols of the alphabet 0 … 509: twice the biased exponent, plus one where negative |
//! | 5 f16 times a power of two | its exponent (16 bits, −163 … 113), f16 one after the other |
//! | 6 codebook | four f32, two bits a value |
//!
//! Symbols take their exact width or an entropy code, whichever is shorter (see the source of
//! `payload::entropy`). Kinds that have no values have format 0.
//!
//! Unused bits are zero. A decoder never panics, and never allocates more than a few bytes for a
//! coordinate within its limit, once for each part of a sum, plus a constant multiple of the bytes
//! it was given.

use rayon::prelude::*;

use super::Payload;
use super::bytes::Reader;
pub use super::cosine::MAX_SIDE;
pub use super::sketch::MAX_ROWS;
pub use super::sum::MAX_PARTS;
use crate::error::WireError;

const HEADER: usize = 20;
const VERSION: u8 = 2;

/// The exact size of so many payloads as one message, header included, without encoding them.
pub fn num_bytes<'a>(payloads: impl IntoIterator<Item = &'a Payload>) -> u64 {
    HEADER as u64 + payloads.into_iter().map(|p| p.num_bytes() as u64).sum::<u64>()
}

/// Payloads as one message.
pub fn encode<'a>(payloads: impl IntoIterator<Item = &'a Payload, IntoIter: Clone>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(payloads, &mut out);
    out
}

/// Appends payloads as one message.
pub fn encode_into<'a>(payloads: impl IntoIterator<Item = &'a Payload, IntoIter: Clone>, out: &mut Vec<u8>) {
    let payloads = payloads.into_iter();
    let start = out.len();
    out.reserve(HEADER + payloads.clone().map(|p| 6 + p.least_bytes()).sum::<usize>());
    out.extend_from_slice(b"BB");
    out.extend_from_slice(&[VERSION, 0]);
    out.extend_from_slice(&[0; 16]);
    let mut count = 0u32;
    for payload in payloads {
        payload.encode(out);
        count += 1;
    }
    let message = &mut out[start..];
    let body = (message.len() - HEADER) as u64;
    message[4..8].copy_from_slice(&count.to_le_bytes());
    message[8..16].copy_from_slice(&body.to_le_bytes());
    let crc = checksum(message);
    message[16..20].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the payloads of a message from bytes that nobody vouches for. `limit` bounds the coordinates of all
/// together. Values may be infinite or NaN: see [`Payload::is_finite`].
///
/// # Errors
/// Where the bytes are not a message of this format, or describe more than `limit` coordinates.
pub fn decode(bytes: &[u8], limit: u64) -> Result<Vec<Payload>, WireError> {
    let mut reader = Reader { bytes };
    let head = reader.take(HEADER, "the header")?;
    if head[..2] != *b"BB" {
        return Err(WireError::Magic([head[0], head[1]]));
    }
    if !(1..=VERSION).contains(&head[2]) {
        return Err(WireError::Version(head[2]));
    }
    if head[3] != 0 {
        return Err(WireError::Kind { what: "message", kind: head[3] });
    }
    let count = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let body = u64::from_le_bytes(head[8..16].try_into().expect("eight bytes"));
    let left = reader.bytes.len() as u64;
    if body > left {
        return Err(WireError::Short { what: "the body", needed: body, left });
    }
    if body < left {
        return Err(WireError::Trailing(left - body));
    }
    let said = u32::from_le_bytes(head[16..20].try_into().expect("four bytes"));
    let computed = checksum(bytes);
    if said != computed {
        return Err(WireError::Checksum { said, computed });
    }
    // A payload takes two bytes at least.
    if count > reader.bytes.len() / 2 {
        return Err(WireError::Short { what: "the payloads", needed: 2 * count as u64, left });
    }
    let mut payloads = Vec::with_capacity(count);
    let mut described = 0u64;
    for _ in 0..count {
        payloads.push(Payload::decode_from(&mut reader, &mut described, limit)?);
    }
    if head[2] == 1 && payloads.iter().any(hashes_by_blocks) {
        let why = "one of 256 columns or more of format version 1 hashes otherwise";
        return Err(WireError::Malformed { what: "a sketch", why });
    }
    match reader.bytes.len() {
        0 => Ok(payloads),
        rest => Err(WireError::Trailing(rest as u64)),
    }
}

fn hashes_by_blocks(payload: &Payload) -> bool {
    match payload {
        Payload::Sketch(sketch) => sketch.hashes_by_blocks(),
        Payload::Sum(sum) => sum.parts.iter().any(hashes_by_blocks),
        _ => false,
    }
}

fn checksum(message: &[u8]) -> u32 {
    /// Bytes that a thread sums at a time.
    const TASK: usize = 1 << 20;
    let head = crc32c::crc32c(&message[..16]);
    let tasks = message[HEADER..].par_chunks(TASK).map(|task| (crc32c::crc32c(task), task.len()));
    let tasks: Vec<(u32, usize)> = tasks.collect();
    tasks.into_iter().fold(head, |sum, (task, len)| crc32c::crc32c_combine(sum, task, len))
}
