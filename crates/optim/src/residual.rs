//! The lazy residual.

use backburn_compress::{Layout, Memo, Message, decode_into, feedback};

use crate::Cx;

/// What a worker still owes: e = p − decode(applied), by definition.
///
/// The subtraction costs no pass of its own: it is fused into the next step's
/// p ← (p − decode(applied))·c + a·g, in that order, so that a resumed run has the same bits.
#[derive(Clone, Debug, Default)]
pub struct Residual {
    p: Vec<f32>,
    applied: Option<Message>,
    pending: Option<Message>,
    memos: Vec<Memo>,
}

impl Residual {
    /// Nothing owed.
    pub fn new(layout: &Layout) -> Self {
        Self { p: vec![0.0; layout.len()], memos: vec![Memo::default(); layout.units().len()], ..Self::default() }
    }

    /// p ← e·decay + gain·g, then says C(p). Until [`settle`](Self::settle), all of p is owed.
    pub fn compress(&mut self, decay: f32, gain: f32, g: &[f32], cx: &Cx<'_>) -> Message {
        let said = self.compress_with(decay, gain, g, cx);
        self.pending = Some(said.clone());
        said
    }

    fn compress_with(&mut self, decay: f32, gain: f32, g: &[f32], cx: &Cx<'_>) -> Message {
        let last = self.applied.take();
        self.pending = None;
        let (layout, key) = (cx.layout, cx.key());
        feedback(cx.compressor, &mut self.p, last.as_deref(), decay, gain, g, layout, &key, &mut self.memos)
    }

    /// p ← e·decay + gain·g without compressing it, for methods that compress jointly.
    pub fn accumulate(&mut self, decay: f32, gain: f32, g: &[f32], layout: &Layout) -> &[f32] {
        self.materialise(layout);
        self.pending = None;
        self.p.iter_mut().zip(g).for_each(|(p, g)| *p = *p * decay + gain * g);
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

    /// The corrected gradient p of the last step.
    pub fn corrected(&self) -> &[f32] {
        &self.p
    }

    /// What of p counts as applied.
    pub fn applied(&self) -> Option<&Message> {
        self.applied.as_ref()
    }

    /// e, as a vector in place.
    pub fn materialise(&mut self, layout: &Layout) -> &mut Vec<f32> {
        if let Some(applied) = self.applied.take() {
            decode_into(&applied, -1.0, &mut self.p, layout);
        }
        &mut self.p
    }

    /// Owes nothing any more.
    pub fn clear(&mut self) {
        self.applied = None;
        self.pending = None;
        self.p.fill(0.0);
    }

    /// What the compressor remembers, one memo a unit.
    pub fn memos_mut(&mut self) -> &mut Vec<Memo> {
        &mut self.memos
    }
}
