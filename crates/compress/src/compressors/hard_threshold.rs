use std::fmt;
use std::sync::Arc;

use super::Amount;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::feedback::Feedback;
use crate::kernels::select::Kept;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Sparse, Values};
use crate::source::Source;
use crate::text::Form;

/// C(x) keeps |x_j| ≥ λ: an absolute compressor, κ² ≤ dλ² (Sahu, Dutta, Abdelmoniem, Banerjee, Canini, Kalnis 2021,
/// *Rethinking gradient sparsification as total error minimization*, <https://arxiv.org/abs/2108.00951>).
///
/// A λ that is given acts on what is compressed as it is, whatever its unit; so does λ = 1/(2√k), which presumes
/// ‖p‖ ≈ 1.
///
/// A λ that is calibrated, `budget=k` or `ratio`, is found on the first d/k steps, but no fewer than 16 and no more than
/// 128, in units of the gradient: these send the k largest coordinates, as top-k does, and λ becomes the largest of their
/// smallest magnitudes, each divided by the source's [`gain`](Source::gain) γ, since the residual grows to its working
/// size meanwhile. From then on λγ acts: after γ has fallen a thousandfold it still sends its budget, at a worker whose
/// step size is inside as well as at a server. It never adds to the error, but neither its λ nor the residual's size is
/// known beforehand, so it is not promised to be bounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardThreshold {
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Lambda(f64),
    Budget(Amount),
}

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "threshold",
    usage: "threshold:LAMBDA|unit-norm-budget=COUNT|budget=COUNT|ratio=RATIO",
    about: "every coordinate of magnitude λ or more; λ given, 1/(2√COUNT), or calibrated to a budget for every unit",
    equation: "C(x)_j = x_j where |x_j| ≥ λ, 0 elsewhere",
    source: "Rethinking Gradient Sparsification as Total Error Minimization, Sahu, Dutta, Abdelmoniem, Banerjee, Canini, Kalnis 2021",
    link: "https://arxiv.org/abs/2108.00951",
    defaults: &[],
    examples: &["threshold:0.5", "threshold:unit-norm-budget=100", "threshold:budget=3", "threshold:ratio=0.1"],
    parse: |args| {
        if let Some(k) = args.named("unit-norm-budget")? {
            return Ok(Arc::new(HardThreshold::budget(k)?));
        }
        Ok(Arc::new(match (args.named("budget")?, args.named("ratio")?) {
            (Some(k), _) => HardThreshold::calibrated(k)?,
            (None, Some(ratio)) => HardThreshold::calibrated_ratio(ratio)?,
            (None, None) => HardThreshold::new(args.required("lambda")?)?,
        }))
    },
};

impl HardThreshold {
    /// Keeps magnitudes of at least `lambda` > 0.
    ///
    /// # Errors
    /// Where `lambda` is not in (0, ∞).
    pub fn new(lambda: f64) -> Result<Self, ParameterError> {
        if lambda > 0.0 && lambda.is_finite() {
            Ok(Self { rule: Rule::Lambda(lambda) })
        } else {
            Err(ParameterError::Range { name: "lambda", value: lambda, allowed: "(0, ∞)" })
        }
    }

    /// λ = 1/(2√k) for a mean budget of k coordinates over the whole model, which presumes ‖p‖ ≈ 1.
    ///
    /// # Errors
    /// Where `k` is 0.
    pub fn budget(k: usize) -> Result<Self, ParameterError> {
        if k == 0 { Err(ParameterError::Zero("k")) } else { Self::new(0.5 / (k as f64).sqrt()) }
    }

    /// Calibrates λ, once, to about `k` coordinates a step for every unit: for the whole model under
    /// [`Scope::Global`](crate::Scope::Global).
    ///
    /// # Errors
    /// Where `k` is 0.
    pub fn calibrated(k: usize) -> Result<Self, ParameterError> {
        Ok(Self { rule: Rule::Budget(Amount::count(k)?) })
    }

    /// The same with ⌈ratio·d⌉ of a unit's d coordinates, so that units share a model's budget by their
    /// sizes.
    ///
    /// # Errors
    /// Where `ratio` is not in (0, 1].
    pub fn calibrated_ratio(ratio: f64) -> Result<Self, ParameterError> {
        Ok(Self { rule: Rule::Budget(Amount::ratio(ratio)?) })
    }
}

/// The memo's scalars: calibration steps so far, the largest of their thresholds in gradient units, the last
/// factor γ that was not 0.
fn calibrate(source: &mut Source<'_>, k: usize, memo: &mut Memo) -> Kept {
    if memo.scalars.len() != 3 {
        memo.scalars = vec![0.0, 0.0, 1.0];
    }
    if source.gain() != 0.0 {
        memo.scalars[2] = source.gain().abs();
    }
    let gain = memo.scalars[2];
    let steps = (source.len() / k.max(1)).clamp(16, 128);
    if memo.scalars[0] >= steps as f64 {
        return source.above((memo.scalars[1] * gain) as f32);
    }
    let kept = source.largest(k, memo);
    let least = kept.values.iter().fold(f32::INFINITY, |least, v| least.min(v.abs()));
    // Steps without any gradient say nothing.
    if least > 0.0 && least.is_finite() {
        memo.scalars[0] += 1.0;
        memo.scalars[1] = memo.scalars[1].max(f64::from(least) / gain);
    }
    kept
}

impl fmt::Display for HardThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Rule::Lambda(lambda) => write!(f, "threshold:{lambda}"),
            Rule::Budget(Amount::Count(k)) => write!(f, "threshold:budget={k}"),
            Rule::Budget(Amount::Ratio(ratio)) => write!(f, "threshold:ratio={ratio}"),
        }
    }
}

impl From<HardThreshold> for Feedback {
    fn from(c: HardThreshold) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for HardThreshold {
    /// What a calibrated λ leaves behind is not known beforehand.
    fn class(&self, unit: &Unit) -> Class {
        match self.rule {
            Rule::Lambda(lambda) => Class::Absolute(unit.len() as f64 * lambda * lambda),
            Rule::Budget(_) => Class::NonExpansive,
        }
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, memo: &mut Memo) -> Payload {
        let len = source.len();
        let kept = match self.rule {
            Rule::Lambda(lambda) => source.above(lambda as f32),
            Rule::Budget(amount) => calibrate(&mut source, amount.of(len), memo),
        };
        Sparse { len, indices: kept.indices, values: Values::F32(kept.values) }.into()
    }
}
