use std::fmt;

use backburn_compress::spec::{Args, SpecError};
use backburn_compress::{Feedback, Layout, Memo, Message, ParameterError, decode_into, mean};

use super::{Entry, LocalGradient, dense};
use crate::spec::{unless, write_form};
use crate::{Algorithm, AnyAlgorithm, Ask, Buf, Cx, Decision, Inbox, Move, Next, Role, Seen, State, Visitor};

/// EF21 (Richtárik, Sokolov, Fatkhullin 2021) with an estimator of `ORDER` momentum averages
/// (Fatkhullin, Tyurin, Richtárik 2023): c_i = C(w_i − h_i), h_i ← h_i + c_i at the worker,
/// h ← h + mean c_i and x ← x − γh at everybody. What w_i is:
///
/// | `ORDER` | | w_i |
/// |---|---|---|
/// | 0 | [`Ef21Sgd`] | g_i |
/// | 1 | [`Ef21Sgdm`] | v_i = (1−η)v_i + ηg_i |
/// | 2 | [`Ef21Sgd2m`] | u_i = (1−η)u_i + ηv_i, with v_i as above |
///
/// A worker's first message is its first gradient itself, the mean of B_init minibatches, sent
/// dense: h_i = v_i = u_i = g_i. Step t uses the gradient at x_t and then moves, where the papers
/// move first: the iterates are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ef21<const ORDER: u8> {
    /// η ∈ (0, 1]; 1 where there is no momentum.
    eta: f64,
    /// B_init ≥ 1.
    b_init: usize,
    local: LocalGradient,
}

/// EF21 on the stochastic gradient itself. Its error does not shrink with n: see [`Ef21Sgdm`].
pub type Ef21Sgd = Ef21<0>;
/// EF21 on Polyak's momentum, Algorithm 1 of *Momentum Provably Improves Error Feedback!*.
pub type Ef21Sgdm = Ef21<1>;
/// EF21 on momentum taken twice.
pub type Ef21Sgd2m = Ef21<2>;

pub(super) const SGD: Entry = Entry {
    name: "ef21-sgd",
    usage: "ef21-sgd[:b-init=COUNT][,weight-decay=λ]",
    about: "EF21 on the stochastic gradient; the first message is dense, of B_init minibatches",
    examples: &["ef21-sgd", "ef21-sgd:b-init=4,weight-decay=0.0005"],
    parse: |args| Ok(AnyAlgorithm::new(Ef21Sgd::default().parsed(args)?)),
};

pub(super) const SGDM: Entry = Entry {
    name: "ef21-sgdm",
    usage: "ef21-sgdm[:eta=η][,b-init=COUNT][,weight-decay=λ]",
    about: "EF21 on momentum v ← (1−η)v + ηg, η = 0.1",
    examples: &["ef21-sgdm", "ef21-sgdm:eta=0.3,b-init=2"],
    parse: |args| Ok(AnyAlgorithm::new(Ef21Sgdm::new(args.named("eta")?.unwrap_or(ETA))?.parsed(args)?)),
};

pub(super) const SGD2M: Entry = Entry {
    name: "ef21-sgd2m",
    usage: "ef21-sgd2m[:eta=η][,b-init=COUNT][,weight-decay=λ]",
    about: "EF21 on momentum taken twice",
    examples: &["ef21-sgd2m", "ef21-sgd2m:eta=0.3"],
    parse: |args| Ok(AnyAlgorithm::new(Ef21Sgd2m::new(args.named("eta")?.unwrap_or(ETA))?.parsed(args)?)),
};

/// η where nothing is said.
const ETA: f64 = 0.1;

impl Default for Ef21Sgd {
    fn default() -> Self {
        Self { eta: 1.0, b_init: 1, local: LocalGradient::default() }
    }
}

impl Ef21Sgdm {
    /// η ∈ (0, 1].
    pub fn new(eta: f64) -> Result<Self, ParameterError> {
        Self::averaging(eta)
    }
}

impl Ef21Sgd2m {
    /// η ∈ (0, 1].
    pub fn new(eta: f64) -> Result<Self, ParameterError> {
        Self::averaging(eta)
    }
}

/// η ∈ (0, 1].
pub(super) fn check_eta(eta: f64) -> Result<f64, ParameterError> {
    if eta > 0.0 && eta <= 1.0 {
        Ok(eta)
    } else {
        Err(ParameterError::Range { name: "eta", value: eta, allowed: "(0, 1]" })
    }
}

