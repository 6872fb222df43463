//! What methods share whose messages only mean something together: two linear rounds, of which the
//! second completes the first.

use std::sync::Arc;

use backburn_compress::payload::Values;
use backburn_compress::{Compressor, Identity, Layout, Message, Payload};

use super::outside::Outside;
use super::{LocalGradient, Momentum};
use crate::{Buf, Cx, Inbox, Seen, State, Visitor};

/// A worker of a joint method.
#[derive(Clone, Debug)]
pub struct Worker {
    momentum: Momentum,
    pub(super) owed: Outside,
    /// What it said in the first round, or what of it is its own share; empty where nothing was.
    pub(super) said: Message,
    /// What the first round came to.
    pub(super) heard: Message,
}

impl Worker {
    pub(super) fn new(layout: &Layout) -> Self {
        let (said, heard) = (Message::new(), Message::new());
        Self { momentum: Momentum::default(), owed: Outside::new(layout), said, heard }
    }

    /// p ← e·decay + g; `None` at γ = 0, where the gradient is dropped and nothing is sent.
    pub(super) fn accumulate(&mut self, local: &LocalGradient, mut seen: Seen, cx: &Cx<'_>) -> Option<&[f32]> {
        self.said.clear();
        self.heard.clear();
        let g = local.prepare(&mut self.momentum, seen.take(), cx);
        let decay = self.owed.decay(cx)?;
        Some(self.owed.residual.accumulate(decay, 1.0, &g, cx.layout))
    }
}

impl State for Worker {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.momentum.visit(visitor, layout);
        self.owed.visit(visitor, layout);
    }
}

/// Floats as they are.
pub(super) fn floats(x: Buf) -> Arc<Payload> {
    Arc::new(Payload::Dense(Values::F32(x)))
}

/// The mean over n of the payloads at this place of every message, absent ones being zero.
pub(super) fn mean_at(inbox: Inbox<'_>, place: usize) -> Buf {
    let mut parts = inbox.iter().flatten().map(|m| &m[place]);
    let Some(first) = parts.next() else { return Buf::new() };
    let mut sum = first.decode();
    parts.for_each(|p| p.axpy(1.0, &mut sum));
    sum.iter_mut().for_each(|x| *x /= inbox.len() as f32);
    sum
}

/// A warning where a compressor was named that the method has no use for.
pub(super) fn unused(method: &dyn std::fmt::Display, compressor: &dyn Compressor) -> Option<String> {
    let named = compressor.to_string();
    (named != Identity.to_string()).then(|| format!("`{method}` compresses by itself: `{named}` is not used"))
}
