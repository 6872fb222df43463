//! The message format, version 1.
//!
//! All numbers are little-endian. A message is a header of 20 bytes and the payloads, one after the
//! other, one a unit:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | `"BB"` |
//! | 2 | 1 | version, 1 |
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
//!
//! Values are written by format:
//!
//! | format | what is written |
//! |---|---|
//! | 0 f32, 1 f16, 2 bf16 | one after the other |
//! | 3 levels | the largest level (one byte, 1 … 127), the bucket size (LEB128), an f32 step a bucket, symbols of the alphabet 0 … 2·largest: level + largest |
//! | 4 powers of two | an f32 scale, symbols of the alphabet 0 … 509: twice the biased exponent, plus one where negative |
//!
//! Symbols take their exact width or an entropy code, whichever is shorter (see the source of
//! `payload::entropy`). Kinds that have no values have format 0.
//!
//! Unused bits are zero. A decoder never panics, and never allocates more than a few bytes for a
//! coordinate within its limit, once for each part of a sum, plus a constant multiple of the bytes
//! it was given.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};
use rayon::prelude::*;

use super::{Levels, Payload, Powers, Values, entropy, index};
use crate::{Message, WireError};

const HEADER: usize = 20;
const VERSION: u8 = 1;
/// Parts of a sum, at most.
pub const MAX_PARTS: usize = 64;
const MAX_SKETCH_ROWS: u64 = 64;

/// The exact size of a message on the wire, header included, without encoding it.
pub fn message_bytes(message: &[Arc<Payload>]) -> u64 {
    HEADER as u64 + message.iter().map(|p| p.num_bytes() as u64).sum::<u64>()
}

