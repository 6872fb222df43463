//! What is kept in units of gradients, with the step size outside.

use std::sync::Arc;

use backburn_compress::{Layout, Message, Payload};

use crate::method::{Cx, Residual, State, Visitor};

/// The last step size that was one: what it makes of a vector of gradients is conserved when γ changes, by
/// e ← e·γ_old/γ_new.
#[derive(Clone, Copy, Debug, Default)]
pub struct Units {
    /// 0 before the first step.
    lr: f64,
}

impl Units {
    /// How far γ may fall and still be a step size: what f32 holds stays finite, and beyond it a gradient's share is
    /// nothing beside what is owed.
    const MOST: f64 = (1u64 << 60) as f64;

    /// Whether γ is a step size: not at 0, nor where γ is next to nothing beside the last one, which is the same.
    pub(crate) fn moves(&self, lr: f64) -> bool {
        lr as f32 != 0.0 && self.lr <= lr * Self::MOST
    }

    /// The factor γ_old/γ on what is kept, and on to units of γ; `None` where γ is no step size: then what is kept stays
    /// as it is.
    pub(crate) fn rescale(&mut self, lr: f64) -> Option<f32> {
        self.moves(lr).then(|| self.convert(lr))
    }

    /// The same where others have found γ to be a step size.
    pub(crate) fn convert(&mut self, lr: f64) -> f32 {
        let old = std::mem::replace(&mut self.lr, lr);
        if old == 0.0 { 1.0 } else { (old / lr) as f32 }
    }
}

impl State for Units {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.step_size(&mut self.lr);
    }
}

/// A message that says nothing.
pub(crate) fn silence(layout: &Layout) -> Message {
    layout.units().iter().map(|u| Arc::new(Payload::zero(u.len()))).collect()
}

/// e_i in units of gradients.
#[derive(Clone, Debug)]
pub struct Outside {
    pub(crate) residual: Residual,
    units: Units,
}

impl Outside {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { residual: Residual::new(layout), units: Units::default() }
    }

    /// The factor on e_i in this step; `None` where nothing is sent and e_i stays.
    pub(crate) fn rescale(&mut self, cx: &Cx<'_>) -> Option<f32> {
        self.units.rescale(cx.lr)
    }

    /// The same where others have found γ to be a step size.
    pub(crate) fn convert(&mut self, cx: &Cx<'_>) -> f32 {
        self.units.convert(cx.lr)
    }
}

impl State for Outside {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.residual("residual", &mut self.residual, layout);
        self.units.visit(visitor, layout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_size_next_to_nothing_is_none() {
        let mut units = Units::default();
        let factors: Vec<_> = [0.0, 1.0, 1e-14, 0.0, 1e-60, 0.5, 1e-30, 1.0].map(|lr| units.rescale(lr)).into();
        assert_eq!(factors, [None, Some(1.0), Some(1e14), None, None, Some(2e-14), None, Some(0.5)]);
    }
}
