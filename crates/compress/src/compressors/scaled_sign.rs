use std::fmt;

use crate::kernels::{masks, sums};
use crate::sweep::{BLOCK, Source, task};
use crate::{Class, Compressor, Feedback, Key, Memo, Payload, Unit, Update};

/// C(x) = (‖x‖₁/d)·sign(x), sign(0) = +1: the compressor of EF-signSGD (Karimireddy et al. 2019,
/// Algorithm 1). α = φ(x) = ‖x‖₁²/(d‖x‖₂²) exactly, which is at least 1/d.
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

    fn compress(&self, x: &[f32], _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        signs(Source::Still(x))
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        signs(Source::moving(p, update))
    }
}

/// One pass: signs, and Σ|x_j| block by block.
fn signs(source: Source<'_>) -> Payload {
    let len = source.len();
    let mut words = vec![0; len.div_ceil(64)];
    let mut blocks = vec![0.0; len.div_ceil(BLOCK)];
    let outputs = words.chunks_mut(task(BLOCK) / 64).zip(blocks.chunks_mut(task(BLOCK) / BLOCK));
    source.sweep(BLOCK, &mut outputs.collect::<Vec<_>>(), |(words, blocks), start, x| {
        let at = start % task(BLOCK);
        masks::not_negative(x, &mut words[at / 64..(at + x.len()).div_ceil(64)]);
        blocks[at / BLOCK] = sums::absolute(x);
    });
    let scale = (blocks.iter().sum::<f64>() / len.max(1) as f64) as f32;
    Payload::Signs { len, words, low: -scale, high: scale }
}
