//! Vectors of f32, f16, bf16, levels or powers of two.

use std::fmt;
use std::str::FromStr;

use half::{bf16, f16};

use super::{Levels, Powers};

/// How values are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// IEEE binary32, the default.
    #[default]
    F32,
    /// IEEE binary16; magnitudes beyond 65504 are sent as 65504.
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

/// Values as they are sent. Rounding happens on the way in, so that what stays behind returns to
/// the residual.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Exact.
    F32(Vec<f32>),
    /// Rounded to nearest even, saturating.
    F16(Vec<f16>),
    /// Rounded to nearest even, saturating.
    Bf16(Vec<bf16>),
    /// Whole multiples of a step.
    Levels(Levels),
    /// Signed powers of two.
    Powers(Powers),
}

impl Values {
    /// Rounds to the format.
    pub fn new(values: Vec<f32>, format: Format) -> Self {
        match format {
            Format::F32 => Self::F32(values),
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
            Self::Bf16(v) => v.len(),
            Self::Levels(v) => v.levels.len(),
            Self::Powers(v) => v.codes.len(),
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
            Self::Bf16(v) => v[i].to_f32(),
            Self::Levels(v) => v.get(i),
            Self::Powers(v) => v.get(i),
        }
    }

    /// All values as f32.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }
}
