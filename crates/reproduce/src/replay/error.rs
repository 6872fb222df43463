//! Why a case was not run.

use backburn_compress::TextError;
use backburn_optim::{RoundError, SetupError};

/// Why a case was not run to its end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A method, a compressor or an option that this build does not have.
    #[error("{0}")]
    Unsupported(String),
    /// Lists of other lengths or shapes than the case needs.
    #[error("{0}")]
    Malformed(String),
    /// The run failed.
    #[error(transparent)]
    Round(#[from] RoundError),
}

impl From<SetupError> for ReplayError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Compressor(_) => Self::Unsupported(error.to_string()),
            _ => Self::Malformed(error.to_string()),
        }
    }
}

impl From<TextError> for ReplayError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Unknown { .. } | TextError::Refused(_) => Self::Unsupported(error.to_string()),
            _ => Self::Malformed(error.to_string()),
        }
    }
}
