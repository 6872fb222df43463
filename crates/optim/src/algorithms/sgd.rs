use std::fmt;
use std::sync::Arc;

use backburn_compress::payload::Values;
use backburn_compress::{Layout, Message, ParameterError, Payload, mean};

use super::{Entry, LocalGradient, Momentum};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Buf, Cx, Decision, Inbox, Move, Next, Plain, Seen};

/// SGD and, with momentum, SGDM: workers send g_i (m_i) as it is, x ← x − γ·mean. Any compressor
/// is accepted and unused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    local: LocalGradient,
}

pub(super) const ENTRY: Entry = Entry {
    name: "sgd",
    usage: "sgd[:momentum=β][,weight-decay=λ]",
    about: "uncompressed SGD; with momentum, SGDM",
    examples: &["sgd", "sgd:momentum=0.9,weight-decay=0.0005"],
    parse: |args| Ok(AnyAlgorithm::new(Sgd { local: LocalGradient::parse(args)? })),
};

impl Sgd {
    /// Momentum β ∈ [0, 1) and weight decay λ ≥ 0.
    pub fn new(momentum: f64, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: LocalGradient::new(momentum, weight_decay)? })
    }
}

impl fmt::Display for Sgd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_form(f, "sgd", &self.local.form())
    }
}

/// The vector as a message of dense payloads.
pub(crate) fn dense(x: &[f32], layout: &Layout) -> Message {
    layout.units().iter().map(|u| Arc::new(Payload::Dense(Values::F32(x[u.range.clone()].to_vec())))).collect()
}

impl Algorithm for Sgd {
    type Takes = Plain;
    type Local = Momentum;
    type Shared = ();

    fn local(&self, _: &Cx<'_>) -> Momentum {
        Momentum::default()
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn begin(&self, local: &mut Momentum, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        dense(&self.local.prepare(local, seen.take(), cx), cx.layout)
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        Move::Direction(mean(inbox, cx.layout)).into()
    }

    fn commit(&self, _: &mut Momentum, _: &(), _: Option<&Decision>, _: &Cx<'_>) -> Option<Buf> {
        None
    }
}
