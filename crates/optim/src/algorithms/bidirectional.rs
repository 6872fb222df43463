use backburn_compress::text::Form;
use backburn_compress::{Feedback, Layout, Memo, Message, Vector, mean};

use super::parts::with_local_gradient;
use super::{LocalGradient, Momentum};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Residual, Role, Seen, State,
    Visitor, Why, display_by_arguments,
};

/// EF-SGD compressed both ways ([Tang, Lian, Yu, Zhang, Liu 2019](https://arxiv.org/abs/1905.05957), DoubleSqueeze): the
/// workers as in [`EfSgd`](super::EfSgd) with the step size inside; the server has a residual of its own,
/// p = mean Δ_i + ẽ, δ = C(p), ẽ = p − δ, x ← x − δ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EfSgdBidirectional {
    local: LocalGradient,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "ef-sgd-bidirectional",
    usage: "ef-sgd-bidirectional[:momentum=β][,weight-decay=λ][,nesterov]",
    about: "error feedback at the workers and at the server, compressed both ways",
    equation: "Δ_i as under ef-sgd; p = mean Δ_i + ẽ, δ = C(p), ẽ = p − δ, x ← x − δ",
    source: "DoubleSqueeze: Parallel Stochastic Gradient Descent with Double-Pass Error-Compensated Compression, Tang, Lian, Yu, Zhang, Liu 2019",
    link: "https://arxiv.org/abs/1905.05957",
    defaults: &[("momentum=0", "β"), ("weight-decay=0", "λ")],
    examples: &[
        "ef-sgd-bidirectional",
        "ef-sgd-bidirectional:momentum=0.9",
        "ef-sgd-bidirectional:momentum=0.5,weight-decay=0.01,nesterov",
    ],
    parse: |args| Ok(AnyAlgorithm::new(EfSgdBidirectional::of(LocalGradient::parse(args)?))),
};

impl EfSgdBidirectional {
    /// Without momentum or weight decay.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn of(local: LocalGradient) -> Self {
        Self { local }
    }
}

with_local_gradient!(EfSgdBidirectional, local);
display_by_arguments!(EfSgdBidirectional, FORM.name);

/// m_i and e_i.
#[derive(Clone, Debug)]
pub struct Local {
    momentum: Momentum,
    residual: Residual,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.momentum.visit(visitor, layout);
        visitor.residual("residual", &mut self.residual, layout);
    }
}

/// ẽ, and what the server's compressor remembers.
#[derive(Clone, Debug)]
pub struct Shared {
    residual: Vector,
    memos: Vec<Memo>,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("residual", Role::Residual, &mut self.residual);
        visitor.memos("compressor", &mut self.memos);
    }
}

impl Algorithm for EfSgdBidirectional {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { momentum: Momentum::default(), residual: Residual::new(cx.layout) }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { residual: Vector::zeros(cx.layout.len()), memos: cx.memos() }
    }

    fn arguments(&self) -> Vec<Argument> {
        self.local.arguments().into()
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Ok(Conserves::Inside)
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { local: self.local.rules(), ..Parent::default() })
    }

    fn begin(&self, local: &mut Local, _: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let g = self.local.prepare(&mut local.momentum, seen.take(), cx);
        local.residual.compress(1.0, cx.lr as f32, &g, cx)
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let mut p = shared.residual.clone();
        p.add_decoded(1.0, &mean(inbox, cx.layout), cx.layout);
        let mut memos = shared.memos.clone();
        let delta = cx.compress_down(&p, cx.lr, &mut memos);
        p.add_decoded(-1.0, &delta, cx.layout);
        Next::Done(Decision { memos, kept: p, ..Move::Update(delta).into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
        local.residual.settle(decided.is_some());
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, _: &Cx<'_>) {
        shared.residual = std::mem::take(&mut decided.kept);
        shared.memos = std::mem::take(&mut decided.memos);
    }
}
