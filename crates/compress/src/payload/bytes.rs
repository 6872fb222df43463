//! Bytes and bits as they are written: little-endian numbers, LEB128, and bits of which the first is the lowest of
//! the first byte.

use bytemuck::Pod;

use crate::error::WireError;
use crate::room;

pub(crate) fn put_floats(values: &[f32], out: &mut Vec<u8>) {
    put_words(bytemuck::cast_slice(values), u32::to_le, out);
}

pub(crate) fn put_words<W: Pod>(values: &[W], little: impl Fn(W) -> W, out: &mut Vec<u8>) {
    if cfg!(target_endian = "big") {
        return values.iter().for_each(|v| out.extend_from_slice(bytemuck::bytes_of(&little(*v))));
    }
    out.extend_from_slice(bytemuck::cast_slice(values));
}

pub(crate) fn varint_bytes(value: u64) -> usize {
    (64 - value.leading_zeros()).max(1).div_ceil(7) as usize
}

pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes from the front of what is left.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    pub bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let short = WireError::Short { what, needed: n as u64, left: self.bytes.len() as u64 };
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(short)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub fn byte(&mut self, what: &'static str) -> Result<u8, WireError> {
        Ok(self.take(1, what)?[0])
    }

    pub fn float(&mut self, what: &'static str) -> Result<f32, WireError> {
        Ok(f32::from_le_bytes(self.take(4, what)?.try_into().expect("four bytes")))
    }

    /// The 64-bit name of a draw.
    pub fn draw(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.take(8, "a draw's name")?.try_into().expect("eight bytes")))
    }

    /// A LEB128 number in its shortest form.
    pub fn varint(&mut self, what: &'static str) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
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

    /// A number of coordinates among `len`.
    pub fn count(&mut self, len: usize) -> Result<usize, WireError> {
        match self.varint("a count")? {
            n if n <= len as u64 => Ok(n as usize),
            _ => Err(WireError::Malformed { what: "a count", why: "it is over the payload's length" }),
        }
    }

    pub fn floats(&mut self, count: u64) -> Result<Vec<f32>, WireError> {
        let needed = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(4);
        let bytes = self.take(needed, "values")?;
        let mut values = room::take::<f32>(needed / 4);
        let words = values.iter_mut().zip(bytes.as_chunks::<4>().0);
        words.for_each(|(value, word)| *value = f32::from_le_bytes(*word));
        Ok(values)
    }

    pub fn numbers<W: Pod, T>(&mut self, count: u64, read: impl Fn(W) -> T) -> Result<Vec<T>, WireError> {
        let size = size_of::<W>();
        let needed = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(size);
        let bytes = self.take(needed, "values")?;
        Ok(bytes.chunks_exact(size).map(|c| read(bytemuck::pod_read_unaligned(c))).collect())
    }
}

/// Writes bits to the end of a byte vector.
#[derive(Debug)]
pub struct BitWriter<'a> {
    bytes: &'a mut Vec<u8>,
    pending: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    /// Begins at the next whole byte of `bytes`.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, pending: 0, count: 0 }
    }

    /// Writes the low `width` ≤ 32 bits of `value`.
    #[inline]
    pub fn put(&mut self, value: u32, width: u32) {
        let value = if width == 32 { value } else { value & ((1 << width) - 1) };
        self.pending |= u64::from(value) << self.count;
        self.count += width;
        if self.count >= 32 {
            self.bytes.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    /// Writes `value` ones and a zero.
    #[inline]
    pub fn put_unary(&mut self, mut value: u32) {
        while value >= 31 {
            self.put(u32::MAX >> 1, 31);
            value -= 31;
        }
        self.put((1 << value) - 1, value + 1);
    }

    /// Fills the last byte with zeros.
    pub fn finish(self) {
        let rest = self.pending.to_le_bytes();
        self.bytes.extend_from_slice(&rest[..self.count.div_ceil(8) as usize]);
    }
}

/// Reads bits from a byte slice; beyond its end there is nothing.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    position: u64,
}

impl<'a> BitReader<'a> {
    /// Begins at the first bit of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next `width` ≤ 32 bits, or `None` where fewer are left.
    #[inline]
    pub fn get(&mut self, width: u32) -> Option<u32> {
        if self.position + u64::from(width) > 8 * self.bytes.len() as u64 {
            return None;
        }
        let value = self.window() & ((1u64 << width) - 1);
        self.position += u64::from(width);
        Some(value as u32)
    }

    /// The number of ones before the next zero, or `None` where there is no zero.
    #[inline]
    pub fn get_unary(&mut self) -> Option<u32> {
        let mut ones = 0u32;
        loop {
            let left = (8 * self.bytes.len() as u64).checked_sub(self.position)?.min(32) as u32;
            let run = (!self.window()).trailing_zeros().min(left);
            self.position += u64::from(run);
            ones = ones.checked_add(run)?;
            if run < left {
                self.position += 1;
                return Some(ones);
            }
            if left == 0 {
                return None;
            }
        }
    }

    /// How many whole bytes have been begun.
    pub fn bytes_read(&self) -> usize {
        self.position.div_ceil(8) as usize
    }

    #[inline]
    fn window(&self) -> u64 {
        let start = (self.position / 8) as usize;
        let mut word = [0u8; 8];
        match self.bytes.get(start..start + 8) {
            Some(bytes) => word.copy_from_slice(bytes),
            None => {
                let tail = self.bytes.get(start..).unwrap_or_default();
                word[..tail.len()].copy_from_slice(tail);
            }
        }
        u64::from_le_bytes(word) >> (self.position % 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_got(items in prop::collection::vec((any::<u32>(), 0u32..=32, 0u32..200), 0..100)) {
            let mut bytes = vec![0xaa];
            let mut writer = BitWriter::new(&mut bytes);
            for (value, width, ones) in &items {
                writer.put(*value, *width);
                writer.put_unary(*ones);
            }
            writer.finish();
            let mut reader = BitReader::new(&bytes[1..]);
            for (value, width, ones) in &items {
                let mask = ((1u64 << width) - 1) as u32;
                prop_assert_eq!(reader.get(*width), Some(value & mask));
                prop_assert_eq!(reader.get_unary(), Some(*ones));
            }
            prop_assert_eq!(reader.bytes_read(), bytes.len() - 1);
        }
    }

    #[test]
    fn nothing_beyond_the_end() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.clone().get(9), None);
        assert_eq!(reader.get_unary(), None);
        assert_eq!(BitReader::new(&[]).get_unary(), None);
    }
}
