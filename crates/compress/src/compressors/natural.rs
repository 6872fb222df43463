use std::fmt;
use std::sync::Arc;

use super::{Entry, Unbiased};
use crate::payload::Values;
use crate::quantise;
use crate::sweep::Source;
use crate::{Class, Compressor, Key, Memo, Payload, Unit, Update};

/// Natural compression (Horváth et al. 2019): every coordinate becomes the power of two below or above it, such
/// that the mean is right. Unbiased, ω = 1/8; from 2¹²⁷ on, where only infinity lies above, it rounds down.
/// Every worker draws for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Natural;

pub(super) const ENTRY: Entry = Entry {
    name: "natural",
    usage: "natural[:scaled]",
    about: "random rounding to powers of two; unbiased",
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

    fn compress_times(&self, factor: f64, x: &[f32], key: &Key) -> Payload {
        Payload::Dense(Values::Powers(quantise::to_powers(key.draw(), factor as f32, Source::Still(x))))
    }

    fn feedback_times(&self, factor: f64, p: &mut [f32], update: Update<'_>, key: &Key) -> Payload {
        Payload::Dense(Values::Powers(quantise::to_powers(key.draw(), factor as f32, Source::moving(p, update))))
    }
}

impl Compressor for Natural {
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
