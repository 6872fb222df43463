use backburn_compress::text::Form;
use backburn_compress::{Message, Vector, mean};

use crate::method::display_by_arguments;
use crate::{Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Plain, Seen, Why};

/// SGD and nothing else, a toy: x ← x − γ·mean g_i.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ToySgd;

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "toy-sgd",
    usage: "toy-sgd",
    about: "SGD and nothing else; a toy",
    equation: "x ← x − γ·mean g_i",
    source: "a toy, 2026",
    link: "https://doi.org/10.1214/aoms/1177729586",
    defaults: &[],
    examples: &["toy-sgd"],
    parse: |_| Ok(AnyAlgorithm::new(ToySgd)),
};

display_by_arguments!(ToySgd, FORM.name);

impl Algorithm for ToySgd {
    type Takes = Plain;
    type Local = ();
    type Shared = ();

    fn local(&self, _: &Cx<'_>) {}

    fn shared(&self, _: &Cx<'_>) {}

    fn arguments(&self) -> Vec<Argument> {
        Vec::new()
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
        Ok(Parent::default())
    }

    fn begin(&self, _: &mut (), _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        seen.take().to_message(cx.layout)
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        Move::Direction(mean(inbox, cx.layout)).into()
    }

    fn commit(&self, _: &mut (), _: &(), _: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
        None
    }
}
