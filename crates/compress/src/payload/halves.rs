//! Half-precision values under a common power of two.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::bytes::{Reader, put_words};
use crate::error::WireError;

/// Half-precision values times a power of two: value i is `values[i]`·2^`exponent`.
///
/// binary16 ends at 65504 and at 6·10⁻⁸. Where magnitudes lie beyond, the largest one is brought close to the upper
/// end, so that what is 2²⁹ times smaller still keeps its eleven bits: the error stays relative, which a contraction
/// needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Halves {
    /// Of the power of two, −163 … 113.
    pub exponent: i16,
    /// The values over the power.
    pub values: Vec<f16>,
}

/// Exponents that any f32 needs.
const EXPONENTS: std::ops::RangeInclusive<i16> = -163..=113;
/// The largest value lies in [2¹⁴, 2¹⁵).
const TOP: i32 = 14;
/// The least normal magnitude.
const LEAST: f32 = 6.103_515_6e-5;

impl Halves {
    /// Whether values need a power of two: whether one is too large, or so small that bits are lost.
    pub(super) fn needed(values: &[f32]) -> bool {
        let most = f16::MAX.to_f32();
        values.iter().any(|v| v.is_finite() && *v != 0.0 && !(LEAST..=most).contains(&v.abs()))
    }

    /// Rounds to nearest even, once.
    pub(super) fn new(values: &[f32]) -> Self {
        let largest = values.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f32::max);
        let magnitude = if largest == 0.0 { TOP } else { f64::from(largest).log2().floor() as i32 };
        let exponent = (magnitude - TOP) as i16;
        let scale = 2f64.powi(-i32::from(exponent));
        // At the very top of f32 the next value is infinite.
        let most = if exponent == *EXPONENTS.end() { 32_752.0 } else { f64::from(f16::MAX) };
        let round = |v: &f32| f16::from_f64((f64::from(*v) * scale).clamp(-most, most));
        Self { exponent, values: values.iter().map(round).collect() }
    }

    /// Value `i`.
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        (self.values[i].to_f64() * self.scale()) as f32
    }

    /// The power of two.
    #[inline]
    pub(super) fn scale(&self) -> f64 {
        2f64.powi(i32::from(self.exponent))
    }

    pub(super) fn num_bytes(&self) -> usize {
        2 + 2 * self.values.len()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.exponent.to_le_bytes());
        put_words(self.values.reinterpret_cast(), u16::to_le, out);
    }

    pub(super) fn decode(count: usize, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let bytes = reader.take(2, "an exponent")?;
        let exponent = i16::from_le_bytes([bytes[0], bytes[1]]);
        if !EXPONENTS.contains(&exponent) {
            return Err(WireError::Malformed { what: "an exponent", why: "it is not in −163 … 113" });
        }
        let values = reader.numbers(count as u64, |w: u16| f16::from_bits(u16::from_le(w)))?;
        Ok(Self { exponent, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_magnitude_of_f32_keeps_eleven_bits() {
        for exponent in -126..=127 {
            for mantissa in [1.0, 1.0 + 2f32.powi(-11), 1.3, 1.999_999_9] {
                let x = (f64::from(mantissa) * 2f64.powi(exponent)) as f32;
                for values in [vec![x], vec![-x, x * 2f32.powi(-20), 0.0]] {
                    let halves = Halves::new(&values);
                    assert!(EXPONENTS.contains(&halves.exponent));
                    for (i, v) in values.iter().enumerate().filter(|(_, v)| v.is_normal()) {
                        // One at the very top saturates: a whole unit in the last place instead of half of it.
                        let units = if v.abs() > 3.4e38 { 2.0 } else { 1.0 };
                        let error = f64::from((halves.get(i) - v).abs()) / f64::from(v.abs());
                        assert!(error <= units * 2f64.powi(-11), "{v:e}: {:e}", halves.get(i));
                    }
                    assert_eq!(halves.get(values.len() - 1) == 0.0, *values.last().unwrap() == 0.0);
                }
            }
        }
        let tiny = f32::from_bits(1);
        assert_eq!(Halves::new(&[tiny, -tiny]).get(1), -tiny);
    }
}
