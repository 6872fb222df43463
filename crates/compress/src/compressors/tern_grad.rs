use std::fmt;
use std::sync::Arc;

use super::qsgd::check_bucket;
use super::{Entry, Unbiased};
use crate::payload::Values;
use crate::quantise::{Norm, Quantiser};
use crate::sweep::Source;
use crate::{Class, Compressor, Key, Memo, ParameterError, Payload, Unit, Update};

/// TernGrad (Wen et al. 2017): −m, 0 or m, with m the largest magnitude, such that the mean is right. Unbiased,
/// ω = (√b − 1)/2. The paper takes a layer for a bucket; here it is b = 512 coordinates unless said otherwise, which
/// bounds ω and stays in the cache. Every worker draws for itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TernGrad {
    bucket: usize,
}

pub(super) const ENTRY: Entry = Entry {
    name: "terngrad",
    usage: "terngrad[:bucket=512][,scaled]",
    about: "random rounding to −m, 0 or m, the largest magnitude of a bucket; unbiased",
    examples: &["terngrad", "terngrad:scaled", "terngrad:bucket=10"],
    parse: |args| {
        let scaled = args.flag("scaled");
        let c = TernGrad::bucket(args.optional("bucket")?.unwrap_or(512))?;
        Ok(if scaled { Arc::new(c.scaled()) } else { Arc::new(c) })
    },
};

impl TernGrad {
    /// With a largest magnitude for every `bucket` coordinates.
    pub fn bucket(bucket: usize) -> Result<Self, ParameterError> {
        check_bucket(bucket).map(|bucket| Self { bucket })
    }

    fn quantiser(&self, factor: f64, key: &Key) -> Quantiser {
        Quantiser { most: 1, bucket: self.bucket, norm: Norm::Max, factor, draw: key.draw() }
    }
}

impl Default for TernGrad {
    fn default() -> Self {
        Self { bucket: 512 }
    }
}

impl fmt::Display for TernGrad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "terngrad:bucket={}", self.bucket)
    }
}

impl Unbiased for TernGrad {
    fn omega(&self, unit: &Unit) -> f64 {
        let b = self.bucket.min(unit.len()).max(1) as f64;
        (b.sqrt() - 1.0) / 2.0
    }

    fn compress_times(&self, factor: f64, x: &[f32], key: &Key) -> Payload {
        Payload::Dense(Values::Levels(self.quantiser(factor, key).quantise(Source::Still(x))))
    }

    fn feedback_times(&self, factor: f64, p: &mut [f32], update: Update<'_>, key: &Key) -> Payload {
        Payload::Dense(Values::Levels(self.quantiser(factor, key).quantise(Source::moving(p, update))))
    }
}

impl Compressor for TernGrad {
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
