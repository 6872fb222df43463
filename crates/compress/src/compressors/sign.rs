use std::fmt;
use std::sync::Arc;

use super::{Entry, ScaledSign};
use crate::kernels::masks;
use crate::sweep::{BLOCK, Source, task};
use crate::{Class, Compressor, Key, Memo, Payload, Unit, Update};

/// C(x) = ±1 with sign(0) = +1 (signSGD, Bernstein et al. 2018). No contraction: it is here for
/// signSGD and its counter-examples, and does not convert to [`Feedback`](crate::Feedback).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sign;

pub(super) const ENTRY: Entry = Entry {
    name: "sign",
    usage: "sign[:scaled]",
    about: "one bit a coordinate: ±1, or scaled ±‖x‖₁/d",
    examples: &["sign", "sign:scaled"],
    parse: |args| Ok(if args.flag("scaled") { Arc::new(ScaledSign) } else { Arc::new(Sign) }),
};

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sign")
    }
}

impl Compressor for Sign {
    fn class(&self, _: &Unit) -> Class {
        Class::None
    }

    fn compress(&self, x: &[f32], _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        signs(Source::Still(x))
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        signs(Source::moving(p, update))
    }
}

fn signs(source: Source<'_>) -> Payload {
    let len = source.len();
    let mut words = vec![0; len.div_ceil(64)];
    let mut outputs: Vec<_> = words.chunks_mut(task(BLOCK) / 64).collect();
    source.sweep(BLOCK, &mut outputs, |words, start, x| {
        let at = start % task(BLOCK);
        masks::not_negative(x, &mut words[at / 64..(at + x.len()).div_ceil(64)]);
    });
    Payload::Signs { len, words, low: -1.0, high: 1.0 }
}
