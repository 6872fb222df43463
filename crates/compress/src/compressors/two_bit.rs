use std::fmt;
use std::sync::Arc;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::feedback::Feedback;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Values};
use crate::source::Source;
use crate::text::Form;

/// The 2-bit threshold quantiser of MXNet's parameter server: −λ, 0 or λ, by x_j ≤ −λ, between, or x_j ≥ λ.
/// ‖x − C(x)‖ ≤ ‖x‖, but α can be 0: nothing is promised of the residual, which stays bounded where λ exceeds what a step
/// adds to a coordinate.
///
/// <https://doi.org/10.21437/Interspeech.2015-354>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoBit {
    lambda: f32,
}

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "twobit",
    usage: "twobit:LAMBDA",
    about: "−λ, 0 or λ: two bits a coordinate at most",
    equation: "C(x)_j = λ where x_j ≥ λ, −λ where x_j ≤ −λ, 0 elsewhere",
    source: "Scalable Distributed DNN Training Using Commodity GPU Cloud Computing, Strom 2015, as in MXNet's parameter server",
    link: "https://doi.org/10.21437/Interspeech.2015-354",
    defaults: &[],
    examples: &["twobit:0.5"],
    parse: |args| Ok(Arc::new(TwoBit::new(args.required::<f64>("lambda")?)?)),
};

impl TwoBit {
    /// With the threshold, and value sent, `lambda` > 0.
    ///
    /// # Errors
    /// Where `lambda` is not in (0, ∞) as f32.
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
        Class::NonExpansive
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        Payload::dense(Values::Levels(source.ternary(self.lambda)))
    }
}
