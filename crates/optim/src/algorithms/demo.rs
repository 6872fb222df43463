use backburn_compress::text::Form;
use backburn_compress::{Feedback, Layout, Message, ParameterError, Vector, mean, mean_of_senders};

use super::LocalGradient;
use super::dion::adam;
use super::parts::{Adam, Moments, silence};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Residual, Rule, Seen, State,
    Visitor, Why, chained, display_by_arguments,
};

/// [DeMo](https://arxiv.org/abs/2411.19870) (Peng, Quesnelle, Kingma 2024), decoupled momentum: δ_i ← βδ_i + γg_i, q_i = C(δ_i), δ_i ← δ_i − q_i,
/// x ← x − γ(sign(mean q_i) + λx). What is fast in the momentum is sent, the slow rest stays with the worker.
///
/// The paper's C keeps the 32 largest coefficients of the cosine transform of every tile of 64 × 64:
/// `dct:64,of=topk:32/4096,tiles`; with `values=sign` of 4 of them only signs are sent, and the one magnitude that all
/// of a message share. It divides by the number of workers that sent a coefficient (`senders`); since a sign follows,
/// that matters only where a transform lies between. At γ = 0 nothing is sent, and δ_i stays.
///
/// What is sent dense by policy (vectors, embeddings, heads) has no slow rest: it goes through AdamW on its exact mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demo {
    /// β ∈ (0, 1].
    decay: f64,
    senders: bool,
    adam: Adam,
    local: LocalGradient,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "demo",
    usage: "demo[:decay=β][,weight-decay=λ][,senders][,beta1=β₁][,beta2=β₂][,eps=ε]",
    about: "decoupled momentum: the fast part of a worker's momentum is sent, and x follows the sign of its mean; AdamW on what is dense by policy",
    equation: "δ_i ← βδ_i + γg_i, q_i = C(δ_i), δ_i ← δ_i − q_i; x ← x − γ(sign(mean q_i) + λx)",
    source: "DeMo: Decoupled Momentum Optimization, Peng, Quesnelle, Kingma 2024",
    link: "https://arxiv.org/abs/2411.19870",
    defaults: &[
        ("decay=0.999", "β"),
        ("weight-decay=0", "λ, beside the sign"),
        ("beta1=0.9", "AdamW's β₁"),
        ("beta2=0.95", "AdamW's β₂"),
        ("eps=0.00000001", "AdamW's ε"),
    ],
    examples: &["demo", "demo:decay=0.9,weight-decay=0.1", "demo:decay=0.99,senders"],
    parse: |args| {
        let senders = args.flag("senders");
        let demo = Demo::new(args.named("decay")?.unwrap_or(DECAY))?;
        let adam = adam().parse(args)?;
        Ok(AnyAlgorithm::new(Demo { senders, adam, local: demo.local.with_decay_of(args)?, ..demo }))
    },
};

const DECAY: f64 = 0.999;

impl Demo {
    /// With β.
    ///
    /// # Errors
    /// Where it is outside (0, 1].
    pub fn new(decay: f64) -> Result<Self, ParameterError> {
        if decay > 0.0 && decay <= 1.0 {
            Ok(Self { decay, ..Self::default() })
        } else {
            Err(ParameterError::Range { name: "decay", value: decay, allowed: "(0, 1]" })
        }
    }

    /// x ← x − γλx beside the sign.
    ///
    /// # Errors
    /// Where λ is negative or not finite.
    pub fn with_weight_decay(self, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: self.local.with_weight_decay(weight_decay)?, ..self })
    }

    /// The mean of a coefficient is over the workers that sent it, and not over all.
    pub fn with_senders(self) -> Self {
        Self { senders: true, ..self }
    }

    /// β₁, β₂ and ε of AdamW on what is sent dense by policy.
    pub fn with_adam(self, adam: Adam) -> Self {
        Self { adam, ..self }
    }

    /// The moments after everybody heard this.
    fn moments(&self, now: &Moments, heard: &Message, layout: &Layout) -> Moments {
        let mut moments = now.clone();
        let mut g = Vector::zeros(layout.len());
        g.add_decoded(1.0, heard, layout);
        g.keep_units(layout.units().iter().filter(|u| u.dense));
        moments.take_in(&self.adam, &g);
        moments
    }
}

fn has_dense(layout: &Layout) -> bool {
    layout.units().iter().any(|u| u.dense)
}

impl Default for Demo {
    fn default() -> Self {
        Self { decay: DECAY, senders: false, adam: adam(), local: LocalGradient::default() }
    }
}

display_by_arguments!(Demo, FORM.name);

/// δ_i; 0 where a unit is dense.
#[derive(Clone, Debug)]
pub struct Local {
    delta: Residual,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.residual("delta", &mut self.delta, layout);
    }
}

/// AdamW's moments; none where no unit is dense.
#[derive(Clone, Debug)]
pub struct Shared {
    moments: Option<Moments>,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        if let Some(moments) = &mut self.moments {
            moments.visit(visitor, layout);
        }
    }
}

impl Algorithm for Demo {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { delta: Residual::new(cx.layout) }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { moments: has_dense(cx.layout).then(|| Moments::new(cx.layout)) }
    }

    fn arguments(&self) -> Vec<Argument> {
        let decay = Argument::unless("decay", self.decay, DECAY);
        let own = [decay, self.local.decay_argument(), Argument::word("senders", self.senders)];
        chained(own, self.adam.arguments(&adam()))
    }

    fn hears_mean(&self) -> bool {
        !self.senders
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Err("x follows signs, which do not pay what is owed")
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { common: [Rule::Sign].into_iter().chain(self.local.rules()).collect(), ..Parent::default() })
    }

    fn begin(&self, local: &mut Local, _: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let gamma = cx.lr as f32;
        if gamma == 0.0 {
            return silence(cx.layout);
        }
        let mut g = seen.take();
        if !has_dense(cx.layout) {
            return local.delta.compress(self.decay as f32, gamma, &g, cx);
        }
        let whole = g.to_message(cx.layout);
        g.keep_units(cx.layout.units().iter().filter(|u| !u.dense));
        let mut said = local.delta.compress(self.decay as f32, gamma, &g, cx);
        for (u, _) in cx.layout.units().iter().enumerate().filter(|(_, unit)| unit.dense) {
            said.payloads[u] = whole.payloads[u].clone();
        }
        said
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let heard = if self.senders { mean_of_senders(inbox, cx.layout) } else { mean(inbox, cx.layout) };
        let mut d = Vector::zeros(cx.layout.len());
        if cx.lr as f32 != 0.0 {
            d.add_decoded(1.0, &heard, cx.layout);
            d.sign();
            if let Some(moments) = &shared.moments {
                d.keep_units(cx.layout.units().iter().filter(|u| !u.dense));
                d.axpy(1.0, &self.moments(moments, &heard, cx.layout).unbiased(&self.adam));
            }
        }
        self.local.decay(&mut d, cx);
        Next::Done(Decision { heard: Some(heard), ..Move::Direction(d.to_message(cx.layout)).into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        if cx.lr as f32 != 0.0 {
            local.delta.settle(decided.is_some());
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        if let (Some(moments), Some(heard)) =
            (&mut shared.moments, decided.heard.as_ref().filter(|_| cx.lr as f32 != 0.0))
        {
            *moments = self.moments(moments, heard, cx.layout);
        }
    }
}
