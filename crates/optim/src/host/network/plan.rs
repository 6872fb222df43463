//! How a step's messages get from everybody to everybody.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a step's messages get from everybody to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Plan {
    /// Everybody sends its message to everybody.
    Gather,
    /// Everybody serves a share of the coordinates: slices in, their mean out.
    Sharded,
    /// The workers of one machine add up their gradients as they are, and the machines gather.
    Hierarchical {
        /// Workers a machine.
        machine: NonZeroUsize,
    },
}

/// The plan of a run: a given one, or whichever is the cheaper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PlanChoice {
    /// Gathering, or sharded where the [model](super::Load) of what the last step sent says that it is faster. Both give
    /// the same bits.
    #[default]
    Auto,
    /// This one.
    Is(Plan),
}

/// Why there is no such plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown plan `{0}`; there are auto, gather, sharded and hierarchical:WORKERS, the workers of a machine")]
pub struct PlanError(String);

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gather => f.write_str("gather"),
            Self::Sharded => f.write_str("sharded"),
            Self::Hierarchical { machine } => write!(f, "hierarchical:{machine}"),
        }
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let machine = |n: &str| n.parse().ok().map(|machine| Self::Hierarchical { machine });
        match text.split_once(':') {
            None if text == "gather" => Some(Self::Gather),
            None if text == "sharded" => Some(Self::Sharded),
            Some(("hierarchical", n)) => machine(n),
            _ => None,
        }
        .ok_or_else(|| PlanError(text.into()))
    }
}

impl TryFrom<String> for Plan {
    type Error = PlanError;

    fn try_from(text: String) -> Result<Self, PlanError> {
        text.parse()
    }
}

impl From<Plan> for String {
    fn from(plan: Plan) -> Self {
        plan.to_string()
    }
}

impl fmt::Display for PlanChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Is(plan) => plan.fmt(f),
        }
    }
}

impl FromStr for PlanChoice {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Is) }
    }
}

impl TryFrom<String> for PlanChoice {
    type Error = PlanError;

    fn try_from(text: String) -> Result<Self, PlanError> {
        text.parse()
    }
}

impl From<PlanChoice> for String {
    fn from(plan: PlanChoice) -> Self {
        plan.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_serde_agree() {
        for text in ["gather", "sharded", "hierarchical:4"] {
            let plan: Plan = text.parse().unwrap();
            assert_eq!(plan.to_string(), text);
            assert_eq!(serde_json::from_str::<Plan>(&format!("\"{text}\"")).unwrap(), plan);
        }
        for text in ["auto", "sharded"] {
            assert_eq!(text.parse::<PlanChoice>().unwrap().to_string(), text);
        }
        for text in ["ring", "hierarchical", "hierarchical:0", "gather:2", ""] {
            let said = text.parse::<PlanChoice>().unwrap_err().to_string();
            assert!(said.contains(&format!("unknown plan `{text}`; there are auto,")), "{said}");
        }
    }
}
