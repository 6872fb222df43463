//! Vectors of f32, f16, bf16, levels or powers of two.

use std::fmt;
use std::str::FromStr;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::bytes::{Reader, put_floats, put_words};
use super::codebook::Codebook;
use super::halves::Halves;
use super::levels::{Levels, Powers};
use crate::error::WireError;
use crate::kernels::finite;
use crate::simd::dispatch;
use crate::text::Expected;

/// How values are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// IEEE binary32, the default.
    #[default]
    F32,
    /// IEEE binary16; where magnitudes lie outside its normal range, times a power of two that all share.
    F16,
    /// bfloat16; magnitudes that would round to infinity are sent as the largest finite one.
    Bf16,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(()),
        }
    }
}

impl Expected for Format {
    const EXPECTED: &'static str = "`f32`, `f16` or `bf16`";
}

/// Values as they are sent. Rounding happens on the way in, so that what stays behind returns to
/// the residual.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Exact.
    F32(Vec<f32>),
    /// Rounded to nearest even.
    F16(Vec<f16>),
    /// The same, times a power of two.
    Halves(Halves),
    /// Rounded to nearest even, saturating.
    Bf16(Vec<bf16>),
    /// Whole multiples of a step.
    Levels(Levels),
    /// Signed powers of two.
    Powers(Powers),
    /// One of four sizes each.
    Codebook(Codebook),
}

impl Values {
    /// Rounds to the format.
    pub fn new(values: Vec<f32>, format: Format) -> Self {
        match format {
            Format::F32 => Self::F32(values),
            Format::F16 if Halves::needed(&values) => Self::Halves(Halves::new(&values)),
            Format::F16 => {
                let most = f16::MAX.to_f32();
                Self::F16(values.into_iter().map(|v| f16::from_f32(v.clamp(-most, most))).collect())
            }
            Format::Bf16 => {
                let most = bf16::MAX.to_f32();
                Self::Bf16(values.into_iter().map(|v| bf16::from_f32(v.clamp(-most, most))).collect())
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F16(v) => v.len(),
            Self::Halves(v) => v.values.len(),
            Self::Bf16(v) => v.len(),
            Self::Levels(v) => v.levels.len(),
            Self::Powers(v) => v.codes.len(),
            Self::Codebook(v) => v.levels.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value `i` as f32.
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        match self {
            Self::F32(v) => v[i],
            Self::F16(v) => v[i].to_f32(),
            Self::Halves(v) => v.get(i),
            Self::Bf16(v) => v[i].to_f32(),
            Self::Levels(v) => v.get(i),
            Self::Powers(v) => v.get(i),
            Self::Codebook(v) => v.get(i),
        }
    }

    /// All values as f32.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// A bound on all magnitudes, not finite where a value is not.
    pub(super) fn bound(&self) -> f64 {
        // The bits of magnitudes order as magnitudes do, infinity and NaN last.
        let f16_bound = |v: &[f16]| f16::from_bits(v.iter().fold(0, |m, x| m.max(x.to_bits() & 0x7fff))).to_f64();
        match self {
            Self::F32(v) => f64::from(finite::largest(v)),
            Self::F16(v) => f16_bound(v),
            Self::Halves(v) => f16_bound(&v.values) * v.scale(),
            Self::Bf16(v) => bf16::from_bits(v.iter().fold(0, |m, x| m.max(x.to_bits() & 0x7fff))).to_f64(),
            Self::Levels(v) => v.bound(),
            Self::Powers(v) => v.bound(),
            Self::Codebook(v) => v.bound(),
        }
    }

    /// y ← y + a·values, from value `start` on.
    pub(super) fn add(&self, a: f32, start: usize, y: &mut [f32]) {
        let range = start..start + y.len();
        match self {
            Self::F32(v) => add_floats(a, &v[range], y),
            Self::F16(v) => y.iter_mut().zip(&v[range]).for_each(|(y, v)| *y += a * v.to_f32()),
            Self::Halves(v) => y.iter_mut().zip(range).for_each(|(y, i)| *y += a * v.get(i)),
            Self::Bf16(v) => y.iter_mut().zip(&v[range]).for_each(|(y, v)| *y += a * v.to_f32()),
            Self::Levels(v) => v.add(a, start, y),
            Self::Powers(v) => v.add(a, start, y),
            Self::Codebook(v) => y.iter_mut().zip(range).for_each(|(y, i)| *y += a * v.get(i)),
        }
    }

    /// The code of their format.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::F32(_) => 0,
            Self::F16(_) => 1,
            Self::Bf16(_) => 2,
            Self::Levels(_) => 3,
            Self::Powers(_) => 4,
            Self::Halves(_) => 5,
            Self::Codebook(_) => 6,
        }
    }

    pub(super) fn num_bytes(&self) -> usize {
        match self {
            Self::F32(v) => 4 * v.len(),
            Self::F16(v) => 2 * v.len(),
            Self::Halves(v) => v.num_bytes(),
            Self::Bf16(v) => 2 * v.len(),
            Self::Levels(v) => v.num_bytes(),
            Self::Powers(v) => v.num_bytes(),
            Self::Codebook(v) => v.num_bytes(),
        }
    }

    /// What [`num_bytes`](Self::num_bytes) is at least, without a look at the values.
    pub(super) fn least_bytes(&self) -> usize {
        match self {
            Self::Levels(_) | Self::Powers(_) => 0,
            fixed => fixed.num_bytes(),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::F32(v) => put_floats(v, out),
            Self::F16(v) => put_words(v.reinterpret_cast(), u16::to_le, out),
            Self::Halves(v) => v.encode(out),
            Self::Bf16(v) => put_words(v.reinterpret_cast(), u16::to_le, out),
            Self::Levels(v) => v.encode(out),
            Self::Powers(v) => v.encode(out),
            Self::Codebook(v) => v.encode(out),
        }
    }

    /// Takes `count` values of this format.
    pub(super) fn decode(format: u8, count: usize, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match format {
            0 => Self::F32(reader.floats(count as u64)?),
            1 => Self::F16(reader.numbers(count as u64, |w: u16| f16::from_bits(u16::from_le(w)))?),
            2 => Self::Bf16(reader.numbers(count as u64, |w: u16| bf16::from_bits(u16::from_le(w)))?),
            3 => Self::Levels(Levels::decode(count, reader)?),
            4 => Self::Powers(Powers::decode(count, reader)?),
            5 => Self::Halves(Halves::decode(count, reader)?),
            6 => Self::Codebook(Codebook::decode(count, reader)?),
            kind => return Err(WireError::Kind { what: "value format", kind }),
        })
    }
}

dispatch! {
    fn add_floats(a: f32, v: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(v).for_each(|(y, v)| *y += a * *v);
    }
}
