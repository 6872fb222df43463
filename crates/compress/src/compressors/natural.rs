use std::fmt;
use std::sync::Arc;

use super::Unbiased;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Values};
use crate::source::Source;
use crate::text::Form;

/// Natural compression (Horváth et al. 2019): every coordinate becomes the power of two below or above it, such
/// that the mean is right. Unbiased, ω = 1/8; from 2¹²⁷ on, where only infinity lies above, it rounds down.
/// Every worker draws for itself.
///
/// <https://arxiv.org/abs/1905.10988>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Natural;

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "natural",
    usage: "natural[:scaled]",
    about: "random rounding to powers of two; unbiased",
    equation: "C(x)_j = sign(x_j)·2^⌊log₂|x_j|⌋ or sign(x_j)·2^⌈log₂|x_j|⌉, with mean x_j; scaled: C(x)/(1+ω)",
    source: "Natural Compression for Distributed Deep Learning, Horváth, Ho, Horváth, Sahu, Canini, Richtárik 2019",
    link: "https://arxiv.org/abs/1905.10988",
    defaults: &[],
    examples: &["natural", "natural:scaled"],
    parse: |args| Ok(if args.flag("scaled") { Arc::new(Natural.scaled()) } else { Arc::new(Natural) }),
};

impl fmt::Display for Natural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("natural")
    }
}

impl Unbiased for Natural {
    fn omega(&self, _: &Unit) -> f64 {
        0.125
    }

    fn compress_times(&self, factor: f64, mut source: Source<'_>, key: &Key) -> Payload {
        Payload::dense(Values::Powers(source.powers(factor as f32, key.draw())))
    }
}

impl Compressor for Natural {
    fn class(&self, unit: &Unit) -> Class {
        Class::Unbiased(self.omega(unit))
    }

    fn compress(&self, source: Source<'_>, _: &Unit, key: &Key, _: &mut Memo) -> Payload {
        self.compress_times(1.0, source, key)
    }
}
