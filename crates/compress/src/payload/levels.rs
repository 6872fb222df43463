//! Values as small whole multiples of a step, and as signed powers of two.

/// Quantised values: value i is `levels[i]`·`steps[i / bucket]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// The largest magnitude of a level, s in the papers: 1 … 127.
    pub most: u8,
    /// Values to a step.
    pub bucket: usize,
    /// ⌈len/bucket⌉ steps.
    pub steps: Vec<f32>,
    /// A level a value, −most … most.
    pub levels: Vec<i8>,
}

impl Levels {
    /// Value `i`.
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        f32::from(self.levels[i]) * self.steps[i / self.bucket]
    }
}

/// Signed powers of two, all times one scale: nine bits of information each.
#[derive(Clone, Debug, PartialEq)]
pub struct Powers {
    /// The factor on every value.
    pub scale: f32,
    /// A code a value: twice the biased binary32 exponent (0 for zero, at most 254), plus one where
    /// negative.
    pub codes: Vec<u16>,
}

impl Powers {
    /// Codes are below this.
    pub const CODES: usize = 510;

    /// Value `i`.
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        power(self.codes[i]) * self.scale
    }
}

/// The power of two that a code stands for.
#[inline]
pub(crate) fn power(code: u16) -> f32 {
    f32::from_bits(u32::from(code >> 1) << 23 | u32::from(code & 1) << 31)
}
