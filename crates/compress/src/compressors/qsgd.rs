use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Entry, Unbiased};
use crate::payload::Values;
use crate::quantise::{Norm, Quantiser};
use crate::sweep::Source;
use crate::{Class, Compressor, Key, Memo, ParameterError, Payload, Unit, Update};

/// QSGD (Alistarh et al. 2017): in every bucket of b coordinates, |x_j|·s/‖x‖ is rounded to one of its two
/// neighbours among 0 … s, at random such that the mean is right. Every worker draws for itself.
///
/// Unbiased, with ω = min(b/s², √b/s) for the L2 norm and min((b−1)/(4s²), (1+√b)/(2s)) for the largest magnitude;
/// so error feedback does not take it as it is, but [`scaled`](Unbiased::scaled):
///
/// ```
/// # use backburn_compress::{Feedback, Qsgd, Unbiased};
/// let feedback: Feedback = Qsgd::new(15)?.scaled().into();
/// # Ok::<(), backburn_compress::ParameterError>(())
/// ```
///
/// ```compile_fail
/// # use backburn_compress::{Feedback, Qsgd};
/// let feedback: Feedback = Qsgd::new(15)?.into();
/// # Ok::<(), backburn_compress::ParameterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Qsgd {
    levels: u8,
    bucket: usize,
    norm: Norm,
}

pub(super) const ENTRY: Entry = Entry {
    name: "qsgd",
    usage: "qsgd[:s=15][,bucket=512][,norm=l2|max][,scaled]",
    about: "random rounding to s levels each side of zero, unbiased; a contraction if scaled",
    examples: &[
        "qsgd",
        "qsgd:scaled",
        "qsgd:s=15,bucket=512",
        "qsgd:s=127,bucket=512,scaled",
        "qsgd:s=1,bucket=7,norm=max",
        "qsgd:s=4,bucket=64,norm=max,scaled",
    ],
    parse: |args| {
        let scaled = args.flag("scaled");
        let mut c = Qsgd::new(args.optional("s")?.unwrap_or(15))?;
        if let Some(bucket) = args.named("bucket")? {
            c = c.with_bucket(bucket)?;
        }
        if let Some(norm) = args.named("norm")? {
            c = c.with_norm(norm);
        }
        Ok(if scaled { Arc::new(c.scaled()) } else { Arc::new(c) })
    },
};

impl Qsgd {
    /// This many levels each side of zero, 1 … 127, in buckets of 512, by the L2 norm.
    pub fn new(levels: usize) -> Result<Self, ParameterError> {
        Ok(Self { levels: check_levels(levels)?, bucket: 512, norm: Norm::L2 })
    }

    /// With a norm for every `bucket` coordinates.
    pub fn with_bucket(self, bucket: usize) -> Result<Self, ParameterError> {
        check_bucket(bucket).map(|bucket| Self { bucket, ..self })
    }

    /// With this norm.
    pub fn with_norm(self, norm: Norm) -> Self {
        Self { norm, ..self }
    }

    fn quantiser(&self, factor: f64, key: &Key) -> Quantiser {
        Quantiser { most: self.levels, bucket: self.bucket, norm: self.norm, factor, draw: key.draw() }
    }
}

/// ω for s levels and a bucket of b coordinates.
pub(super) fn omega(levels: u8, bucket: usize, norm: Norm) -> f64 {
    let (s, b) = (f64::from(levels), bucket as f64);
    match norm {
        Norm::L2 => (b / (s * s)).min(b.sqrt() / s),
        Norm::Max => ((b - 1.0) / (4.0 * s * s)).min((1.0 + b.sqrt()) / (2.0 * s)).max(0.0),
    }
}

pub(super) fn check_levels(levels: usize) -> Result<u8, ParameterError> {
    match u8::try_from(levels) {
        Ok(s @ 1..=127) => Ok(s),
        _ => Err(ParameterError::Range { name: "s", value: levels as f64, allowed: "1 … 127" }),
    }
}

pub(super) fn check_bucket(bucket: usize) -> Result<usize, ParameterError> {
    match u32::try_from(bucket) {
        Ok(1..) => Ok(bucket),
        _ => Err(ParameterError::Range { name: "bucket", value: bucket as f64, allowed: "1 … 2^32 − 1" }),
    }
}

impl fmt::Display for Qsgd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "qsgd:s={},bucket={}", self.levels, self.bucket)?;
        f.write_str(if self.norm == Norm::Max { ",norm=max" } else { "" })
    }
}

impl FromStr for Norm {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "l2" => Ok(Self::L2),
            "max" => Ok(Self::Max),
            _ => Err(()),
        }
    }
}

impl crate::spec::Expected for Norm {
    const EXPECTED: &'static str = "`l2` or `max`";
}

impl Unbiased for Qsgd {
    fn omega(&self, unit: &Unit) -> f64 {
        omega(self.levels, self.bucket.min(unit.len()), self.norm)
    }

    fn compress_times(&self, factor: f64, x: &[f32], key: &Key) -> Payload {
        Payload::Dense(Values::Levels(self.quantiser(factor, key).quantise(Source::Still(x))))
    }

    fn feedback_times(&self, factor: f64, p: &mut [f32], update: Update<'_>, key: &Key) -> Payload {
        Payload::Dense(Values::Levels(self.quantiser(factor, key).quantise(Source::moving(p, update))))
    }
}

impl Compressor for Qsgd {
    fn class(&self, unit: &Unit) -> Class {
        Class::Unbiased(self.omega(unit))
    }

    fn compress(&self, x: &[f32], _: &Unit, key: &Key, _: &mut Memo) -> Payload {
        self.compress_times(1.0, x, key)
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, key: &Key, _: &mut Memo) -> Payload {
        self.feedback_times(1.0, p, update, key)
    }
}
