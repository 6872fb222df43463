//! The trait that every compressor implements.

use std::fmt::{Debug, Display};

use crate::class::Class;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::Payload;
use crate::source::Source;

/// A lossy map from a vector to a [`Payload`].
///
/// Immutable and object safe. Randomness comes from the [`Key`] alone; what has to be remembered
/// from step to step lives in the [`Memo`] that the caller owns. `Display` gives the textual form,
/// every argument in it.
///
/// One verb serves a vector at rest and a corrected gradient that first moves on: a compressor looks at its
/// [`Source`] by primitives, and the first of them moves the vector on in its own pass. So a compressor of one's own
/// is as fused as those that stand here:
///
/// ```
/// use std::fmt;
/// use backburn_compress::payload::{Sparse, Values};
/// use backburn_compress::{Class, Compressor, Feedback, Key, Memo, Payload, Source, Unit, Update};
///
/// /// Keeps what exceeds half the mean magnitude.
/// #[derive(Debug)]
/// struct AboveHalfMean;
///
/// impl fmt::Display for AboveHalfMean {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("above-half-mean")
///     }
/// }
///
/// impl Compressor for AboveHalfMean {
///     fn class(&self, unit: &Unit) -> Class {
///         Class::Contractive(1.0 / unit.len().max(1) as f64) // the largest coordinate is always kept
///     }
///
///     fn compress(&self, mut source: Source<'_>, unit: &Unit, _: &Key, _: &mut Memo) -> Payload {
///         let mean = source.magnitudes() / unit.len().max(1) as f64;
///         let kept = source.above((0.5 * mean) as f32);
///         Sparse { len: unit.len(), indices: kept.indices, values: Values::F32(kept.values) }.into()
///     }
/// }
///
/// let (unit, key, mut memo) = (Unit::vector("w", 4), Key::new(1), Memo::default());
/// let said = AboveHalfMean.compress(Source::still(&[4.0, -0.1, 0.2, -3.0]), &unit, &key, &mut memo);
/// assert_eq!(said.decode(), [4.0, 0.0, 0.0, -3.0]);
///
/// // Under error feedback what was not sent is there in the next step.
/// let mut p = [4.0, -0.1, 0.2, -3.0];
/// let update = Update { last: Some(&said), decay: 1.0, gain: 1.0, gradient: &[0.0, 0.0, 0.5, 0.0] };
/// let next = AboveHalfMean.compress(Source::moving(&mut p, update), &unit, &key, &mut memo);
/// assert_eq!(p, [0.0, -0.1, 0.7, 0.0]);
/// assert_eq!(next.decode(), [0.0, -0.1, 0.7, 0.0]);
///
/// assert!(Feedback::checked(std::sync::Arc::new(AboveHalfMean)).is_ok());
/// ```
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

    /// C(x), for a source as long as the unit, which it leaves at rest. What the payload decodes to is exactly what
    /// the receiver will see. Every coordinate must be finite.
    fn compress(&self, source: Source<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload;
}
