//! What became of a case.

use serde::Serialize;

use super::Array;

/// What a replay came to, as it is printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// The case's.
    pub id: String,
    /// What was computed.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Replayed {
    /// Whether the case ran, and agrees with its iterates where it has any. Unsupported cases are
    /// neither right nor wrong, and count as agreeing.
    pub fn agrees(&self) -> bool {
        match &self.outcome {
            Outcome::Ran(ran) => ran.agrees,
            Outcome::Unsupported { .. } => true,
            Outcome::Failed { .. } => false,
        }
    }
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It ran.
    Ran(Ran),
    /// It needs something that this build does not have.
    Unsupported {
        /// What.
        unsupported: String,
    },
    /// It is malformed or its run failed.
    Failed {
        /// Why.
        error: String,
    },
}

/// A run's results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ran {
    /// x_0 … x_T; under gossip node 0's.
    pub iterates: Vec<Vec<Array>>,
    /// Bytes that the workers sent, over all workers and steps.
    pub bytes_up: u64,
    /// Bytes that reached the workers from a server, or from their neighbours.
    pub bytes_down: u64,
    /// ‖e_i‖₂ of every worker at the end.
    pub residual_norms: Vec<f64>,
    /// The largest difference from the case's iterates, where it has any; the largest number there is where
    /// an iterate is none.
    pub max_error: Option<f64>,
    /// Whether every difference is within [`tolerance`].
    #[serde(skip)]
    pub agrees: bool,
}

/// How far a value may lie from the recorded one: 1e-5 + 1e-4·|y|.
pub fn tolerance(y: f64) -> f64 {
    1e-5 + 1e-4 * y.abs()
}