impl<const ORDER: u8> Ef21<ORDER> {
    fn averaging(eta: f64) -> Result<Self, ParameterError> {
        Ok(Self { eta: check_eta(eta)?, b_init: 1, local: LocalGradient::default() })
    }

    /// The first message is the mean of so many minibatches, at least one.
    pub fn with_b_init(self, b_init: usize) -> Result<Self, ParameterError> {
        if b_init == 0 { Err(ParameterError::Zero("b-init")) } else { Ok(Self { b_init, ..self }) }
    }

    /// λ ≥ 0, in the local gradient.
    pub fn with_weight_decay(self, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: LocalGradient::new(0.0, weight_decay)?, ..self })
    }

    fn parsed(self, args: &mut Args) -> Result<Self, SpecError> {
        let b_init = args.named("b-init")?.unwrap_or(1);
        Ok(self.with_b_init(b_init)?.with_weight_decay(args.named("weight-decay")?.unwrap_or(0.0))?)
    }
}

impl<const ORDER: u8> fmt::Display for Ef21<ORDER> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, eta) = match ORDER {
            0 => ("ef21-sgd", String::new()),
            1 => ("ef21-sgdm", self.eta.to_string()),
            _ => ("ef21-sgd2m", self.eta.to_string()),
        };
        let [_, decay] = self.local.form();
        write_form(f, name, &[("eta", eta), ("b-init", unless(self.b_init, 1)), decay])
    }
}

/// v_i, u_i and h_i; empty before the first gradient, h_i before the first message that counted.
#[derive(Clone, Debug)]
pub struct Local {
    v: Buf,
    u: Buf,
    h: Buf,
    /// c_i, until it is known whether it counts.
    c: Option<Message>,
    memos: Vec<Memo>,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("v", Role::Momentum, &mut self.v);
        visitor.vector("u", Role::Momentum, &mut self.u);
        visitor.vector("h", Role::Tracker, &mut self.h);
        visitor.memos("compressor", &mut self.memos);
    }
}

/// h, the mean of the workers' h_i.
#[derive(Clone, Debug)]
pub struct Shared {
    h: Buf,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("h", Role::Tracker, &mut self.h);
    }
}

/// m ← (1−η)m + ηg, and g ← m; the first g is the first m.
fn average(m: &mut Buf, eta: f64, g: &mut Buf) {
    if m.is_empty() {
        m.clone_from(g);
        return;
    }
    let (keep, eta) = ((1.0 - eta) as f32, eta as f32);
    m.iter_mut().zip(g).for_each(|(m, g)| {
        *m = keep * *m + eta * *g;
        *g = *m;
    });
}

impl<const ORDER: u8> Algorithm for Ef21<ORDER> {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        let memos = vec![Memo::default(); cx.layout.units().len()];
        Local { v: Buf::new(), u: Buf::new(), h: Buf::new(), c: None, memos }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { h: vec![0.0; cx.layout.len()] }
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn ask(&self, local: &Local, _: &Shared, _: &[Message], _: &Cx<'_>) -> Vec<Ask> {
        vec![Ask::Gradient { at: None, batches: if local.h.is_empty() { self.b_init } else { 1 } }]
    }

    fn begin(&self, local: &mut Local, _: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let mut w = seen.take();
        self.local.decay(&mut w, cx);
        if ORDER >= 1 {
            average(&mut local.v, self.eta, &mut w);
        }
        if ORDER >= 2 {
            average(&mut local.u, self.eta, &mut w);
        }
        let c = if local.h.is_empty() {
            dense(&w, cx.layout)
        } else {
            w.iter_mut().zip(&local.h).for_each(|(w, h)| *w -= h);
            cx.compress(&w, &mut local.memos)
        };
        local.c = Some(c.clone());
        c
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let c = mean(inbox, cx.layout);
        let mut h = shared.h.clone();
        decode_into(&c, 1.0, &mut h, cx.layout);
        let moved = Move::Direction(dense(&h, cx.layout));
        Next::Done(Decision { heard: Some(c), kept: h, ..moved.into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Buf> {
        if let (Some(c), Some(_)) = (local.c.take(), decided) {
            local.h.resize(cx.layout.len(), 0.0);
            decode_into(&c, 1.0, &mut local.h, cx.layout);
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, _: &Cx<'_>) {
        shared.h = std::mem::take(&mut decided.kept);
    }
}
