use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Unbiased;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::kernels::quantise::{Norm, Quantiser};
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Values};
use crate::source::Source;
use crate::text::{Expected, Form};

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
///
/// <https://arxiv.org/abs/1610.02132>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Qsgd {
    levels: u8,
    bucket: usize,
    norm: Norm,
}

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "qsgd",
    usage: "qsgd[:s=15][,bucket=512][,norm=l2|max][,scaled]",
    about: "random rounding to s levels each side of zero, unbiased; a contraction if scaled",
    equation: "C(x)_j = ‖x‖·sign(x_j)·ξ_j/s, ξ_j ∈ {⌊|x_j|s/‖x‖⌋, ⌈·⌉} with mean |x_j|s/‖x‖; scaled: C(x)/(1+ω)",
    source: "QSGD: Communication-Efficient SGD via Gradient Quantization and Encoding, Alistarh, Grubic, Li, Tomioka, Vojnovic 2017",
    link: "https://arxiv.org/abs/1610.02132",
    defaults: &[
        ("s=15", "levels on each side of zero"),
        ("bucket=512", "coordinates to a norm"),
        ("norm=l2", "what a bucket is divided by"),
    ],
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
    ///
    /// # Errors
    /// Where `levels` is not in 1 … 127.
    pub fn new(levels: usize) -> Result<Self, ParameterError> {
        Ok(Self { levels: check_levels(levels)?, bucket: 512, norm: Norm::L2 })
    }

    /// With a norm for every `bucket` coordinates.
    ///
    /// # Errors
    /// Where `bucket` is not in 1 … 2³² − 1.
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

impl Expected for Norm {
    const EXPECTED: &'static str = "`l2` or `max`";
}

impl Unbiased for Qsgd {
    fn omega(&self, unit: &Unit) -> f64 {
        omega(self.levels, self.bucket.min(unit.len()), self.norm)
    }

    fn compress_times(&self, factor: f64, mut source: Source<'_>, key: &Key) -> Payload {
        Payload::dense(Values::Levels(source.quantise(&self.quantiser(factor, key))))
    }
}

impl Compressor for Qsgd {
    fn class(&self, unit: &Unit) -> Class {
        Class::Unbiased(self.omega(unit))
    }

    fn compress(&self, source: Source<'_>, _: &Unit, key: &Key, _: &mut Memo) -> Payload {
        self.compress_times(1.0, source, key)
    }
}