/// A message as bytes.
pub fn encode_message(message: &[Arc<Payload>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message_bytes(message) as usize);
    out.extend_from_slice(b"BB");
    out.extend_from_slice(&[VERSION, 0]);
    out.extend_from_slice(&(message.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 12]);
    message.iter().for_each(|p| encode_payload(p, &mut out));
    let body = (out.len() - HEADER) as u64;
    out[8..16].copy_from_slice(&body.to_le_bytes());
    let crc = checksum(&out);
    out[16..20].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Reads a message from bytes that nobody vouches for. `limit` bounds the coordinates of all its
/// payloads together.
pub fn decode_message(bytes: &[u8], limit: u64) -> Result<Message, WireError> {
    let mut reader = Reader { bytes };
    let head = reader.take(HEADER, "the header")?;
    if head[..2] != *b"BB" {
        return Err(WireError::Magic([head[0], head[1]]));
    }
    if head[2] != VERSION {
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
    let mut message = Vec::with_capacity(count);
    let mut described = 0u64;
    for _ in 0..count {
        message.push(Arc::new(decode_payload(&mut reader, &mut described, limit)?));
    }
    match reader.bytes.len() {
        0 => Ok(message),
        rest => Err(WireError::Trailing(rest as u64)),
    }
}

/// The exact size of one payload.
pub(super) fn payload_bytes(payload: &Payload) -> usize {
    let head = 1 + varint_bytes(payload.len() as u64);
    head + match payload {
        Payload::Dense(values) => values_bytes(values),
        Payload::Signs { len, low, high, .. } => len.div_ceil(8) + [0, 4, 8][sign_kind(*low, *high) as usize - 1],
        Payload::Sparse { len, indices, values } => {
            varint_bytes(indices.len() as u64) + index::num_bytes(indices, *len) + values_bytes(values)
        }
        Payload::Drawn { values, .. } => varint_bytes(values.len() as u64) + 8 + values_bytes(values),
        Payload::LowRank { rows, rank, p, q } => {
            varint_bytes(*rows as u64) + varint_bytes(*rank as u64) + 4 * (p.len() + q.len())
        }
        Payload::Sketch { rows, cells, .. } => {
            let columns = cells.len() / rows;
            varint_bytes(*rows as u64) + varint_bytes(columns as u64) + 8 + 4 * cells.len()
        }
        Payload::Sum(parts) => 1 + parts.iter().map(payload_bytes).sum::<usize>(),
    }
}

fn encode_payload(payload: &Payload, out: &mut Vec<u8>) {
    let (kind, values) = match payload {
        Payload::Dense(values) => (0, Some(values)),
        Payload::Signs { low, high, .. } => (sign_kind(*low, *high), None),
        Payload::Sparse { values, .. } => (4, Some(values)),
        Payload::Drawn { values, .. } => (5, Some(values)),
        Payload::LowRank { .. } => (6, None),
        Payload::Sketch { .. } => (7, None),
        Payload::Sum(_) => (8, None),
    };
    out.push(kind | values.map_or(0, format) << 4);
    put_varint(payload.len() as u64, out);
    match payload {
        Payload::Dense(_) => {}
        Payload::Signs { len, words, low, high } => {
            if kind == 3 {
                out.extend_from_slice(&low.to_le_bytes());
            }
            if kind >= 2 {
                out.extend_from_slice(&high.to_le_bytes());
            }
            let start = out.len();
            words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
            out.truncate(start + len.div_ceil(8));
        }
        Payload::Sparse { len, indices, .. } => {
            put_varint(indices.len() as u64, out);
            index::encode(indices, *len, out);
        }
        Payload::Drawn { draw, values, .. } => {
            put_varint(values.len() as u64, out);
            out.extend_from_slice(&draw.to_le_bytes());
        }
        Payload::LowRank { rows, rank, p, q } => {
            put_varint(*rows as u64, out);
            put_varint(*rank as u64, out);
            put_floats(p, out);
            put_floats(q, out);
        }
        Payload::Sketch { rows, draw, cells, .. } => {
            put_varint(*rows as u64, out);
            put_varint((cells.len() / rows) as u64, out);
            out.extend_from_slice(&draw.to_le_bytes());
            put_floats(cells, out);
        }
        Payload::Sum(parts) => {
            out.push(parts.len() as u8);
            parts.iter().for_each(|p| encode_payload(p, out));
        }
    }
    if let Some(values) = values {
        put_values(values, out);
    }
}

fn decode_payload(reader: &mut Reader<'_>, described: &mut u64, limit: u64) -> Result<Payload, WireError> {
    let byte = reader.take(1, "a payload's kind")?[0];
    let (kind, format) = (byte & 15, byte >> 4);
    let len = reader.varint("a payload's length")?;
    *described = described.saturating_add(len);
    if *described > limit {
        return Err(WireError::Limit { described: *described, limit });
    }
    if len > u64::from(u32::MAX) {
        return Err(WireError::Malformed { what: "a payload's length", why: "it is over 2^32 − 1" });
    }
    let len = len as usize;
    if format > 4 || (format > 0 && !matches!(kind, 0 | 4 | 5)) {
        return Err(WireError::Kind { what: "value format", kind: format });
    }
    match kind {
        0 => Ok(Payload::Dense(reader.values(len, format)?)),
        1..=3 => {
            let (low, high) = match kind {
                1 => (-1.0, 1.0),
                2 => {
                    let scale = reader.float("a level")?;
                    (-scale, scale)
                }
                _ => (reader.float("a level")?, reader.float("a level")?),
            };
            if sign_kind(low, high) != kind {
                return Err(WireError::Malformed { what: "signs", why: "their levels belong to a shorter kind" });
            }
            Ok(Payload::Signs { len, words: reader.words(len)?, low, high })
        }
        4 => {
            let count = reader.count(len)?;
            let indices = index::decode(reader, count, len)?;
            Ok(Payload::Sparse { len, indices, values: reader.values(count, format)? })
        }
        5 => {
            let count = reader.count(len)?;
            let draw = reader.draw()?;
            Ok(Payload::Drawn { len, draw, values: reader.values(count, format)? })
        }
        6 => {
            let rows = reader.varint("a number of rows")?;
            let rank = reader.varint("a rank")?;
            let malformed = |why| Err(WireError::Malformed { what: "a low-rank payload", why });
            // Rows and rank below len, below 2^32, keep all products within 64 bits.
            if rows == 0 || !(len as u64).is_multiple_of(rows) || len == 0 {
                return malformed("its rows do not divide its length");
            }
            let columns = len as u64 / rows;
            if rank == 0 || rank > rows.min(columns) {
                return malformed("its rank is not in 1 … the shorter side");
            }
            let p = reader.floats(rows * rank)?;
            let q = reader.floats(columns * rank)?;
            Ok(Payload::LowRank { rows: rows as usize, rank: rank as usize, p, q })
        }
        7 => {
            let rows = reader.varint("a number of rows")?;
            let columns = reader.varint("a number of columns")?;
            if !(1..=MAX_SKETCH_ROWS).contains(&rows) || columns == 0 {
                return Err(WireError::Malformed {
                    what: "a sketch",
                    why: "its rows are not 1 … 64, or it has no columns",
                });
            }
            let draw = reader.draw()?;
            let cells = reader.floats(rows.saturating_mul(columns))?;
            Ok(Payload::Sketch { len, rows: rows as usize, draw, cells })
        }
        8 => reader.parts(len),
        _ => Err(WireError::Kind { what: "payload", kind }),
    }
}

/// The shortest kind that holds these two levels bit for bit.
fn sign_kind(low: f32, high: f32) -> u8 {
    if low.to_bits() != (-high).to_bits() {
        3
    } else if high == 1.0 {
        1
    } else {
        2
    }
}

fn checksum(message: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&message[..16]), &message[HEADER..])
}

