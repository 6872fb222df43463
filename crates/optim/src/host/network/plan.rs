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
    /// [Hierarchical](Plan::Hierarchical), by the machines that the processes of a run find themselves on: whoever has
    /// launched them [says](Self::on_machines) how many workers each has.
    Machines,
    /// This one.
    Is(Plan),
}

/// Why there is no such plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown plan `{0}`; there are auto, gather, sharded, hierarchical (by the machines of an MPI run) and \
         hierarchical:WORKERS, the workers of a machine"
)]
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
            Self::Machines => f.write_str("hierarchical"),
            Self::Is(plan) => plan.fmt(f),
        }
    }
}

impl PlanChoice {
    /// The choice where every machine has so many workers.
    pub fn on_machines(self, machine: NonZeroUsize) -> Self {
        if self == Self::Machines { Self::Is(Plan::Hierarchical { machine }) } else { self }
    }
}

impl FromStr for PlanChoice {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        match text {
            "auto" => Ok(Self::Auto),
            "hierarchical" => Ok(Self::Machines),
            _ => text.parse().map(Self::Is),
        }
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
        for text in ["auto", "sharded", "hierarchical", "hierarchical:3"] {
            assert_eq!(text.parse::<PlanChoice>().unwrap().to_string(), text);
        }
        let machine = NonZeroUsize::new(3).unwrap();
        assert_eq!(PlanChoice::Machines.on_machines(machine).to_string(), "hierarchical:3");
        assert_eq!(PlanChoice::Auto.on_machines(machine), PlanChoice::Auto);
        for text in ["ring", "hierarchical:", "hierarchical:0", "gather:2", ""] {
            let said = text.parse::<PlanChoice>().unwrap_err().to_string();
            assert!(said.contains(&format!("unknown plan `{text}`; there are auto,")), "{said}");
        }
    }
}
