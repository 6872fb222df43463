use backburn_compress::text::Form;
use backburn_compress::{Layout, Memo, Message, Vector, majority, mean};

use super::parts::with_local_gradient;
use super::{LocalGradient, Momentum};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Plain, Seen, State, Visitor,
    Why, chained, display_by_arguments,
};

/// Compressed SGD without feedback: workers send C(g_i), or C(m_i) with momentum; x ← x − γ·mean,
/// or by majority vote x ← x − γ·sign(Σ sign).
///
/// With `sign` it is [signSGD](https://arxiv.org/abs/1802.04434) (with momentum signSGDM, "signum"; Bernstein et al. 2018,
/// and [with majority vote](https://arxiv.org/abs/1810.05291) 2019), with `sign:scaled` the scaled signSGD that error
/// feedback is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CompressedSgd {
    local: LocalGradient,
    majority_vote: bool,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "compressed-sgd",
    usage: "compressed-sgd[:momentum=β][,weight-decay=λ][,nesterov][,majority-vote]",
    about: "compression without feedback; with `sign` signSGD, with momentum signSGDM",
    equation: "x ← x − γ·mean C(g_i); by majority vote x ← x − γ·sign(Σ sign C(g_i))",
    source: "signSGD: Compressed Optimisation for Non-Convex Problems, Bernstein, Wang, Azizzadenesheli, Anandkumar 2018",
    link: "https://arxiv.org/abs/1802.04434",
    defaults: &[("momentum=0", "β"), ("weight-decay=0", "λ")],
    examples: &[
        "compressed-sgd",
        "compressed-sgd:momentum=0.9",
        "compressed-sgd:majority-vote",
        "compressed-sgd:momentum=0.5,weight-decay=0.01,nesterov,majority-vote",
    ],
    parse: |args| {
        let majority_vote = args.flag("majority-vote");
        Ok(AnyAlgorithm::new(CompressedSgd { local: LocalGradient::parse(args)?, majority_vote }))
    },
};

impl CompressedSgd {
    /// Without momentum or weight decay; the mean of the messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// The majority vote of the messages' signs instead of their mean.
    pub fn with_majority_vote(self) -> Self {
        Self { majority_vote: true, ..self }
    }
}

with_local_gradient!(CompressedSgd, local);
display_by_arguments!(CompressedSgd, FORM.name);

/// A worker's momentum, and what its compressor remembers.
#[derive(Clone, Debug)]
pub struct Local {
    pub(super) momentum: Momentum,
    pub(super) memos: Vec<Memo>,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.momentum.visit(visitor, layout);
        visitor.memos("compressor", &mut self.memos);
    }
}

impl Algorithm for CompressedSgd {
    type Takes = Plain;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { momentum: Momentum::default(), memos: cx.memos() }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn arguments(&self) -> Vec<Argument> {
        chained(self.local.arguments(), [Argument::word("majority-vote", self.majority_vote)])
    }

    fn hears_mean(&self) -> bool {
        !self.majority_vote
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Err("without feedback, what was not sent is lost")
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { local: self.local.rules(), votes: self.majority_vote, ..Parent::default() })
    }

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        let g = self.local.prepare(&mut local.momentum, seen.take(), cx);
        cx.compress(&g, 1.0, &mut local.memos)
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        // Where nobody votes, nothing moves.
        let vote = self.majority_vote && inbox.iter().any(Option::is_some);
        let decided = if vote { majority(inbox, cx.layout) } else { mean(inbox, cx.layout) };
        Move::Direction(decided).into()
    }

    fn commit(&self, _: &mut Local, _: &(), _: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
        None
    }
}