/// The code of the format of these values.
fn format(values: &Values) -> u8 {
    match values {
        Values::F32(_) => 0,
        Values::F16(_) => 1,
        Values::Bf16(_) => 2,
        Values::Levels(_) => 3,
        Values::Powers(_) => 4,
    }
}

fn values_bytes(values: &Values) -> usize {
    match values {
        Values::F32(v) => 4 * v.len(),
        Values::F16(_) | Values::Bf16(_) => 2 * values.len(),
        Values::Levels(v) => 1 + varint_bytes(v.bucket as u64) + 4 * v.steps.len() + levels_plan(v).num_bytes(),
        Values::Powers(v) => 4 + powers_plan(v).num_bytes(),
    }
}

fn put_values(values: &Values, out: &mut Vec<u8>) {
    match values {
        Values::F32(v) => put_floats(v, out),
        Values::F16(v) => put_words(v, |x| x.to_bits().to_le(), out),
        Values::Bf16(v) => put_words(v, |x| x.to_bits().to_le(), out),
        Values::Levels(v) => {
            out.push(v.most);
            put_varint(v.bucket as u64, out);
            put_floats(&v.steps, out);
            let most = i16::from(v.most);
            levels_plan(v).encode(&v.levels, |l| (i16::from(l) + most) as usize, out);
        }
        Values::Powers(v) => {
            out.extend_from_slice(&v.scale.to_le_bytes());
            powers_plan(v).encode(&v.codes, usize::from, out);
        }
    }
}

fn levels_plan(v: &Levels) -> entropy::Plan {
    let middle = v.levels.par_chunks(1 << 18).map(|chunk| {
        // Four tables, so that runs of one level do not wait for each other.
        let mut counts = [[0u32; 256]; 4];
        chunk.iter().enumerate().for_each(|(i, l)| counts[i % 4][usize::from(*l as u8)] += 1);
        counts.iter().fold([0u64; 256], |mut sum, c| {
            sum.iter_mut().zip(c).for_each(|(s, c)| *s += u64::from(*c));
            sum
        })
    });
    let counts = middle.reduce(
        || [0; 256],
        |mut a, b| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        },
    );
    let most = i16::from(v.most);
    let histogram: Vec<u64> = (-most..=most).map(|l| counts[usize::from(l as i8 as u8)]).collect();
    entropy::Plan::new(&histogram)
}

fn powers_plan(v: &Powers) -> entropy::Plan {
    let mut histogram = vec![0; Powers::CODES];
    v.codes.iter().for_each(|c| histogram[usize::from(*c)] += 1);
    entropy::Plan::new(&histogram)
}

fn put_floats(values: &[f32], out: &mut Vec<u8>) {
    put_words(values, |x| x.to_bits().to_le(), out);
}

fn put_words<T: Copy, W: Pod>(values: &[T], word: impl Fn(T) -> W, out: &mut Vec<u8>) {
    values.iter().for_each(|v| out.extend_from_slice(bytemuck::bytes_of(&word(*v))));
}

pub(super) fn varint_bytes(value: u64) -> usize {
    (64 - value.leading_zeros()).max(1).div_ceil(7) as usize
}

pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes from the front of what is left.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let short = WireError::Short { what, needed: n as u64, left: self.bytes.len() as u64 };
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(short)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn float(&mut self, what: &'static str) -> Result<f32, WireError> {
        Ok(f32::from_le_bytes(self.take(4, what)?.try_into().expect("four bytes")))
    }

    fn draw(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.take(8, "a draw's name")?.try_into().expect("eight bytes")))
    }

    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1, what)?[0];
            let part = u64::from(byte & 127);
            if part << shift >> shift != part || (byte == 0 && shift > 0) {
                return Err(WireError::Malformed {
                    what: "a number",
                    why: "it is not in its shortest form within 64 bits",
                });
            }
            value |= part << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(WireError::Malformed { what: "a number", why: "it is over 64 bits" })
    }

    fn count(&mut self, len: usize) -> Result<usize, WireError> {
        match self.varint("a count")? {
            n if n <= len as u64 => Ok(n as usize),
            _ => Err(WireError::Malformed { what: "a count", why: "it is over the payload's length" }),
        }
    }

    fn words(&mut self, len: usize) -> Result<Vec<u64>, WireError> {
        let bytes = self.take(len.div_ceil(8), "signs")?;
        if !len.is_multiple_of(8) && bytes.last().is_some_and(|b| b >> (len % 8) != 0) {
            return Err(WireError::Malformed { what: "signs", why: "unused bits are set" });
        }
        let word = |chunk: &[u8]| chunk.iter().rev().fold(0u64, |w, b| w << 8 | u64::from(*b));
        Ok(bytes.chunks(8).map(word).collect())
    }

    fn values(&mut self, count: usize, format: u8) -> Result<Values, WireError> {
        Ok(match format {
            0 => Values::F32(self.floats(count as u64)?),
            1 => Values::F16(self.numbers(count as u64, |w: u16| f16::from_bits(u16::from_le(w)))?),
            2 => Values::Bf16(self.numbers(count as u64, |w: u16| bf16::from_bits(u16::from_le(w)))?),
            3 => Values::Levels(self.levels(count)?),
            _ => {
                let scale = self.float("a scale")?;
                let mut codes = Vec::with_capacity(count.min(1 << 16));
                entropy::decode(self, count, Powers::CODES, |s| codes.push(s as u16))?;
                Values::Powers(Powers { scale, codes })
            }
        })
    }

    fn levels(&mut self, count: usize) -> Result<Levels, WireError> {
        let most = self.take(1, "a largest level")?[0];
        if !(1..=127).contains(&most) {
            return Err(WireError::Malformed { what: "levels", why: "the largest is not in 1 … 127" });
        }
        let bucket = match self.varint("a bucket size")? {
            b @ 1..=0xffff_ffff => b as usize,
            _ => {
                return Err(WireError::Malformed { what: "levels", why: "the bucket size is not in 1 … 2^32 − 1" });
            }
        };
        let steps = self.floats(count.div_ceil(bucket) as u64)?;
        let mut levels = Vec::with_capacity(count.min(1 << 16));
        let middle = i16::from(most);
        entropy::decode(self, count, 2 * usize::from(most) + 1, |s| levels.push((s as i16 - middle) as i8))?;
        Ok(Levels { most, bucket, steps, levels })
    }

    fn parts(&mut self, len: usize) -> Result<Payload, WireError> {
        let malformed = |why| WireError::Malformed { what: "a sum", why };
        let count = self.take(1, "a number of parts")?[0];
        if !(1..=MAX_PARTS).contains(&usize::from(count)) {
            return Err(malformed("its number of parts is not in 1 … 64"));
        }
        let mut parts = Vec::new();
        for _ in 0..count {
            if self.bytes.first().is_some_and(|b| b & 15 == 8) {
                return Err(malformed("a part is itself a sum"));
            }
            let part = decode_payload(self, &mut 0, len as u64)?;
            if part.len() != len {
                return Err(malformed("a part has another length"));
            }
            parts.push(part);
        }
        Ok(Payload::Sum(parts))
    }

    fn floats(&mut self, count: u64) -> Result<Vec<f32>, WireError> {
        self.numbers(count, |w: u32| f32::from_bits(u32::from_le(w)))
    }

    fn numbers<W: Pod + Zeroable, T>(&mut self, count: u64, read: impl Fn(W) -> T) -> Result<Vec<T>, WireError> {
        let size = size_of::<W>();
        let needed = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(size);
        let bytes = self.take(needed, "values")?;
        Ok(bytes.chunks_exact(size).map(|c| read(bytemuck::pod_read_unaligned(c))).collect())
    }
}
