//! Compressors that error feedback may be put around.

use std::fmt;
use std::sync::Arc;

use crate::{AnyCompressor, Class, Compressor, Unit};

/// A compressor whose residual stays bounded under error feedback: contractive or absolute.
///
/// Such compressors convert by `Into`. The plain sign and an unscaled unbiased quantiser have no
/// conversion: with them the residual can grow without bound. Compressors parsed from text come
/// through `TryFrom`, with the reason where they are refused.
#[derive(Clone, Debug)]
pub struct Feedback(Arc<dyn Compressor>);

impl Feedback {
    /// For the conversions of this crate's own compressors, each beside its type.
    pub(crate) fn new(compressor: impl Compressor + 'static) -> Self {
        Self(Arc::new(compressor))
    }

    /// Takes any compressor, own ones included, if its class on a unit of 4096 coordinates bears
    /// feedback.
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

impl TryFrom<AnyCompressor> for Feedback {
    type Error = NotForFeedback;

    fn try_from(compressor: AnyCompressor) -> Result<Self, NotForFeedback> {
        Self::checked(compressor.shared())
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
