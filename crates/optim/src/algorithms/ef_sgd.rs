use backburn_compress::text::Form;
use backburn_compress::{Feedback, Layout, Message, ParameterError, Vector, mean};

use super::parts::{Units, silence, with_local_gradient};
use super::{LocalGradient, Momentum};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Residual, Seen, State,
    Visitor, Why, chained, display_by_arguments,
};

/// EF-SGD. Step size inside ([Karimireddy, Rebjock, Stich, Jaggi 2019](https://arxiv.org/abs/1901.09847), Algorithm 2):
/// p = γg_i + e_i, Δ_i = C(p), e_i = p − Δ_i, x ← x − mean Δ_i; EF-signSGD is this with `sign:scaled`.
///
/// Step size outside ([Avdiukhin, Yaroslavtsev 2021](https://arxiv.org/abs/2105.10090), Algorithm 1): p = g_i + e_i,
/// q_i = C(p), e_i = p − q_i, x ← x − γ·mean q_i. When γ changes, e_i ← e_i·γ_old/γ_new first, γ_old being the last
/// step size that was one; at γ = 0, and where γ is next to nothing beside γ_old, the gradient is dropped, nothing is
/// sent, and e_i stays.
///
/// With a decay β < 1 it forgets: e_i ← βe_i before g_i is added. So nothing is conserved, but a residual of steps long
/// ago, as local steps leave it, does not come back as a gradient of now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EfSgd {
    local: LocalGradient,
    outside: bool,
    /// β ∈ (0, 1], of the residual.
    decay: f64,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "ef-sgd",
    usage: "ef-sgd[:momentum=β][,weight-decay=λ][,nesterov][,outside][,decay=β]",
    about: "error feedback, step size inside the error (or outside); with `sign:scaled` EF-signSGD",
    equation: "p = γg_i + e_i, Δ_i = C(p), e_i = p − Δ_i, x ← x − mean Δ_i; outside p = g_i + e_i, x ← x − γ·mean Δ_i",
    source: "Error Feedback Fixes SignSGD and other Gradient Compression Schemes, Karimireddy, Rebjock, Stich, Jaggi 2019",
    link: "https://arxiv.org/abs/1901.09847",
    defaults: &[("momentum=0", "β"), ("weight-decay=0", "λ"), ("decay=1", "the residual's factor before each step")],
    examples: &[
        "ef-sgd",
        "ef-sgd:momentum=0.9,weight-decay=0.0005",
        "ef-sgd:outside",
        "ef-sgd:momentum=0.9,nesterov,outside",
        "ef-sgd:outside,decay=0.95",
    ],
    parse: |args| {
        let outside = args.flag("outside");
        let ef_sgd = EfSgd { local: LocalGradient::parse(args)?, outside, ..EfSgd::new() };
        Ok(AnyAlgorithm::new(ef_sgd.with_decay(args.named("decay")?.unwrap_or(1.0))?))
    },
};

impl Default for EfSgd {
    fn default() -> Self {
        Self { local: LocalGradient::default(), outside: false, decay: 1.0 }
    }
}

impl EfSgd {
    /// Step size inside, without momentum or weight decay.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the step size outside of the error, so that any optimizer may follow.
    pub fn with_step_outside(self) -> Self {
        Self { outside: true, ..self }
    }

    /// e_i ← βe_i before each step.
    ///
    /// # Errors
    /// Where β is outside (0, 1].
    pub fn with_decay(self, decay: f64) -> Result<Self, ParameterError> {
        if decay > 0.0 && decay <= 1.0 {
            Ok(Self { decay, ..self })
        } else {
            Err(ParameterError::Range { name: "decay", value: decay, allowed: "(0, 1]" })
        }
    }
}

with_local_gradient!(EfSgd, local);
display_by_arguments!(EfSgd, FORM.name);

/// e_i, m_i, and the last non-zero step size.
#[derive(Clone, Debug)]
pub struct Local {
    momentum: Momentum,
    residual: Residual,
    units: Units,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.momentum.visit(visitor, layout);
        visitor.residual("residual", &mut self.residual, layout);
        self.units.visit(visitor, layout);
    }
}

impl Algorithm for EfSgd {
    type Takes = Feedback;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { momentum: Momentum::default(), residual: Residual::new(cx.layout), units: Units::default() }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn arguments(&self) -> Vec<Argument> {
        let decay = Argument::unless("decay", self.decay, 1.0);
        chained(self.local.arguments(), [Argument::word("outside", self.outside), decay])
    }

    fn hears_mean(&self) -> bool {
        true
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        self.outside
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        match self.decay < 1.0 {
            true => Err("a residual that decays forgets"),
            false if self.outside => Ok(Conserves::Outside),
            false => Ok(Conserves::Inside),
        }
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { local: self.local.rules(), ..Parent::default() })
    }

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        // Momentum moves on at γ = 0 too, as SGDM's does; it is the error that takes nothing in then.
        let g = self.local.prepare(&mut local.momentum, seen.take(), cx);
        let decay = self.decay as f32;
        if !self.outside {
            return local.residual.compress(decay, cx.lr as f32, &g, cx);
        }
        match local.units.rescale(cx.lr) {
            None => silence(cx.layout),
            Some(factor) => local.residual.compress(factor * decay, 1.0, &g, cx),
        }
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let decided = mean(inbox, cx.layout);
        (if self.outside { Move::Direction(decided) } else { Move::Update(decided) }).into()
    }

    fn commit(&self, local: &mut Local, _: &(), decided: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
        local.residual.settle(decided.is_some());
        None
    }
}
