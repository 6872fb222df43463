//! The trait that every compressor implements.

use std::fmt::{Debug, Display};

use crate::{Class, Key, Memo, Payload, Unit};

/// What moves the corrected gradient p on before it is compressed:
/// p ← (p − decode(last))·decay + gain·gradient, in that order and without fused multiply-add, so
/// that every device, and a resumed run, gets the same bits.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// What counts as applied of the p of the last step; `None` where nothing does.
    pub last: Option<&'a Payload>,
    /// The factor on the residual: γ_old/γ_new where the step size is kept outside, otherwise 1.
    pub decay: f32,
    /// The factor on the gradient: γ where the step size is inside, otherwise 1.
    pub gain: f32,
    /// The gradient, as long as p.
    pub gradient: &'a [f32],
}

/// A lossy map from a vector to a [`Payload`].
///
/// Immutable and object safe. Randomness comes from the [`Key`] alone; what has to be remembered
/// from step to step lives in the [`Memo`] that the caller owns. `Display` gives the textual form
/// that [`AnyCompressor`](crate::AnyCompressor) parses.
pub trait Compressor: Debug + Display + Send + Sync {
    /// What the error obeys on this unit.
    fn class(&self, unit: &Unit) -> Class;

    /// Whether C(x) + C(y) = C(x + y) under one key, so that messages may be summed on their way.
    fn is_linear(&self) -> bool {
        false
    }

    /// Of how many parts its payloads are sums, at most.
    fn parts(&self) -> usize {
        1
    }

    /// C(x), for `x` as long as the unit. What the payload decodes to is exactly what the receiver
    /// will see. `x` must be finite.
    fn compress(&self, x: &[f32], unit: &Unit, key: &Key, memo: &mut Memo) -> Payload;

    /// Moves p on as [`Update`] says, then C(p). The default composes the two; compressors whose
    /// time matters fuse them into one pass over memory, with the same bits as the result.
    fn feedback(&self, p: &mut [f32], update: Update<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        update.apply(p);
        self.compress(p, unit, key, memo)
    }
}
