//! One step size a round, and each parameter's share of it.

use ::burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use backburn_compress::{Layout, Memo, Vector};

use crate::burn::found::Found;
use crate::burn::quietly::quietly;
use crate::host::ModelError;
use crate::method::{Role, Visitor};

/// A round's γ and, in the layout's order, the shares by which each parameter's step size differs from it; empty
/// where none does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StepSize {
    pub lr: f64,
    pub share: Vec<f32>,
}

impl StepSize {
    /// γ is the base step size; where that is 0 and others are not, the largest.
    ///
    /// A step size that is no number ≥ 0 becomes γ, so that the round refuses it.
    ///
    /// # Errors
    /// Where there is no step size at all: `ModuleLearningRate::default()`.
    pub fn new(
        lr: &ModuleLearningRate,
        layout: &Layout,
        found: &[Found],
        factor: impl Fn(&str, usize) -> f64,
    ) -> Result<Self, ModelError> {
        // Every other one has a group of all parameters.
        let base = quietly(|| lr.base()).ok_or(ModelError::NoStepSize)?;
        let of = |p: &backburn_compress::Parameter| {
            let found = found.iter().find(|f| f.path == p.path);
            let own = found.map_or(base, |f| lr.lr_from_param(f.id, Some(&p.path)));
            own * factor(&p.path, p.shape.len())
        };
        let sizes: Vec<f64> = layout.parameters().iter().map(of).collect();
        if let Some(wrong) = sizes.iter().find(|size| !(**size >= 0.0 && size.is_finite())) {
            return Ok(Self { lr: *wrong, share: Vec::new() });
        }
        let first = sizes.first().copied().unwrap_or(base);
        if sizes.iter().all(|size| *size == first) {
            return Ok(Self { lr: first, share: Vec::new() });
        }
        let base = if base > 0.0 { base } else { sizes.iter().copied().fold(0.0, f64::max) };
        Ok(Self { lr: base, share: sizes.iter().map(|size| (size / base) as f32).collect() })
    }

    /// A parameter's share.
    pub fn share(&self, index: usize) -> f32 {
        self.share.get(index).copied().unwrap_or(1.0)
    }
}

/// Brings what is owed into the units of other shares, so that share·e is conserved: e ← e·old/new.
pub(crate) struct Rescale<'a> {
    pub layout: &'a Layout,
    /// The factor on each parameter.
    pub factors: Vec<f32>,
}

impl Visitor for Rescale<'_> {
    fn vector(&mut self, _: &str, role: Role, x: &mut Vector) {
        if role == Role::Residual && x.len() == self.layout.len() {
            let x = x.as_mut_slice();
            for (p, factor) in self.layout.parameters().iter().zip(&self.factors).filter(|(_, f)| **f != 1.0) {
                x[p.range.clone()].iter_mut().for_each(|x| *x *= factor);
            }
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}
}
