use backburn_compress::text::Form;
use backburn_compress::{Feedback, Message, ParameterError, Vector, mean};

use super::Momentum;
use super::compressed_sgd::Local;
use super::ef21::check_eta;
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Ask, Conserves, Cx, Decision, Draw, Inbox, Move, Next, Parent, Seen, Why,
};

/// What EF21 would be if the trackers h_i were the exact gradients ∇f_i(x) ([Fatkhullin,
/// Tyurin, Richtárik 2023](https://arxiv.org/abs/2305.15155)): EF21-SGD-ideal, g_i = ∇f_i(x) + C(∇f_i(x; ξ) − ∇f_i(x)), and with damped noise
/// EF21-SGDM-ideal, g_i = ∇f_i(x) + C(η(∇f_i(x; ξ) − ∇f_i(x))); x ← x − γ·mean g_i.
///
/// For theory: it asks for exact gradients, which only some problems offer, and since nobody else
/// knows them a message is the dense g_i.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ef21Ideal {
    /// η ∈ (0, 1]; without it EF21-SGD-ideal.
    eta: Option<f64>,
}

const SOURCE: &str = "Momentum Provably Improves Error Feedback!, Fatkhullin, Tyurin, Richtárik 2023";

pub(super) static SGD: Form<AnyAlgorithm> = Form {
    name: "ef21-sgd-ideal",
    usage: "ef21-sgd-ideal",
    about: "EF21-SGD around the exact gradient, for problems that offer it; diverges (Theorem 1)",
    equation: "g_i = ∇f_i(x) + C(∇f_i(x; ξ) − ∇f_i(x)), x ← x − γ·mean g_i",
    source: SOURCE,
    link: "https://arxiv.org/abs/2305.15155",
    defaults: &[],
    examples: &["ef21-sgd-ideal"],
    parse: |_| Ok(AnyAlgorithm::new(Ef21Ideal::sgd())),
};

pub(super) static SGDM: Form<AnyAlgorithm> = Form {
    name: "ef21-sgdm-ideal",
    usage: "ef21-sgdm-ideal:eta=η",
    about: "the same with the noise damped by η",
    equation: "g_i = ∇f_i(x) + C(η(∇f_i(x; ξ) − ∇f_i(x))), x ← x − γ·mean g_i",
    source: SOURCE,
    link: "https://arxiv.org/abs/2305.15155",
    defaults: &[],
    examples: &["ef21-sgdm-ideal:eta=0.1"],
    parse: |args| Ok(AnyAlgorithm::new(Ef21Ideal::sgdm(args.required("eta")?)?)),
};

impl Ef21Ideal {
    /// EF21-SGD-ideal.
    pub fn sgd() -> Self {
        Self { eta: None }
    }

    /// EF21-SGDM-ideal.
    ///
    /// # Errors
    /// Where η is outside (0, 1].
    pub fn sgdm(eta: f64) -> Result<Self, ParameterError> {
        Ok(Self { eta: Some(check_eta(eta)?) })
    }
}

impl std::fmt::Display for Ef21Ideal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Argument::write(f, if self.eta.is_none() { SGD.name } else { SGDM.name }, &self.arguments())
    }
}

impl Algorithm for Ef21Ideal {
    type Takes = Feedback;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { momentum: Momentum::default(), memos: cx.memos() }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn arguments(&self) -> Vec<Argument> {
        self.eta.map(|eta| Argument::shown("eta", eta)).into_iter().collect()
    }

    fn asks_elsewhere(&self) -> bool {
        true
    }

    fn hears_mean(&self) -> bool {
        true
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Err("it owes nothing: what was not sent of the noise is lost")
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { draw: Draw::Damped(self.eta.unwrap_or(1.0)), ..Parent::default() })
    }

    fn ask(&self, _: &Local, _: &(), _: &[Message], _: &Cx<'_>) -> Vec<Ask> {
        vec![Ask::GRADIENT, Ask::Gradient { at: None, batches: 0 }]
    }

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        let (mut noise, mut exact) = (seen.take(), seen.take_at(1));
        noise.subtract(&exact);
        noise.scale(self.eta.unwrap_or(1.0) as f32);
        let c = cx.compress(&noise, 1.0, &mut local.memos);
        exact.add_decoded(1.0, &c, cx.layout);
        exact.to_message(cx.layout)
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        Move::Direction(mean(inbox, cx.layout)).into()
    }

    fn commit(&self, _: &mut Local, _: &(), _: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
        None
    }
}
