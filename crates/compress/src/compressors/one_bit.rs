use std::fmt;
use std::sync::Arc;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::feedback::Feedback;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::Payload;
use crate::source::Source;
use crate::text::Form;

/// 1-bit SGD (Seide et al. 2014): non-negative coordinates become their mean, negative ones theirs.
/// What it keeps, n₊μ₊² + n₋μ₋², is at least ‖x‖₁²/d, so α ≥ 1/d.
///
/// <https://doi.org/10.21437/Interspeech.2014-274>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OneBit;

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "onebit",
    usage: "onebit",
    about: "one bit a coordinate: the mean of the non-negatives, or of the negatives",
    equation: "C(x)_j = mean of {x_i ≥ 0} where x_j ≥ 0, mean of {x_i < 0} elsewhere",
    source: "1-Bit Stochastic Gradient Descent, Seide, Fu, Droppo, Li, Yu 2014",
    link: "https://doi.org/10.21437/Interspeech.2014-274",
    defaults: &[],
    examples: &["onebit"],
    parse: |_| Ok(Arc::new(OneBit)),
};

impl fmt::Display for OneBit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("onebit")
    }
}

impl From<OneBit> for Feedback {
    fn from(c: OneBit) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for OneBit {
    fn class(&self, unit: &Unit) -> Class {
        Class::Contractive(1.0 / unit.len().max(1) as f64)
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        let means = |sums: [f64; 2], n: [usize; 2]| [0, 1].map(|side| (sums[side] / n[side].max(1) as f64) as f32);
        source.signs_with_sides(means).into()
    }
}
