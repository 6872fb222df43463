use std::fmt;
use std::sync::Arc;

use backburn_compress::{Compressor, Fcc, Feedback, Message, ParameterError};

use super::bidirectional::{Local, Shared};
use super::{EfSgdBidirectional, Entry, LocalGradient};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Ask, Buf, Cx, Decision, Inbox, Next, Seen, SetupError};

/// NEOLITHIC (Huang, Chen, Yin, Yuan 2022): the mean of R minibatches, error feedback at the workers
/// and at the server, and both compress R times over what is left, FCC(C, R), which is a
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

pub(super) const ENTRY: Entry = Entry {
    name: "neolithic",
    usage: "neolithic:rounds=R[,momentum=β][,weight-decay=λ]",
    about: "R minibatches a step, and R rounds of compression both ways, with feedback",
    examples: &["neolithic:rounds=3", "neolithic:rounds=2,weight-decay=0.0005"],
    parse: |args| {
        let neolithic = Neolithic::new(args.required("rounds")?)?;
        Ok(AnyAlgorithm::new(Neolithic { inner: EfSgdBidirectional::of(LocalGradient::parse(args)?), ..neolithic }))
    },
};

impl Neolithic {
    /// R ≥ 1 rounds and minibatches. A message holds 64 parts at most, so R is bounded by 64 where
    /// the compressor is not itself of several.
    pub fn new(rounds: usize) -> Result<Self, ParameterError> {
        if rounds == 0 { Err(ParameterError::Zero("rounds")) } else { Ok(Self { rounds, inner: Default::default() }) }
    }
}

impl fmt::Display for Neolithic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [momentum, decay] = self.inner.form();
        write_form(f, "neolithic", &[("rounds", self.rounds.to_string()), momentum, decay])
    }
}

impl Algorithm for Neolithic {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn adopt(&self, compressor: Arc<dyn Compressor>) -> Result<Arc<dyn Compressor>, SetupError> {
        Ok(Arc::new(Fcc::new(self.rounds, Feedback::checked(compressor)?)?))
    }

    fn local(&self, cx: &Cx<'_>) -> Local {
        self.inner.local(cx)
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        self.inner.shared(cx)
    }

    fn needs_x(&self) -> bool {
        self.inner.needs_x()
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

    fn commit(&self, local: &mut Local, shared: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Buf> {
        self.inner.commit(local, shared, decided, cx)
    }

    fn advance(&self, shared: &mut Shared, said: &[Message], inbox: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        self.inner.advance(shared, said, inbox, decided, cx);
    }
}
