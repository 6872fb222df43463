//! The gradient that a worker works on: weight decay first, then momentum, both before compression.

use std::borrow::Cow;

use backburn_compress::text::{Args, TextError};
use backburn_compress::{Layout, ParameterError, Vector};

use crate::method::{Argument, Cx, Role, Rule, State, Visitor};

/// How a worker's gradient is prepared: g ← g + λx, then m ← βm + g with m₀ = g (PyTorch's
/// convention, dampening 0) and g ← m, or with Nesterov's look ahead g ← g + βm
/// ([Sutskever, Martens, Dahl, Hinton 2013](https://proceedings.mlr.press/v28/sutskever13.html), as PyTorch writes it).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LocalGradient {
    /// β ∈ [0, 1); 0 is no momentum.
    momentum: f64,
    /// λ ≥ 0.
    weight_decay: f64,
    /// Whether d = g + βm instead of m.
    nesterov: bool,
}

impl LocalGradient {
    /// The gradient as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// m ← βm + g.
    ///
    /// # Errors
    /// Where β is outside [0, 1).
    pub fn with_momentum(self, momentum: f64) -> Result<Self, ParameterError> {
        if !(0.0..1.0).contains(&momentum) {
            return Err(ParameterError::Range { name: "momentum", value: momentum, allowed: "[0, 1)" });
        }
        Ok(Self { momentum, ..self })
    }

    /// g ← g + λx.
    ///
    /// # Errors
    /// Where λ is negative or not finite.
    pub fn with_weight_decay(self, weight_decay: f64) -> Result<Self, ParameterError> {
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return Err(ParameterError::Range { name: "weight-decay", value: weight_decay, allowed: "[0, ∞)" });
        }
        Ok(Self { weight_decay, ..self })
    }

    /// g + βm instead of m; without momentum that is g.
    pub fn with_nesterov(self) -> Self {
        Self { nesterov: true, ..self }
    }

    /// β.
    pub fn momentum(&self) -> f64 {
        self.momentum
    }

    /// λ.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    /// Whether it looks ahead.
    pub fn is_nesterov(&self) -> bool {
        self.nesterov && self.momentum != 0.0
    }

    /// Whether it reads x.
    pub fn needs_x(&self) -> bool {
        self.weight_decay != 0.0
    }

    pub(crate) fn parse(args: &mut Args) -> Result<Self, TextError> {
        let local = Self::new().with_momentum(args.named("momentum")?.unwrap_or(0.0))?;
        let local = local.with_decay_of(args)?;
        match args.flag("nesterov") {
            true if local.momentum == 0.0 => {
                Err(TextError::Refused("`nesterov` looks ahead along a momentum: set one".into()))
            }
            true => Ok(local.with_nesterov()),
            false => Ok(local),
        }
    }

    /// The weight decay alone, for methods with a momentum of their own.
    pub(crate) fn with_decay_of(self, args: &mut Args) -> Result<Self, TextError> {
        Ok(self.with_weight_decay(args.named("weight-decay")?.unwrap_or(0.0))?)
    }

    pub(crate) fn arguments(&self) -> [Argument; 3] {
        let momentum = Argument::unless("momentum", self.momentum, 0.0);
        [momentum, self.decay_argument(), Argument::word("nesterov", self.is_nesterov())]
    }

    pub(crate) fn decay_argument(&self) -> Argument {
        Argument::unless("weight-decay", self.weight_decay, 0.0)
    }

    /// What it does, for the laws.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let decay = (self.weight_decay != 0.0).then_some(Rule::Decay(self.weight_decay));
        let rule = if self.nesterov { Rule::Nesterov } else { Rule::Momentum };
        decay.into_iter().chain((self.momentum != 0.0).then_some(rule(self.momentum))).collect()
    }

    /// The gradient as the method is to see it, with `state` moved on: the momentum itself where that is it.
    pub fn prepare<'m>(&self, state: &'m mut Momentum, mut g: Vector, cx: &Cx<'_>) -> Cow<'m, Vector> {
        self.decay(&mut g, cx);
        if self.momentum == 0.0 {
            return Cow::Owned(g);
        }
        self.gather(&mut state.m, &g);
        if self.nesterov {
            g.axpy(self.momentum as f32, &state.m);
            return Cow::Owned(g);
        }
        Cow::Borrowed(&state.m)
    }

    /// m ← βm + g and g ← m, or g + βm; m₀ = g.
    pub(crate) fn accelerate(&self, m: &mut Vector, g: &mut Vector) {
        if self.momentum == 0.0 {
            return;
        }
        self.gather(m, g);
        if self.nesterov { g.axpy(self.momentum as f32, m) } else { g.clone_from(m) }
    }

    /// m ← βm + g; m₀ = g.
    fn gather(&self, m: &mut Vector, g: &Vector) {
        if m.is_empty() {
            m.clone_from(g);
        } else {
            m.scale_add(self.momentum as f32, g);
        }
    }

    /// g ← g + λx.
    pub fn decay(&self, g: &mut Vector, cx: &Cx<'_>) {
        if self.weight_decay != 0.0 {
            g.axpy(self.weight_decay as f32, cx.x);
        }
    }
}

/// The builders of a method whose field of this name is its [`LocalGradient`].
macro_rules! with_local_gradient {
    ($method:ty, $field:ident) => {
        impl $method {
            /// m ← βm + g, before compression.
            ///
            /// # Errors
            /// Where β is outside [0, 1).
            pub fn with_momentum(mut self, momentum: f64) -> Result<Self, backburn_compress::ParameterError> {
                self.$field = self.$field.with_momentum(momentum)?;
                Ok(self)
            }

            /// g ← g + λx, before momentum.
            ///
            /// # Errors
            /// Where λ is negative or not finite.
            pub fn with_weight_decay(mut self, weight_decay: f64) -> Result<Self, backburn_compress::ParameterError> {
                self.$field = self.$field.with_weight_decay(weight_decay)?;
                Ok(self)
            }

            /// g + βm instead of m, as PyTorch has it.
            pub fn with_nesterov(mut self) -> Self {
                self.$field = self.$field.with_nesterov();
                self
            }
        }
    };
}
pub(crate) use with_local_gradient;

/// A worker's momentum m; empty before the first step and where β = 0.
#[derive(Clone, Debug, Default)]
pub struct Momentum {
    m: Vector,
}

impl State for Momentum {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("momentum", Role::Momentum, &mut self.m);
    }
}
