//! Bits in little-endian order: the first bit is the lowest of the first byte.

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
