//! What methods share whose messages only mean something together: two linear rounds, of which the
//! second completes the first.

use std::sync::Arc;

use backburn_compress::{Compressor, Identity, Layout, Message, Payload, Vector};

use super::{LocalGradient, Momentum, Outside, Units};
use crate::method::{Cx, Seen, State, Visitor};

/// A worker of a joint method.
#[derive(Clone, Debug)]
pub struct Worker {
    momentum: Momentum,
    pub(crate) owed: Outside,
    /// What it said in the first round, or what of it is its own share; empty where nothing was.
    pub(crate) said: Message,
    /// What the first round came to.
    pub(crate) heard: Message,
}

impl Worker {
    pub(crate) fn new(layout: &Layout) -> Self {
        let (said, heard) = (Message::new(), Message::new());
        Self { momentum: Momentum::default(), owed: Outside::new(layout), said, heard }
    }

    /// p ← e·γ_old/γ + g. Where γ is no step size by what all know of it (`shared`), p ← e + g if what everybody makes of
    /// it does not end with the step (`anyway`), otherwise `None`: the gradient is dropped and nothing is sent.
    pub(crate) fn accumulate(
        &mut self,
        local: &LocalGradient,
        mut seen: Seen,
        shared: &Units,
        anyway: bool,
        cx: &Cx<'_>,
    ) -> Option<&Vector> {
        (self.said, self.heard) = (Message::new(), Message::new());
        let g = local.prepare(&mut self.momentum, seen.take(), cx);
        let factor = match shared.moves(cx.lr) {
            true => self.owed.convert(cx),
            false if anyway => 1.0,
            false => return None,
        };
        Some(self.owed.residual.accumulate(factor, 1.0, &g, cx.layout))
    }
}

impl State for Worker {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.momentum.visit(visitor, layout);
        self.owed.visit(visitor, layout);
    }
}

/// Floats as they are.
pub(crate) fn floats(x: Vec<f32>) -> Arc<Payload> {
    Arc::new(Payload::floats(x))
}

/// A warning where a compressor was named that the method has no use for.
pub(crate) fn unused(method: &dyn std::fmt::Display, compressor: &dyn Compressor) -> Option<String> {
    let named = compressor.to_string();
    (named != Identity.to_string()).then(|| format!("`{method}` compresses by itself: `{named}` is not used"))
}
