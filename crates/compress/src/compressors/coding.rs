use std::fmt;
use std::str::FromStr;

use super::qsgd;
use crate::class::Class;
use crate::error::ParameterError;
use crate::kernels::quantise::{Norm, Quantiser};
use crate::key::Key;
use crate::payload::{Codebook, Format, Levels, Powers, Values};
use crate::random::Stream;
use crate::source::Source;
use crate::text::Expected;

/// How a sparsifier writes the values that it keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coding {
    /// Rounded to a floating-point format.
    Plain(Format),
    /// Rounded at random to this many levels of the largest magnitude in every 512, and divided by
    /// 1 + ω to stay a contraction: `qsgd:15`. α becomes the sparsifier's over 1 + ω.
    Levels(u8),
    /// Two bits: SparseLoCo's four sizes a unit, see [`Codebook`]. With values that balance within a size α can be 0.
    TwoBit,
    /// Four bits, a sign and three of exponent: the nearest of 0 and ±m·2^−e, e = 0 … 6, m the largest magnitude of the
    /// unit.
    FourBit,
    /// A sign, times the mean magnitude of the unit's values.
    Sign,
}

impl Coding {
    const BUCKET: usize = 512;

    /// Levels on each side of zero, 1 … 127.
    ///
    /// # Errors
    /// Where `levels` is not in 1 … 127.
    pub fn levels(levels: usize) -> Result<Self, ParameterError> {
        qsgd::check_levels(levels).map(Self::Levels)
    }

    /// The class of a sparsifier that keeps `k` values and so is a contraction of α.
    pub(super) fn class(self, alpha: f64, k: usize) -> Class {
        match self {
            Self::TwoBit => Class::NonExpansive,
            _ => Class::Contractive(alpha * self.share(k)),
        }
    }

    /// What remains of a contraction's α, for `k` values.
    pub(super) fn share(self, k: usize) -> f64 {
        match self {
            Self::Plain(Format::F32) => 1.0,
            // A rounded value is off by at most half a unit in its last place.
            Self::Plain(Format::F16) => 1.0 - 2f64.powi(-22),
            Self::Plain(Format::Bf16) => 1.0 - 2f64.powi(-16),
            Self::Levels(s) => 1.0 / (1.0 + qsgd::omega(s, k.min(Self::BUCKET), Norm::Max)),
            Self::TwoBit => 0.0,
            // A magnitude of m·2⁻⁷ and more is off by a third at most; all others together are k − 1 such.
            Self::FourBit => 8.0 / 9.0 / (1.0 + k.saturating_sub(1) as f64 / 16384.0) - 1e-6,
            Self::Sign => 1.0 / k.max(1) as f64,
        }
    }

    pub(super) fn is_exact(self) -> bool {
        self == Self::default()
    }

    /// The values as they are sent; what is drawn is drawn for the worker of `key`.
    pub(super) fn encode(self, values: Vec<f32>, key: &Key) -> Values {
        match self {
            Self::Plain(format) => Values::new(values, format),
            Self::Levels(most) => {
                let draw = key.stream(Stream::VALUES).draw();
                let factor = self.share(values.len());
                let quantiser = Quantiser { most, bucket: Self::BUCKET, norm: Norm::Max, factor, draw };
                Values::Levels(Source::still(&values).quantise(&quantiser))
            }
            Self::TwoBit => Values::Codebook(Codebook::new(&values)),
            Self::FourBit => Values::Powers(four_bits(&values)),
            Self::Sign => Values::Levels(signs(&values)),
        }
    }

    /// `,values=…` where it is not f32.
    pub(super) fn suffix(self) -> String {
        if self.is_exact() { String::new() } else { format!(",values={self}") }
    }
}

/// The largest magnitude, and of every value the nearest of 0 and its products with 2^−e, e = 0 … 6.
fn four_bits(values: &[f32]) -> Powers {
    let scale = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let code = |v: &f32| {
        let share = f64::from(v.abs()) / f64::from(scale);
        // Halfway between neighbours goes up.
        let e = (0..=6).find(|e| share >= 0.75 * 0.5f64.powi(*e)).or((share >= 0.5f64.powi(7)).then_some(6));
        e.map_or(0, |e| 2 * (127 - e as u16) + u16::from(*v < 0.0))
    };
    Powers { scale, codes: if scale > 0.0 { values.iter().map(code).collect() } else { vec![0; values.len()] } }
}

/// Signs times the mean magnitude.
fn signs(values: &[f32]) -> Levels {
    let sum: f64 = values.iter().map(|v| f64::from(v.abs())).sum();
    let scale = (sum / values.len().max(1) as f64) as f32;
    let bucket = values.len().max(1);
    let steps = vec![scale; values.len().div_ceil(bucket)];
    Levels { most: 1, bucket, steps, levels: values.iter().map(|v| if *v < 0.0 { -1 } else { 1 }).collect() }
}

impl Default for Coding {
    fn default() -> Self {
        Self::Plain(Format::F32)
    }
}

impl From<Format> for Coding {
    fn from(format: Format) -> Self {
        Self::Plain(format)
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(format) => format.fmt(f),
            Self::Levels(s) => write!(f, "qsgd:{s}"),
            Self::TwoBit => f.write_str("2bit"),
            Self::FourBit => f.write_str("4bit"),
            Self::Sign => f.write_str("sign"),
        }
    }
}

impl FromStr for Coding {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "2bit" => return Ok(Self::TwoBit),
            "4bit" => return Ok(Self::FourBit),
            "sign" => return Ok(Self::Sign),
            _ => {}
        }
        match text.strip_prefix("qsgd:") {
            Some(levels) => Self::levels(levels.parse().map_err(drop)?).map_err(drop),
            None => text.parse().map(Self::Plain),
        }
    }
}

impl Expected for Coding {
    const EXPECTED: &'static str = "`f32`, `f16`, `bf16`, `2bit`, `4bit`, `sign` or `qsgd:1` … `qsgd:127`";
}
