//! A residual whose step size is kept outside.

use backburn_compress::Layout;

use super::ef_sgd::rescale;
use crate::{Cx, Residual, State, Visitor};

/// e_i in units of gradients, with the last non-zero step size: e_i ← e_i·γ_old/γ_new conserves
/// what is owed when γ changes.
#[derive(Clone, Debug)]
pub struct Outside {
    pub(super) residual: Residual,
    lr: f64,
}

impl Outside {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { residual: Residual::new(layout), lr: 0.0 }
    }

    /// The factor on e_i in this step; `None` at γ = 0, where nothing is sent and e_i stays.
    pub(super) fn decay(&mut self, cx: &Cx<'_>) -> Option<f32> {
        if cx.lr == 0.0 {
            return None;
        }
        let decay = rescale(self.lr, cx.lr);
        self.lr = cx.lr;
        Some(decay)
    }
}

impl State for Outside {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.residual("residual", &mut self.residual, layout);
        visitor.scalar("lr", &mut self.lr);
    }
}
