use backburn_compress::text::Form;
use backburn_compress::{Feedback, Layout, Memo, Message, ParameterError, Unit, Vector, mean};

use super::ef21::check_eta;
use super::parts::{Adam, Moments};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Role, Seen, State, Visitor,
    Why, chained, display_by_arguments,
};

/// [EF21-Muon](https://arxiv.org/abs/2510.00643) (Gruntkowska, Gaponov, Tovmasyan, Richtárik 2025), compressed both ways. A worker:
/// M_i ← (1−β)M_i + βg_i at W, c_i = C(M_i − G_i), G_i ← G_i + c_i. Everybody: G ← G + mean c_i, X ← X − γ·orth(G) of
/// every matrix, and what workers hold follows X by a shift of its own, W ← W + C(X − W).
///
/// orth is five steps of Newton and Schulz's iteration, as in Burn's `Muon`; G already holds the momentum. Vectors, and
/// what is sent dense by policy (embeddings, heads), follow Adam on G. x is W, at which gradients are taken; a worker's
/// first message is its first gradient itself, dense, as under EF21.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ef21Muon {
    /// β ∈ (0, 1].
    eta: f64,
    adam: Adam,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "ef21-muon",
    usage: "ef21-muon[:eta=β][,beta1=β₁][,beta2=β₂][,eps=ε]",
    about: "EF21 on momentum under Muon's orthogonal steps, compressed both ways; Adam on what is no matrix",
    equation: "M_i ← (1−β)M_i + βg_i, c_i = C(M_i − G_i), G_i ← G_i + c_i; G ← G + mean c_i, X ← X − γ·orth(G), W ← W + C(X − W)",
    source: "Error Feedback for Muon and Friends, Gruntkowska, Gaponov, Tovmasyan, Richtárik 2025",
    link: "https://arxiv.org/abs/2510.00643",
    defaults: &[
        ("eta=0.1", "β, the weight of the gradient in the momentum"),
        ("beta1=0.9", "Adam's β₁"),
        ("beta2=0.95", "Adam's β₂"),
        ("eps=0.00000001", "Adam's ε"),
    ],
    examples: &["ef21-muon", "ef21-muon:eta=0.3,beta2=0.9,eps=0.001"],
    parse: |args| {
        let method = Ef21Muon::new(args.named("eta")?.unwrap_or(ETA))?;
        Ok(AnyAlgorithm::new(method.with_adam(super::dion::adam().parse(args)?)))
    },
};

/// β where nothing is said.
const ETA: f64 = 0.1;

impl Ef21Muon {
    /// With β, the weight of the gradient in the momentum.
    ///
    /// # Errors
    /// Where it is outside (0, 1].
    pub fn new(eta: f64) -> Result<Self, ParameterError> {
        Ok(Self { eta: check_eta(eta)?, adam: super::dion::adam() })
    }

    /// β₁, β₂ and ε of Adam on what is no matrix.
    pub fn with_adam(self, adam: Adam) -> Self {
        Self { adam, ..self }
    }

    /// G, Adam's moments and X after a step in which everybody heard the mean c_i.
    fn moved(&self, shared: &Shared, c: &Message, cx: &Cx<'_>) -> (Vector, Moments, Vector) {
        let mut h = shared.h.clone();
        h.add_decoded(1.0, c, cx.layout);
        let matrices: Vec<&Unit> = cx.layout.units().iter().filter(|u| is_matrix(u)).collect();
        let (mut orthogonal, mut rest) = (h.clone(), h.clone());
        orthogonal.keep_units(matrices.iter().copied());
        rest.subtract(&orthogonal);
        for unit in matrices {
            orthogonal.orthogonalise(unit, unit.shape[0]);
        }
        let mut moments = shared.moments.clone();
        moments.take_in(&self.adam, &rest);
        let mut x = shared.x.clone();
        x.axpy(-cx.lr as f32, &orthogonal);
        x.axpy(-cx.lr as f32, &moments.unbiased(&self.adam));
        (h, moments, x)
    }
}

fn is_matrix(unit: &Unit) -> bool {
    !unit.dense && unit.shape.len() >= 2 && !unit.is_empty()
}

display_by_arguments!(Ef21Muon, FORM.name);

/// M_i and G_i; empty before the first gradient, G_i before the first message that counted.
#[derive(Clone, Debug)]
pub struct Local {
    m: Vector,
    h: Vector,
    /// c_i, until it is known whether it counts.
    c: Option<Message>,
    memos: Vec<Memo>,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("momentum", Role::Momentum, &mut self.m);
        visitor.vector("h", Role::Tracker, &mut self.h);
        visitor.memos("compressor", &mut self.memos);
    }
}

/// G, X, Adam's moments, and what the server's compressor remembers.
#[derive(Clone, Debug)]
pub struct Shared {
    h: Vector,
    x: Vector,
    moments: Moments,
    memos: Vec<Memo>,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.vector("h", Role::Tracker, &mut self.h);
        visitor.vector("x", Role::Tracker, &mut self.x);
        self.moments.visit(visitor, layout);
        visitor.memos("compressor", &mut self.memos);
    }
}

impl Algorithm for Ef21Muon {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { m: Vector::new(), h: Vector::new(), c: None, memos: cx.memos() }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        let (h, moments) = (Vector::zeros(cx.layout.len()), Moments::new(cx.layout));
        Shared { h, x: cx.x.clone(), moments, memos: cx.memos() }
    }

    fn arguments(&self) -> Vec<Argument> {
        chained([Argument::shown("eta", self.eta)], self.adam.arguments(&super::dion::adam()))
    }

    fn hears_mean(&self) -> bool {
        true
    }

    fn needs_x(&self) -> bool {
        true
    }

    fn is_divisible(&self) -> bool {
        false
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Ok(Conserves::Tracked("h"))
    }

    fn parent(&self) -> Result<Parent, Why> {
        Err("an orthogonal step is no sum of gradients")
    }

    fn begin(&self, local: &mut Local, _: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let mut w = seen.take();
        if local.m.is_empty() {
            local.m.clone_from(&w);
        } else {
            local.m.blend((1.0 - self.eta) as f32, self.eta as f32, &w);
            w.clone_from(&local.m);
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
        let (_, _, mut shift) = self.moved(shared, &c, cx);
        shift.subtract(cx.x);
        let mut memos = shared.memos.clone();
        let down = cx.compress_down(&shift, cx.lr, &mut memos);
        let mut back = Vector::zeros(cx.layout.len());
        back.add_decoded(-1.0, &down, cx.layout);
        // The mean c_i stays at the server; what it sends is how W moves.
        let kept = {
            let mut kept = Vector::zeros(cx.layout.len());
            kept.add_decoded(1.0, &c, cx.layout);
            kept
        };
        Next::Done(Decision { heard: Some(down), memos, kept, ..Move::Update(back.to_message(cx.layout)).into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        if let (Some(c), Some(_)) = (local.c.take(), decided) {
            local.h.or_zeros(cx.layout.len()).add_decoded(1.0, &c, cx.layout);
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        let c = decided.kept.to_message(cx.layout);
        (shared.h, shared.moments, shared.x) = self.moved(shared, &c, cx);
        shared.memos = std::mem::take(&mut decided.memos);
    }
}
