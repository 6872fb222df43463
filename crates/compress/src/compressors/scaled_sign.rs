use std::fmt;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::feedback::Feedback;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::Payload;
use crate::source::Source;

/// C(x) = (‖x‖₁/d)·sign(x), sign(0) = +1: the compressor of EF-signSGD (Karimireddy et al. 2019,
/// Algorithm 1). α = φ(x) = ‖x‖₁²/(d‖x‖₂²) exactly, which is at least 1/d.
///
/// <https://arxiv.org/abs/1901.09847>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScaledSign;

impl fmt::Display for ScaledSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sign:scaled")
    }
}

impl From<ScaledSign> for Feedback {
    fn from(c: ScaledSign) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for ScaledSign {
    fn class(&self, unit: &Unit) -> Class {
        Class::Contractive(1.0 / unit.len().max(1) as f64)
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        let len = source.len().max(1) as f64;
        source
            .signs_with_magnitudes(|sum| {
                let scale = (sum / len) as f32;
                [-scale, scale]
            })
            .into()
    }
}
