//! The gradient that a worker works on: weight decay first, then momentum, both before compression.

use backburn_compress::spec::{Args, SpecError};
use backburn_compress::{Layout, ParameterError};

use crate::{Buf, Cx, Role, State, Visitor};

/// How a worker's gradient is prepared: g ← g + λx, then m ← βm + g with m₀ = g (PyTorch's
/// convention, dampening 0).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LocalGradient {
    /// β ∈ [0, 1); 0 is no momentum.
    momentum: f64,
    /// λ ≥ 0.
    weight_decay: f64,
}

impl LocalGradient {
    /// β ∈ [0, 1) and λ ≥ 0.
    pub fn new(momentum: f64, weight_decay: f64) -> Result<Self, ParameterError> {
        if !(0.0..1.0).contains(&momentum) {
            return Err(ParameterError::Range { name: "momentum", value: momentum, allowed: "[0, 1)" });
        }
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return Err(ParameterError::Range { name: "weight-decay", value: weight_decay, allowed: "[0, ∞)" });
        }
        Ok(Self { momentum, weight_decay })
    }

    /// β.
    pub fn momentum(&self) -> f64 {
        self.momentum
    }

    /// λ.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    /// Whether it reads x.
    pub fn needs_x(&self) -> bool {
        self.weight_decay != 0.0
    }

    pub(crate) fn parse(args: &mut Args) -> Result<Self, SpecError> {
        let momentum = args.named("momentum")?.unwrap_or(0.0);
        Ok(Self::new(momentum, args.named("weight-decay")?.unwrap_or(0.0))?)
    }

    pub(crate) fn form(&self) -> [(&'static str, String); 2] {
        use crate::spec::unless;
        [("momentum", unless(self.momentum, 0.0)), ("weight-decay", unless(self.weight_decay, 0.0))]
    }

    /// The gradient as the method is to see it, with `state` moved on.
    pub fn prepare(&self, state: &mut Momentum, mut g: Buf, cx: &Cx<'_>) -> Buf {
        self.decay(&mut g, cx);
        if self.momentum != 0.0 {
            let beta = self.momentum as f32;
            if state.m.is_empty() {
                state.m.clone_from(&g);
            } else {
                state.m.iter_mut().zip(&mut g).for_each(|(m, g)| {
                    *m = beta * *m + *g;
                    *g = *m;
                });
            }
        }
        g
    }

    /// g ← g + λx.
    pub fn decay(&self, g: &mut [f32], cx: &Cx<'_>) {
        if self.weight_decay != 0.0 {
            let lambda = self.weight_decay as f32;
            g.iter_mut().zip(cx.x).for_each(|(g, x)| *g += lambda * x);
        }
    }
}

/// A worker's momentum m; empty before the first step and where β = 0.
#[derive(Clone, Debug, Default)]
pub struct Momentum {
    m: Buf,
}

impl State for Momentum {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("momentum", Role::Momentum, &mut self.m);
    }
}
