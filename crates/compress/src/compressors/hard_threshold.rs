use std::fmt;
use std::sync::Arc;

use super::{Amount, Entry};
use crate::kernels::select::{self, Kept};
use crate::payload::Values;
use crate::sweep::Source;
use crate::{Class, Compressor, Feedback, Key, Memo, ParameterError, Payload, Unit, Update};

/// C(x) keeps |x_j| ≥ λ: an absolute compressor, κ² ≤ dλ² (Sahu et al. 2021, *Rethinking gradient
/// sparsification as total error minimization*).
///
/// A λ that is given acts on p as it is. A λ that is calibrated to a budget of k is found on the first d/k steps, but
/// no fewer than 16 and no more than 128, in units of the gradient: these send the k largest coordinates, as top-k does,
/// and λ becomes the largest of their smallest magnitudes, each divided by the gradient's factor γ, since the residual
/// grows to its working size meanwhile. From then on λγ acts on p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardThreshold {
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Lambda(f64),
    Budget(Amount),
}

pub(super) const ENTRY: Entry = Entry {
    name: "threshold",
    usage: "threshold:LAMBDA|unit-norm-budget=COUNT|budget=COUNT|ratio=RATIO",
    about: "every coordinate of magnitude λ or more; λ given, 1/(2√COUNT), or calibrated to a budget for every unit",
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
    pub fn new(lambda: f64) -> Result<Self, ParameterError> {
        if lambda > 0.0 && lambda.is_finite() {
            Ok(Self { rule: Rule::Lambda(lambda) })
        } else {
            Err(ParameterError::Range { name: "lambda", value: lambda, allowed: "(0, ∞)" })
        }
    }

    /// λ = 1/(2√k) for a mean budget of k coordinates over the whole model, which presumes ‖p‖ ≈ 1.
    pub fn budget(k: usize) -> Result<Self, ParameterError> {
        if k == 0 { Err(ParameterError::Zero("k")) } else { Self::new(0.5 / (k as f64).sqrt()) }
    }

    /// Calibrates λ, once, to about `k` coordinates a step for every unit: for the whole model under
    /// [`Scope::Global`](crate::Scope::Global).
    pub fn calibrated(k: usize) -> Result<Self, ParameterError> {
        Ok(Self { rule: Rule::Budget(Amount::count(k)?) })
    }

    /// The same with ⌈ratio·d⌉ of a unit's d coordinates, so that units share a model's budget by their
    /// sizes.
    pub fn calibrated_ratio(ratio: f64) -> Result<Self, ParameterError> {
        Ok(Self { rule: Rule::Budget(Amount::ratio(ratio)?) })
    }

    fn of(&self, source: Source<'_>, gain: f64, memo: &mut Memo) -> Payload {
        let len = source.len();
        let kept = match self.rule {
            Rule::Lambda(lambda) => select::above(source, lambda as f32),
            Rule::Budget(amount) => calibrate(source, amount.of(len), gain, memo),
        };
        Payload::Sparse { len, indices: kept.indices, values: Values::F32(kept.values) }
    }
}

/// The memo's scalars: calibration steps so far, the largest of their thresholds in gradient units, the last
/// factor γ that was not 0.
fn calibrate(source: Source<'_>, k: usize, gain: f64, memo: &mut Memo) -> Kept {
    if memo.scalars.len() != 3 {
        memo.scalars = vec![0.0, 0.0, 1.0];
    }
    if gain != 0.0 {
        memo.scalars[2] = gain.abs();
    }
    let gain = memo.scalars[2];
    let steps = (source.len() / k.max(1)).clamp(16, 128);
    if memo.scalars[0] >= steps as f64 {
        return select::above(source, (memo.scalars[1] * gain) as f32);
    }
    let kept = select::largest(source, k, &mut memo.scratch);
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
    /// A calibrated κ is not known beforehand: ∞.
    fn class(&self, unit: &Unit) -> Class {
        match self.rule {
            Rule::Lambda(lambda) => Class::Absolute(unit.len() as f64 * lambda * lambda),
            Rule::Budget(_) => Class::Absolute(f64::INFINITY),
        }
    }

    fn compress(&self, x: &[f32], _: &Unit, _: &Key, memo: &mut Memo) -> Payload {
        self.of(Source::Still(x), 1.0, memo)
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, _: &Key, memo: &mut Memo) -> Payload {
        self.of(Source::moving(p, update), f64::from(update.gain), memo)
    }
}
