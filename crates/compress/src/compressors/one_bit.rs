use std::fmt;
use std::sync::Arc;

use super::Entry;
use crate::kernels::{masks, sums};
use crate::sweep::{BLOCK, Source, task};
use crate::{Class, Compressor, Feedback, Key, Memo, Payload, Unit, Update};

/// 1-bit SGD (Seide et al. 2014): non-negative coordinates become their mean, negative ones theirs.
/// What it keeps, n₊μ₊² + n₋μ₋², is at least ‖x‖₁²/d, so α ≥ 1/d.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OneBit;

pub(super) const ENTRY: Entry = Entry {
    name: "onebit",
    usage: "onebit",
    about: "one bit a coordinate: the mean of the non-negatives, or of the negatives",
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

    fn compress(&self, x: &[f32], _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        levels(Source::Still(x))
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        levels(Source::moving(p, update))
    }
}

/// One pass: signs, and the sums of either side block by block.
fn levels(source: Source<'_>) -> Payload {
    let len = source.len();
    let mut words = vec![0u64; len.div_ceil(64)];
    let mut blocks = vec![[0.0; 2]; len.div_ceil(BLOCK)];
    let outputs = words.chunks_mut(task(BLOCK) / 64).zip(blocks.chunks_mut(task(BLOCK) / BLOCK));
    source.sweep(BLOCK, &mut outputs.collect::<Vec<_>>(), |(words, blocks), start, x| {
        let at = start % task(BLOCK);
        masks::not_negative(x, &mut words[at / 64..(at + x.len()).div_ceil(64)]);
        blocks[at / BLOCK] = sums::sides(x);
    });
    let high: usize = words.iter().map(|w| w.count_ones() as usize).sum();
    let mean = |side: usize, n: usize| (blocks.iter().map(|b| b[side]).sum::<f64>() / n.max(1) as f64) as f32;
    Payload::Signs { len, low: mean(0, len - high), high: mean(1, high), words }
}
