use std::fmt;
use std::sync::Arc;

use super::Entry;
use crate::payload::{Levels, Values};
use crate::simd::dispatch;
use crate::sweep::{BLOCK, Source, task};
use crate::{Class, Compressor, Feedback, Key, Memo, ParameterError, Payload, Unit, Update};

/// The 2-bit threshold quantiser of MXNet's parameter server: −λ, 0 or λ, by x_j ≤ −λ, between, or x_j ≥ λ.
/// ‖x − C(x)‖ ≤ ‖x‖, but α can be 0; the residual stays bounded where λ exceeds what a step adds to a coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoBit {
    lambda: f32,
}

pub(super) const ENTRY: Entry = Entry {
    name: "twobit",
    usage: "twobit:LAMBDA",
    about: "−λ, 0 or λ: two bits a coordinate at most",
    examples: &["twobit:0.5"],
    parse: |args| Ok(Arc::new(TwoBit::new(args.required::<f64>("lambda")?)?)),
};

impl TwoBit {
    /// With the threshold, and value sent, `lambda` > 0.
    pub fn new(lambda: f64) -> Result<Self, ParameterError> {
        let value = lambda as f32;
        if value > 0.0 && value.is_finite() {
            Ok(Self { lambda: value })
        } else {
            Err(ParameterError::Range { name: "lambda", value: lambda, allowed: "(0, ∞)" })
        }
    }
}

impl fmt::Display for TwoBit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "twobit:{}", self.lambda)
    }
}

impl From<TwoBit> for Feedback {
    fn from(c: TwoBit) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for TwoBit {
    fn class(&self, _: &Unit) -> Class {
        Class::Contractive(0.0)
    }

    fn compress(&self, x: &[f32], _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        self.round(Source::Still(x))
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        self.round(Source::moving(p, update))
    }
}

impl TwoBit {
    fn round(&self, source: Source<'_>) -> Payload {
        let len = source.len();
        let mut levels = vec![0; len];
        let mut outputs: Vec<_> = levels.chunks_mut(task(BLOCK)).collect();
        source.sweep(BLOCK, &mut outputs, |levels, start, x| {
            ternary(self.lambda, x, &mut levels[start % task(BLOCK)..][..x.len()]);
        });
        let steps = if len == 0 { Vec::new() } else { vec![self.lambda] };
        Payload::Dense(Values::Levels(Levels { most: 1, bucket: len.max(1), steps, levels }))
    }
}

dispatch! {
    fn ternary(lambda: f32, x: &[f32], levels: &mut [i8]) {
        let level = |x: f32| i8::from(x >= lambda) - i8::from(x <= -lambda);
        x.iter().zip(levels).for_each(|(x, l)| *l = level(*x));
    }
}
