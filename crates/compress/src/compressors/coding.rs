use std::fmt;
use std::str::FromStr;

use super::qsgd;
use crate::error::ParameterError;
use crate::kernels::quantise::{Norm, Quantiser};
use crate::key::Key;
use crate::payload::{Format, Values};
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

    /// What remains of a contraction's α, for `k` values.
    pub(super) fn share(self, k: usize) -> f64 {
        match self {
            Self::Plain(Format::F32) => 1.0,
            // A rounded value is off by at most half a unit in its last place.
            Self::Plain(Format::F16) => 1.0 - 2f64.powi(-22),
            Self::Plain(Format::Bf16) => 1.0 - 2f64.powi(-16),
            Self::Levels(s) => 1.0 / (1.0 + qsgd::omega(s, k.min(Self::BUCKET), Norm::Max)),
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
        }
    }

    /// `,values=…` where it is not f32.
    pub(super) fn suffix(self) -> String {
        if self.is_exact() { String::new() } else { format!(",values={self}") }
    }
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
        }
    }
}

impl FromStr for Coding {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.strip_prefix("qsgd:") {
            Some(levels) => Self::levels(levels.parse().map_err(drop)?).map_err(drop),
            None => text.parse().map(Self::Plain),
        }
    }
}

impl Expected for Coding {
    const EXPECTED: &'static str = "`f32`, `f16`, `bf16` or `qsgd:1` … `qsgd:127`";
}
