//! What was recorded.

use serde::Deserialize;

use super::{Array, Outcome, Replayed};

/// One recorded run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Case {
    /// Names it.
    pub id: String,
    /// `{"name": …}` and the method's options.
    pub method: Options,
    /// `{"kind": …}` and the compressor's options; `scope`: `global` or `parameter`.
    pub compressor: Options,
    /// γ_t of every step.
    pub lr: Vec<f64>,
    /// The parameters at the start.
    pub x0: Vec<Array>,
    /// The gradients, by step, worker and parameter: the same wherever x is.
    pub trace: Vec<Vec<Vec<Array>>>,
    /// Added to the gradients.
    #[serde(default)]
    pub noise: Option<Vec<Vec<Vec<Array>>>>,
    /// x_0 … x_T as they ought to be.
    #[serde(default)]
    pub iterates: Option<Vec<Vec<Array>>>,
}

/// A JSON object of names and plain values.
pub type Options = serde_json::Map<String, serde_json::Value>;

/// Reads a JSON array of cases; one that is malformed does not keep the others from running.
///
/// # Errors
/// Where it is no such array.
pub fn read(json: &str) -> Result<Vec<Result<Case, Replayed>>, serde_json::Error> {
    let cases: Vec<serde_json::Value> = serde_json::from_str(json.trim_start_matches('\u{feff}'))?;
    let case = |(i, case): (usize, serde_json::Value)| {
        let id = case.get("id").and_then(|id| id.as_str()).map_or_else(|| format!("case {i}"), str::to_string);
        let failed = |e: serde_json::Error| Replayed { id, outcome: Outcome::Failed { error: e.to_string() } };
        serde_json::from_value(case).map_err(failed)
    };
    Ok(cases.into_iter().enumerate().map(case).collect())
}
