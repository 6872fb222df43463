use std::fmt;

use backburn_compress::{Feedback, Layout, Memo, Message, ParameterError, compress, decode_into, mean};

use super::{Entry, LocalGradient, Momentum};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Buf, Cx, Decision, Inbox, Move, Next, Residual, Role, Seen, State, Visitor};

/// EF-SGD compressed both ways (Tang et al. 2019, DoubleSqueeze): the workers as in
/// [`EfSgd`](super::EfSgd) with the step size inside; the server has a residual of its own,
/// p = mean Δ_i + ẽ, δ = C(p), ẽ = p − δ, x ← x − δ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EfSgdBidirectional {
    local: LocalGradient,
}

pub(super) const ENTRY: Entry = Entry {
    name: "ef-sgd-bidirectional",
    usage: "ef-sgd-bidirectional[:momentum=β][,weight-decay=λ]",
    about: "error feedback at the workers and at the server, compressed both ways",
    examples: &["ef-sgd-bidirectional", "ef-sgd-bidirectional:momentum=0.9"],
    parse: |args| Ok(AnyAlgorithm::new(EfSgdBidirectional { local: LocalGradient::parse(args)? })),
};

impl EfSgdBidirectional {
    /// Momentum β ∈ [0, 1) and weight decay λ ≥ 0.
    pub fn new(momentum: f64, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: LocalGradient::new(momentum, weight_decay)? })
    }

    pub(super) fn of(local: LocalGradient) -> Self {
        Self { local }
    }

    pub(super) fn form(&self) -> [(&'static str, String); 2] {
        self.local.form()
    }
}

impl fmt::Display for EfSgdBidirectional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_form(f, "ef-sgd-bidirectional", &self.form())
    }
}

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
    residual: Buf,
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
        Shared { residual: vec![0.0; cx.layout.len()], memos: vec![Memo::default(); cx.layout.units().len()] }
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn begin(&self, local: &mut Local, _: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let g = self.local.prepare(&mut local.momentum, seen.take(), cx);
        local.residual.compress(1.0, cx.lr as f32, &g, cx)
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let mut p = shared.residual.clone();
        decode_into(&mean(inbox, cx.layout), 1.0, &mut p, cx.layout);
        let mut memos = shared.memos.clone();
        let delta = compress(cx.compressor, &p, cx.layout, &cx.key_down(), &mut memos);
        decode_into(&delta, -1.0, &mut p, cx.layout);
        Next::Done(Decision { memos, kept: p, ..Move::Update(delta).into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, _: &Cx<'_>) -> Option<Buf> {
        local.residual.settle(decided.is_some());
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, _: &Cx<'_>) {
        shared.residual = std::mem::take(&mut decided.kept);
        shared.memos = std::mem::take(&mut decided.memos);
    }
}
