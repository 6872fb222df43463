//! Compressors that error feedback may be put around.

use std::fmt;
use std::sync::Arc;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::layout::Unit;

/// A compressor that may stand under error feedback: contractive, non-expansive or absolute. Of these a contraction with
/// α > 0 and an absolute one with κ < ∞ keep the residual bounded, see [`Class`].
///
/// Such compressors convert by `Into`. The plain sign and an unscaled unbiased quantiser have no
/// conversion: with them the residual can grow without bound. Compressors parsed from text come
/// through `TryFrom`, with the reason where they are refused.
///
/// ```
/// # use backburn_compress::{AnyCompressor, Feedback, TopK};
/// let feedback: Feedback = TopK::ratio(0.01)?.into();
/// assert_eq!(feedback.to_string(), "topk:0.01");
/// assert!(Feedback::try_from("sign".parse::<AnyCompressor>()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Feedback(Arc<dyn Compressor>);

impl Feedback {
    /// For the conversions of this crate's own compressors, each beside its type.
    pub(crate) fn new(compressor: impl Compressor + 'static) -> Self {
        Self(Arc::new(compressor))
    }

    /// Takes any compressor, own ones included.
    ///
    /// # Errors
    /// Where its class on a unit of 4096 coordinates does not bear feedback.
    pub fn checked(compressor: Arc<dyn Compressor>) -> Result<Self, NotForFeedback> {
        let class = compressor.class(&Unit::vector("check", 4096));
        if class.bears_feedback() {
            Ok(Self(compressor))
        } else {
            Err(NotForFeedback { compressor: compressor.to_string(), class })
        }
    }

    /// The compressor.
    pub fn compressor(&self) -> &dyn Compressor {
        &*self.0
    }

    /// The compressor, shared.
    pub fn shared(&self) -> Arc<dyn Compressor> {
        self.0.clone()
    }
}

impl fmt::Display for Feedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What may be given where a method takes a `T`: [`Feedback`], or any compressor.
///
/// Every `Into<T>` does; this trait is there for the compiler to say why something does not:
///
/// ```compile_fail,E0277
/// # use backburn_compress::{Feedback, Fits, Sign};
/// fn method(compressor: impl Fits<Feedback>) {}
/// method(Sign); // ScaledSign does
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no compressor that may stand here as `{T}`",
    label = "not a `{T}`",
    note = "error feedback takes compressors whose error is bounded: instead of `Sign` take `ScaledSign`, instead of an unbiased quantiser `q` take `q.scaled()`",
    note = "an `AnyCompressor`, parsed from text, is checked when it runs: `Feedback::try_from(compressor)?`; one of your own by `Feedback::checked(Arc::new(compressor))?`",
    note = "constructors that check their arguments give a `Result`: `TopK::ratio(0.01)?`, with the question mark"
)]
pub trait Fits<T> {
    /// As what the method takes.
    fn fit(self) -> T;
}

#[diagnostic::do_not_recommend]
impl<T, C: Into<T>> Fits<T> for C {
    fn fit(self) -> T {
        self.into()
    }
}

/// A compressor that must not stand under error feedback.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "`{compressor}` cannot stand under error feedback: {}",
    match .class {
        Class::Unbiased(_) => "it is unbiased but not a contraction, so its residual can grow without bound; add `scaled` to divide it by 1+ω (Karimireddy et al. 2019, Remark 5)",
        _ => "its error has no bound relative to its input; use `sign:scaled` instead of `sign`",
    }
)]
pub struct NotForFeedback {
    /// The compressor's textual form.
    pub compressor: String,
    /// Its class.
    pub class: Class,
}
