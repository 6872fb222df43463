//! What compressors a method takes: the types say where error feedback would not bear one.

use std::sync::Arc;

use backburn_compress::{AnyCompressor, Compressor, Feedback, NotForFeedback, ParameterError};

/// Why a method does not take a compressor.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// It must not stand under feedback.
    #[error(transparent)]
    Compressor(#[from] NotForFeedback),
    /// What the method makes of it cannot be.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

/// What compressors a method takes.
pub trait Takes: Sized + Send + Sync {
    /// Takes a parsed compressor.
    ///
    /// # Errors
    /// Where the method does not go with it, with the reason.
    fn parsed(compressor: AnyCompressor) -> Result<Self, NotForFeedback>;
    /// The compressor.
    fn compressor(self) -> Arc<dyn Compressor>;
}

impl Takes for Feedback {
    fn parsed(compressor: AnyCompressor) -> Result<Self, NotForFeedback> {
        compressor.try_into()
    }

    fn compressor(self) -> Arc<dyn Compressor> {
        self.shared()
    }
}

/// Any compressor at all, for methods without feedback.
#[derive(Clone, Debug)]
pub struct Plain(Arc<dyn Compressor>);

impl<C: Compressor + 'static> From<C> for Plain {
    fn from(compressor: C) -> Self {
        Self(Arc::new(compressor))
    }
}

impl Takes for Plain {
    fn parsed(compressor: AnyCompressor) -> Result<Self, NotForFeedback> {
        Ok(Self(compressor.shared()))
    }

    fn compressor(self) -> Arc<dyn Compressor> {
        self.0
    }
}
