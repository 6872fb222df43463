//! How large a reproduction is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ReproduceError;

/// How large a reproduction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// The smallest that runs through all of the code. For tests: its claims mean nothing.
    Smoke,
    /// Minutes on two cores, and still shows the claims.
    Small,
    /// What two cores do in nights: a small residual network on the whole of a published set. Not every experiment has
    /// such a form.
    Medium,
    /// The published settings.
    Paper,
}

impl Scale {
    /// The value for this scale; at medium scale that of small, where an experiment says nothing else.
    pub fn pick<T>(self, smoke: T, small: T, paper: T) -> T {
        match self {
            Self::Smoke => smoke,
            Self::Small | Self::Medium => small,
            Self::Paper => paper,
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Medium { "medium" } else { self.pick("smoke", "small", "paper") })
    }
}

impl FromStr for Scale {
    type Err = ReproduceError;

    fn from_str(text: &str) -> Result<Self, ReproduceError> {
        match text {
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "paper" => Ok(Self::Paper),
            other => Err(ReproduceError::Scale(other.into())),
        }
    }
}
