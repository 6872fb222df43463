use std::fmt;

use crate::error::{ParameterError, check_ratio};
use crate::text::{Args, TextError};

/// How many coordinates of a unit are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Amount {
    Ratio(f64),
    Count(usize),
}

impl Amount {
    pub fn ratio(ratio: f64) -> Result<Self, ParameterError> {
        check_ratio(ratio).map(Self::Ratio)
    }

    pub fn count(k: usize) -> Result<Self, ParameterError> {
        if k == 0 { Err(ParameterError::Zero("k")) } else { Ok(Self::Count(k)) }
    }

    /// ⌈ratio·d⌉, or the count, at most d.
    pub fn of(self, len: usize) -> usize {
        match self {
            Self::Ratio(ratio) => ((ratio * len as f64).ceil() as usize).min(len),
            Self::Count(k) => k.min(len),
        }
    }

    pub fn parse(args: &mut Args) -> Result<Self, TextError> {
        Ok(match args.named("k")? {
            Some(k) => Self::count(k)?,
            None => Self::ratio(args.required("ratio")?)?,
        })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(ratio) => write!(f, "{ratio}"),
            Self::Count(k) => write!(f, "k={k}"),
        }
    }
}
