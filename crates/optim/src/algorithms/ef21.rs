use backburn_compress::text::{Args, Form, TextError};
use backburn_compress::{Feedback, Layout, Memo, Message, ParameterError, Vector, mean};

use super::LocalGradient;
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Ask, Conserves, Cx, Decision, Draw, Inbox, Move, Next, Parent, Role, Rule, Seen,
    State, Visitor, Why,
};

/// EF21 ([Richtárik, Sokolov, Fatkhullin 2021](https://arxiv.org/abs/2106.05203)) with an estimator of `ORDER` momentum
/// averages ([Fatkhullin, Tyurin, Richtárik 2023](https://arxiv.org/abs/2305.15155)): c_i = C(w_i − h_i), h_i ← h_i + c_i at the worker,
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

const MOMENTUM: &str = "Momentum Provably Improves Error Feedback!, Fatkhullin, Tyurin, Richtárik 2023";

pub(super) static SGD: Form<AnyAlgorithm> = Form {
    name: "ef21-sgd",
    usage: "ef21-sgd[:b-init=COUNT][,weight-decay=λ]",
    about: "EF21 on the stochastic gradient; the first message is dense, of B_init minibatches",
    equation: "c_i = C(g_i − h_i), h_i ← h_i + c_i; h ← h + mean c_i, x ← x − γh",
    source: "EF21: A New, Simpler, Theoretically Better, and Practically Faster Error Feedback, Richtárik, Sokolov, Fatkhullin 2021",
    link: "https://arxiv.org/abs/2106.05203",
    defaults: &[("b-init=1", "minibatches of the first gradient"), ("weight-decay=0", "λ")],
    examples: &["ef21-sgd", "ef21-sgd:b-init=4,weight-decay=0.0005"],
    parse: |args| Ok(AnyAlgorithm::new(Ef21Sgd::new().parsed(args)?)),
};

pub(super) static SGDM: Form<AnyAlgorithm> = Form {
    name: "ef21-sgdm",
    usage: "ef21-sgdm[:eta=η][,b-init=COUNT][,weight-decay=λ]",
    about: "EF21 on momentum v ← (1−η)v + ηg",
    equation: "v_i ← (1−η)v_i + ηg_i, c_i = C(v_i − h_i), h_i ← h_i + c_i; h ← h + mean c_i, x ← x − γh",
    source: MOMENTUM,
    link: "https://arxiv.org/abs/2305.15155",
    defaults: &[("eta=0.1", "η"), ("b-init=1", "minibatches of the first gradient"), ("weight-decay=0", "λ")],
    examples: &["ef21-sgdm", "ef21-sgdm:eta=0.3,b-init=2", "ef21-sgdm:eta=0.3,weight-decay=0.01"],
    parse: |args| Ok(AnyAlgorithm::new(Ef21Sgdm::new(args.named("eta")?.unwrap_or(ETA))?.parsed(args)?)),
};

pub(super) static SGD2M: Form<AnyAlgorithm> = Form {
    name: "ef21-sgd2m",
    usage: "ef21-sgd2m[:eta=η][,b-init=COUNT][,weight-decay=λ]",
    about: "EF21 on momentum taken twice",
    equation: "v_i ← (1−η)v_i + ηg_i, u_i ← (1−η)u_i + ηv_i, c_i = C(u_i − h_i), the rest as under ef21-sgdm",
    source: MOMENTUM,
    link: "https://arxiv.org/abs/2305.15155",
    defaults: &[("eta=0.1", "η"), ("b-init=1", "minibatches of the first gradient"), ("weight-decay=0", "λ")],
    examples: &["ef21-sgd2m", "ef21-sgd2m:eta=0.3,weight-decay=0.01"],
    parse: |args| Ok(AnyAlgorithm::new(Ef21Sgd2m::new(args.named("eta")?.unwrap_or(ETA))?.parsed(args)?)),
};

/// η where nothing is said.
const ETA: f64 = 0.1;

