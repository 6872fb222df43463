use std::sync::Arc;

use backburn_compress::text::Form;
use backburn_compress::{Compressor, Fcc, Feedback, Message, ParameterError, Vector};

use super::bidirectional::{Local, Shared};
use super::parts::with_local_gradient;
use super::{EfSgdBidirectional, LocalGradient};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Ask, Conserves, Cx, Decision, Draw, Inbox, Next, NotTaken, Parent, Seen, Why,
    chained, display_by_arguments,
};

/// NEOLITHIC ([Huang, Chen, Yin, Yuan 2022](https://arxiv.org/abs/2206.03665)): the mean of R minibatches, error feedback
/// at the workers and at the server, and both compress R times over what is left, FCC(C, R), which is a
/// contraction of 1 − (1 − α)^R.
///
/// That is [`EfSgdBidirectional`] under another compressor and another batch; the step size is
/// inside the error, where the paper has it outside: for a constant γ that is the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neolithic {
    /// R ≥ 1.
    rounds: usize,
    inner: EfSgdBidirectional,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "neolithic",
    usage: "neolithic:rounds=R[,momentum=β][,weight-decay=λ][,nesterov]",
    about: "R minibatches a step, and R rounds of compression both ways, with feedback",
    equation: "as under ef-sgd-bidirectional with FCC(C, R) for C, g_i the mean of R minibatches",
    source: "Lower Bounds and Nearly Optimal Algorithms in Distributed Learning with Communication Compression, Huang, Chen, Yin, Yuan 2022",
    link: "https://arxiv.org/abs/2206.03665",
    defaults: &[("momentum=0", "β"), ("weight-decay=0", "λ")],
    examples: &["neolithic:rounds=3", "neolithic:rounds=2,weight-decay=0.0005", "neolithic:rounds=2,momentum=0.5"],
    parse: |args| {
        let neolithic = Neolithic::new(args.required("rounds")?)?;
        Ok(AnyAlgorithm::new(Neolithic { inner: EfSgdBidirectional::of(LocalGradient::parse(args)?), ..neolithic }))
    },
};

impl Neolithic {
    /// R rounds and minibatches. A message holds 64 parts at most, so R is bounded by 64 where
    /// the compressor is not itself of several.
    ///
    /// # Errors
    /// Where R is 0.
    pub fn new(rounds: usize) -> Result<Self, ParameterError> {
        if rounds == 0 { Err(ParameterError::Zero("rounds")) } else { Ok(Self { rounds, inner: Default::default() }) }
    }
}

// The inner method has the same builders.
with_local_gradient!(Neolithic, inner);
display_by_arguments!(Neolithic, FORM.name);

impl Algorithm for Neolithic {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn adopt(&self, compressor: Arc<dyn Compressor>) -> Result<Arc<dyn Compressor>, NotTaken> {
        Ok(Arc::new(Fcc::new(self.rounds, Feedback::checked(compressor)?)?))
    }

    fn local(&self, cx: &Cx<'_>) -> Local {
        self.inner.local(cx)
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        self.inner.shared(cx)
    }

    fn arguments(&self) -> Vec<Argument> {
        chained([Argument::shown("rounds", self.rounds)], self.inner.arguments())
    }

    fn needs_x(&self) -> bool {
        self.inner.needs_x()
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        self.inner.conserves()
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { draw: Draw::Plain { first: self.rounds, later: self.rounds }, ..self.inner.parent()? })
    }

    fn ask(&self, _: &Local, _: &Shared, _: &[Message], _: &Cx<'_>) -> Vec<Ask> {
        vec![Ask::Gradient { at: None, batches: self.rounds }]
    }

    fn begin(&self, local: &mut Local, shared: &Shared, seen: Seen, cx: &Cx<'_>) -> Message {
        self.inner.begin(local, shared, seen, cx)
    }

    fn reduce(&self, shared: &Shared, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        self.inner.reduce(shared, said, inbox, cx)
    }

    fn commit(&self, local: &mut Local, shared: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        self.inner.commit(local, shared, decided, cx)
    }

    fn advance(&self, shared: &mut Shared, said: &[Message], inbox: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        self.inner.advance(shared, said, inbox, decided, cx);
    }
}
