use backburn_compress::text::Form;
use backburn_compress::{Message, Vector, mean};

use super::parts::with_local_gradient;
use super::{LocalGradient, Momentum};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Plain, Seen, Why,
    display_by_arguments,
};

/// [SGD](https://doi.org/10.1214/aoms/1177729586) (Robbins, Monro 1951) and, with momentum, SGDM: workers send g_i (m_i)
/// as it is, x ← x − γ·mean. Any compressor is accepted and unused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    local: LocalGradient,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "sgd",
    usage: "sgd[:momentum=β][,weight-decay=λ][,nesterov]",
    about: "uncompressed SGD; with momentum, SGDM",
    equation: "m ← βm + g_i + λx; x ← x − γ·mean m",
    source: "A Stochastic Approximation Method, Robbins, Monro 1951",
    link: "https://doi.org/10.1214/aoms/1177729586",
    defaults: &[("momentum=0", "β"), ("weight-decay=0", "λ")],
    examples: &["sgd", "sgd:momentum=0.9,weight-decay=0.0005", "sgd:momentum=0.9,nesterov"],
    parse: |args| Ok(AnyAlgorithm::new(Sgd { local: LocalGradient::parse(args)? })),
};

impl Sgd {
    /// Without momentum or weight decay.
    pub fn new() -> Self {
        Self::default()
    }
}

with_local_gradient!(Sgd, local);
display_by_arguments!(Sgd, FORM.name);

impl Algorithm for Sgd {
    type Takes = Plain;
    type Local = Momentum;
    type Shared = ();

    fn local(&self, _: &Cx<'_>) -> Momentum {
        Momentum::default()
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn arguments(&self) -> Vec<Argument> {
        self.local.arguments().into()
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

    fn compresses_itself(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Err("it owes nothing: everything is sent, or lost")
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { local: self.local.rules(), ..Parent::default() })
    }

    fn begin(&self, local: &mut Momentum, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        self.local.prepare(local, seen.take(), cx).to_message(cx.layout)
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        Move::Direction(mean(inbox, cx.layout)).into()
    }

    fn commit(&self, _: &mut Momentum, _: &(), _: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
        None
    }
}
