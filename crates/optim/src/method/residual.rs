//! The lazy residual.

use std::sync::Arc;

use backburn_compress::{Correction, Layout, Memo, Message, Payload, Vector, feedback};

use crate::method::cx::Cx;

/// What a worker still owes: e = p − decode(applied), by definition.
///
/// The subtraction costs no pass of its own: it is fused into the next step's
/// p ← (p − decode(applied))·c + a·g, in that order, so that a resumed run has the same bits.
#[derive(Clone, Debug, Default)]
pub struct Residual {
    p: Vector,
    applied: Option<Message>,
    pending: Option<Message>,
    memos: Vec<Memo>,
}

impl Residual {
    /// Nothing owed.
    pub fn new(layout: &Layout) -> Self {
        Self { p: Vector::zeros(layout.len()), memos: vec![Memo::default(); layout.units().len()], ..Self::default() }
    }

    /// p ← e·decay + gain·g, then says C(p). Until [`settle`](Self::settle), all of p is owed.
    pub fn compress(&mut self, decay: f32, gain: f32, g: &Vector, cx: &Cx<'_>) -> Message {
        let said = self.compress_with(decay, gain, g, cx);
        self.pending = Some(said.clone());
        said
    }

    fn compress_with(&mut self, decay: f32, gain: f32, g: &Vector, cx: &Cx<'_>) -> Message {
        let last = self.applied.take();
        self.pending = None;
        let correction = Correction { last: last.as_ref(), decay, gain, gradient: g };
        let said = feedback(cx.compressor, &mut self.p, correction, cx.layout, &cx.key(), &mut self.memos);
        if let Some(last) = last {
            last.recycle();
        }
        said
    }

    /// p ← e·decay + gain·g without compressing it, for methods that compress jointly.
    pub fn accumulate(&mut self, decay: f32, gain: f32, g: &Vector, layout: &Layout) -> &Vector {
        self.materialise(layout);
        self.pending = None;
        self.p.blend(decay, gain, g);
        &self.p
    }

    /// Ends the step: what was said counts as applied if it arrived, and is owed otherwise.
    pub fn settle(&mut self, sent: bool) {
        if let Some(said) = self.pending.take() {
            self.applied = sent.then_some(said);
        }
    }

    /// Ends the step of a joint method, where what counts as applied is not what was said.
    pub fn settle_as(&mut self, applied: Option<Message>) {
        self.pending = None;
        self.applied = applied;
    }

    /// What was said of these units was not said after all: it stays owed.
    pub(crate) fn withhold(&mut self, units: &[u32], layout: &Layout) {
        for message in [&mut self.pending, &mut self.applied].into_iter().flatten() {
            for unit in units {
                let unit = *unit as usize;
                if let Some(payload) = message.payloads.get_mut(unit) {
                    *payload = Arc::new(Payload::zero(layout.units()[unit].len()));
                }
            }
        }
    }

    /// The corrected gradient p of the last step.
    pub fn corrected(&self) -> &Vector {
        &self.p
    }

    /// The same, to put back what stood there.
    pub(crate) fn corrected_mut(&mut self) -> &mut Vector {
        &mut self.p
    }

    /// What of p counts as applied.
    pub fn applied(&self) -> Option<&Message> {
        self.applied.as_ref()
    }

    /// e, as a vector in place.
    pub fn materialise(&mut self, layout: &Layout) -> &mut Vector {
        if let Some(applied) = self.applied.take() {
            self.p.add_decoded(-1.0, &applied, layout);
        }
        &mut self.p
    }

    /// Owes nothing any more.
    pub fn clear(&mut self) {
        self.applied = None;
        self.pending = None;
        self.p.clear();
    }

    /// What the compressor remembers, one memo a unit.
    pub fn memos_mut(&mut self) -> &mut Vec<Memo> {
        &mut self.memos
    }
}