impl Ef21Sgd {
    /// On the gradient itself.
    pub fn new() -> Self {
        Self { eta: 1.0, b_init: 1, local: LocalGradient::default() }
    }
}

impl Default for Ef21Sgd {
    fn default() -> Self {
        Self::new()
    }
}

impl Ef21Sgdm {
    /// On momentum of weight η.
    ///
    /// # Errors
    /// Where η is outside (0, 1].
    pub fn new(eta: f64) -> Result<Self, ParameterError> {
        Self::averaging(eta)
    }
}

impl Ef21Sgd2m {
    /// On momentum of weight η, twice.
    ///
    /// # Errors
    /// Where η is outside (0, 1].
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

    /// The first message is the mean of so many minibatches.
    ///
    /// # Errors
    /// Where they are none.
    pub fn with_b_init(self, b_init: usize) -> Result<Self, ParameterError> {
        if b_init == 0 { Err(ParameterError::Zero("b-init")) } else { Ok(Self { b_init, ..self }) }
    }

    /// g ← g + λx, before all else.
    ///
    /// # Errors
    /// Where λ is negative or not finite.
    pub fn with_weight_decay(self, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: self.local.with_weight_decay(weight_decay)?, ..self })
    }

    fn parsed(self, args: &mut Args) -> Result<Self, TextError> {
        let parsed = self.with_b_init(args.named("b-init")?.unwrap_or(1))?;
        Ok(Self { local: self.local.with_decay_of(args)?, ..parsed })
    }
}

impl<const ORDER: u8> std::fmt::Display for Ef21<ORDER> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Argument::write(f, [SGD.name, SGDM.name, SGD2M.name][usize::from(ORDER.min(2))], &self.arguments())
    }
}

/// v_i, u_i and h_i; empty before the first gradient, h_i before the first message that counted.
#[derive(Clone, Debug)]
pub struct Local {
    v: Vector,
    u: Vector,
    h: Vector,
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
    h: Vector,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("h", Role::Tracker, &mut self.h);
    }
}

/// m ← (1−η)m + ηg, and g ← m; the first g is the first m.
fn average(m: &mut Vector, eta: f64, g: &mut Vector) {
    if m.is_empty() {
        m.clone_from(g);
        return;
    }
    m.blend((1.0 - eta) as f32, eta as f32, g);
    g.clone_from(m);
}

impl<const ORDER: u8> Algorithm for Ef21<ORDER> {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { v: Vector::new(), u: Vector::new(), h: Vector::new(), c: None, memos: cx.memos() }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { h: Vector::zeros(cx.layout.len()) }
    }

    fn arguments(&self) -> Vec<Argument> {
        let eta = (ORDER > 0).then(|| Argument::shown("eta", self.eta));
        eta.into_iter().chain([Argument::unless("b-init", self.b_init, 1), self.local.decay_argument()]).collect()
    }

    fn hears_mean(&self) -> bool {
        true
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn is_divisible(&self) -> bool {
        false
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Ok(Conserves::Tracked("h"))
    }

    fn parent(&self) -> Result<Parent, Why> {
        let averages = (0..ORDER).map(|_| Rule::Average(self.eta));
        let local = self.local.rules().into_iter().chain(averages).collect();
        Ok(Parent { draw: Draw::Plain { first: self.b_init, later: 1 }, local, ..Parent::default() })
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
            w.to_message(cx.layout)
        } else {
            w.subtract(&local.h);
            cx.compress(&w, 1.0, &mut local.memos)
        };
        local.c = Some(c.clone());
        c
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let c = mean(inbox, cx.layout);
        let mut h = shared.h.clone();
        h.add_decoded(1.0, &c, cx.layout);
        let moved = Move::Direction(h.to_message(cx.layout));
        Next::Done(Decision { heard: Some(c), kept: h, ..moved.into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        if let (Some(c), Some(_)) = (local.c.take(), decided) {
            local.h.or_zeros(cx.layout.len()).add_decoded(1.0, &c, cx.layout);
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, _: &Cx<'_>) {
        shared.h = std::mem::take(&mut decided.kept);
    }
}
