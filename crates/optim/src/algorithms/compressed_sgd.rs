use std::fmt;
use std::sync::Arc;

use backburn_compress::{Layout, Memo, Message, ParameterError, Payload, mean};
use rayon::prelude::*;

use super::{Entry, LocalGradient, Momentum};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Buf, Cx, Decision, Inbox, Move, Next, Plain, Seen, State, Visitor};

/// Compressed SGD without feedback: workers send C(g_i), or C(m_i) with momentum; x ← x − γ·mean,
/// or by majority vote x ← x − γ·sign(Σ sign).
///
/// With `sign` it is signSGD (with momentum signSGDM, "signum"; Bernstein et al. 2018 and 2019),
/// with `sign:scaled` the scaled signSGD that error feedback is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CompressedSgd {
    local: LocalGradient,
    majority_vote: bool,
}

pub(super) const ENTRY: Entry = Entry {
    name: "compressed-sgd",
    usage: "compressed-sgd[:momentum=β][,weight-decay=λ][,majority-vote]",
    about: "compression without feedback; with `sign` signSGD, with momentum signSGDM",
    examples: &["compressed-sgd", "compressed-sgd:momentum=0.9", "compressed-sgd:majority-vote"],
    parse: |args| {
        let majority_vote = args.flag("majority-vote");
        Ok(AnyAlgorithm::new(CompressedSgd { local: LocalGradient::parse(args)?, majority_vote }))
    },
};

impl CompressedSgd {
    /// Momentum β ∈ [0, 1) and weight decay λ ≥ 0; the mean of the messages.
    pub fn new(momentum: f64, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: LocalGradient::new(momentum, weight_decay)?, majority_vote: false })
    }

    /// The majority vote of the messages' signs instead of their mean.
    pub fn with_majority_vote(self) -> Self {
        Self { majority_vote: true, ..self }
    }
}

impl fmt::Display for CompressedSgd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [momentum, decay] = self.local.form();
        let vote = if self.majority_vote { "majority-vote".into() } else { String::new() };
        write_form(f, "compressed-sgd", &[momentum, decay, ("", vote)])
    }
}

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

/// sign(Σ sign), ties and zeros counting as +1; a worker that is absent has no vote.
fn majority(inbox: Inbox<'_>, layout: &Layout) -> Message {
    let units = layout.units().par_iter().enumerate();
    let vote = |(u, unit): (usize, &backburn_compress::Unit)| {
        let mut votes = vec![0i32; unit.len()];
        for message in inbox.iter().flatten() {
            let decoded = message[u].decode();
            votes.iter_mut().zip(decoded).for_each(|(v, x)| *v += if x >= 0.0 { 1 } else { -1 });
        }
        let pack = |c: &[i32]| c.iter().enumerate().fold(0, |w, (j, v)| w | u64::from(*v >= 0) << j);
        let words = votes.chunks(64).map(pack).collect();
        Arc::new(Payload::Signs { len: unit.len(), words, low: -1.0, high: 1.0 })
    };
    units.map(vote).collect()
}

impl Algorithm for CompressedSgd {
    type Takes = Plain;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { momentum: Momentum::default(), memos: vec![Memo::default(); cx.layout.units().len()] }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        let g = self.local.prepare(&mut local.momentum, seen.take(), cx);
        cx.compress(&g, &mut local.memos)
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        // Where nobody votes, nothing moves.
        let vote = self.majority_vote && inbox.iter().any(Option::is_some);
        let decided = if vote { majority(inbox, cx.layout) } else { mean(inbox, cx.layout) };
        Move::Direction(decided).into()
    }

    fn commit(&self, _: &mut Local, _: &(), _: Option<&Decision>, _: &Cx<'_>) -> Option<Buf> {
        None
    }
}
