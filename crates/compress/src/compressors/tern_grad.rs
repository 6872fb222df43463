use std::fmt;
use std::sync::Arc;

use super::Unbiased;
use super::qsgd::check_bucket;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::kernels::quantise::{Norm, Quantiser};
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Values};
use crate::source::Source;
use crate::text::Form;

/// TernGrad (Wen et al. 2017): −m, 0 or m, with m the largest magnitude, such that the mean is right. Unbiased,
/// ω = (√b − 1)/2. The paper takes a layer for a bucket; here it is b = 512 coordinates unless said otherwise, which
/// bounds ω and stays in the cache. Every worker draws for itself.
///
/// <https://arxiv.org/abs/1705.07878>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TernGrad {
    bucket: usize,
}

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "terngrad",
    usage: "terngrad[:bucket=512][,scaled]",
    about: "random rounding to −m, 0 or m, the largest magnitude of a bucket; unbiased",
    equation: "C(x)_j = m·sign(x_j)·b_j, m = max|x_i|, P(b_j = 1) = |x_j|/m; scaled: C(x)/(1+ω)",
    source: "TernGrad, Wen, Xu, Yan, Wu, Wang, Chen, Li 2017",
    link: "https://arxiv.org/abs/1705.07878",
    defaults: &[("bucket=512", "coordinates to a largest magnitude")],
    examples: &["terngrad", "terngrad:scaled", "terngrad:bucket=10"],
    parse: |args| {
        let scaled = args.flag("scaled");
        let c = TernGrad::bucket(args.optional("bucket")?.unwrap_or(512))?;
        Ok(if scaled { Arc::new(c.scaled()) } else { Arc::new(c) })
    },
};

impl TernGrad {
    /// With a largest magnitude for every `bucket` coordinates.
    ///
    /// # Errors
    /// Where `bucket` is not in 1 … 2³² − 1.
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

    fn compress_times(&self, factor: f64, mut source: Source<'_>, key: &Key) -> Payload {
        Payload::dense(Values::Levels(source.quantise(&self.quantiser(factor, key))))
    }
}

impl Compressor for TernGrad {
    fn class(&self, unit: &Unit) -> Class {
        Class::Unbiased(self.omega(unit))
    }

    fn compress(&self, source: Source<'_>, _: &Unit, key: &Key, _: &mut Memo) -> Payload {
        self.compress_times(1.0, source, key)
    }
}
