use backburn_compress::text::Form;
use backburn_compress::{Feedback, Layout, Message, ParameterError, Vector, mean, mean_of_senders};

use super::LocalGradient;
use super::parts::silence;
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Residual, Rule, Seen, State,
    Visitor, Why, display_by_arguments,
};

/// [DeMo](https://arxiv.org/abs/2411.19870) (Peng, Quesnelle, Kingma 2024), decoupled momentum: δ_i ← βδ_i + γg_i, q_i = C(δ_i), δ_i ← δ_i − q_i,
/// x ← x − γ(sign(mean q_i) + λx). What is fast in the momentum is sent, the slow rest stays with the worker.
///
/// The paper's C keeps the 32 largest coefficients of the cosine transform of every tile of 64 × 64:
/// `dct:64,of=topk:32/4096,tiles`; with `values=sign` of 4 of them only signs are sent, and the one magnitude that all
/// of a message share. It divides by the number of workers that sent a coefficient (`senders`); since a sign follows,
/// that matters only where a transform lies between. At γ = 0 nothing is sent, and δ_i stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demo {
    /// β ∈ (0, 1].
    decay: f64,
    senders: bool,
    local: LocalGradient,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "demo",
    usage: "demo[:decay=β][,weight-decay=λ][,senders]",
    about: "decoupled momentum: the fast part of a worker's momentum is sent, and x follows the sign of its mean",
    equation: "δ_i ← βδ_i + γg_i, q_i = C(δ_i), δ_i ← δ_i − q_i; x ← x − γ(sign(mean q_i) + λx)",
    source: "DeMo: Decoupled Momentum Optimization, Peng, Quesnelle, Kingma 2024",
    link: "https://arxiv.org/abs/2411.19870",
    defaults: &[("decay=0.999", "β"), ("weight-decay=0", "λ, beside the sign")],
    examples: &["demo", "demo:decay=0.9,weight-decay=0.1", "demo:decay=0.99,senders"],
    parse: |args| {
        let senders = args.flag("senders");
        let demo = Demo::new(args.named("decay")?.unwrap_or(DECAY))?;
        Ok(AnyAlgorithm::new(Demo { senders, local: demo.local.with_decay_of(args)?, ..demo }))
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
            Ok(Self { decay, senders: false, local: LocalGradient::default() })
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
}

impl Default for Demo {
    fn default() -> Self {
        Self { decay: DECAY, senders: false, local: LocalGradient::default() }
    }
}

display_by_arguments!(Demo, FORM.name);

/// δ_i.
#[derive(Clone, Debug)]
pub struct Local {
    delta: Residual,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.residual("delta", &mut self.delta, layout);
    }
}

impl Algorithm for Demo {
    type Takes = Feedback;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { delta: Residual::new(cx.layout) }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn arguments(&self) -> Vec<Argument> {
        let decay = Argument::unless("decay", self.decay, DECAY);
        vec![decay, self.local.decay_argument(), Argument::word("senders", self.senders)]
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

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        match cx.lr as f32 {
            0.0 => silence(cx.layout),
            gamma => local.delta.compress(self.decay as f32, gamma, &seen.take(), cx),
        }
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let heard = if self.senders { mean_of_senders(inbox, cx.layout) } else { mean(inbox, cx.layout) };
        let mut d = Vector::zeros(cx.layout.len());
        d.add_decoded(1.0, &heard, cx.layout);
        d.sign();
        self.local.decay(&mut d, cx);
        Next::Done(Decision { heard: Some(heard), ..Move::Direction(d.to_message(cx.layout)).into() })
    }

    fn commit(&self, local: &mut Local, _: &(), decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        if cx.lr as f32 != 0.0 {
            local.delta.settle(decided.is_some());
        }
        None
    }
}
