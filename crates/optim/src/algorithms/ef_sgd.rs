use std::fmt;
use std::sync::Arc;

use backburn_compress::{Feedback, Layout, Message, ParameterError, Payload, mean};

use super::{Entry, LocalGradient, Momentum};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Buf, Cx, Decision, Inbox, Move, Next, Residual, Seen, State, Visitor};

/// EF-SGD. Step size inside (Karimireddy et al. 2019, Algorithm 2): p = γg_i + e_i, Δ_i = C(p),
/// e_i = p − Δ_i, x ← x − mean Δ_i; EF-signSGD is this with `sign:scaled`.
///
/// Step size outside (Avdiukhin, Yaroslavtsev 2021, Algorithm 1): p = g_i + e_i, q_i = C(p),
/// e_i = p − q_i, x ← x − γ·mean q_i. When γ changes, e_i ← e_i·γ_old/γ_new first, γ_old being the
/// last non-zero step size; at γ = 0 the gradient is dropped, nothing is sent, and e_i stays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EfSgd {
    local: LocalGradient,
    outside: bool,
}

pub(super) const ENTRY: Entry = Entry {
    name: "ef-sgd",
    usage: "ef-sgd[:momentum=β][,weight-decay=λ][,outside]",
    about: "error feedback, step size inside the error (or outside); with `sign:scaled` EF-signSGD",
    examples: &["ef-sgd", "ef-sgd:momentum=0.9,weight-decay=0.0005", "ef-sgd:outside"],
    parse: |args| {
        let outside = args.flag("outside");
        Ok(AnyAlgorithm::new(EfSgd { local: LocalGradient::parse(args)?, outside }))
    },
};

impl EfSgd {
    /// Momentum β ∈ [0, 1) and weight decay λ ≥ 0; step size inside.
    pub fn new(momentum: f64, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: LocalGradient::new(momentum, weight_decay)?, outside: false })
    }

    /// Keeps the step size outside of the error, so that any optimizer may follow.
    pub fn with_step_outside(self) -> Self {
        Self { outside: true, ..self }
    }
}

impl fmt::Display for EfSgd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [momentum, decay] = self.local.form();
        let outside = if self.outside { "outside".into() } else { String::new() };
        write_form(f, "ef-sgd", &[momentum, decay, ("", outside)])
    }
}

/// e_i, m_i, and the last non-zero step size.
#[derive(Clone, Debug)]
pub struct Local {
    momentum: Momentum,
    residual: Residual,
    lr: f64,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.momentum.visit(visitor, layout);
        visitor.residual("residual", &mut self.residual, layout);
        visitor.scalar("lr", &mut self.lr);
    }
}

/// The factor that keeps a residual of step size `old` conserved at step size `new`, both non-zero;
/// 1 before the first step. Bounded, lest a step size next to nothing turn a residual into ∞ for good.
pub(crate) fn rescale(old: f64, new: f64) -> f32 {
    const MOST: f64 = 1e12;
    if old == 0.0 { 1.0 } else { (old / new).min(MOST) as f32 }
}

/// A message that says nothing.
pub(crate) fn silence(layout: &Layout) -> Message {
    layout.units().iter().map(|u| Arc::new(Payload::zero(u.len()))).collect()
}

impl Algorithm for EfSgd {
    type Takes = Feedback;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { momentum: Momentum::default(), residual: Residual::new(cx.layout), lr: 0.0 }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        self.outside
    }

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        // Momentum moves on at γ = 0 too, as SGDM's does; it is the error that takes nothing in then.
        let g = self.local.prepare(&mut local.momentum, seen.take(), cx);
        if !self.outside {
            return local.residual.compress(1.0, cx.lr as f32, &g, cx);
        }
        if cx.lr == 0.0 {
            return silence(cx.layout);
        }
        let decay = rescale(local.lr, cx.lr);
        local.lr = cx.lr;
        local.residual.compress(decay, 1.0, &g, cx)
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let decided = mean(inbox, cx.layout);
        (if self.outside { Move::Direction(decided) } else { Move::Update(decided) }).into()
    }

    fn commit(&self, local: &mut Local, _: &(), decided: Option<&Decision>, _: &Cx<'_>) -> Option<Buf> {
        local.residual.settle(decided.is_some());
        None
    }
}
