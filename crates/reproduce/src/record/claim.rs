//! Published claims, and whether they hold in the numbers of a run.

use serde::{Deserialize, Serialize};

/// A claim, what it requires of the numbers, and what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// What is claimed.
    pub claim: String,
    /// The paper and the place in it.
    pub source: String,
    /// Whether it holds in this run; `null` where the rows it needs are missing, or not all there yet.
    pub holds: Option<bool>,
    /// The numbers.
    pub measured: String,
    /// What they must be.
    pub required: String,
    /// Whether curves are still unfinished: then nothing is decided.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl Claim {
    /// Judges a claim by what `judge` finds in the results: whether it holds, and the figures. `None`
    /// where rows are missing.
    pub fn judge(claim: &str, source: &str, required: &str, judge: impl FnOnce() -> Option<(bool, String)>) -> Self {
        let found = judge();
        let holds = found.as_ref().map(|f| f.0);
        let measured = found.map_or_else(|| "not measured: rows are missing".into(), |f| f.1);
        Self { claim: claim.into(), source: source.into(), holds, measured, required: required.into(), partial: false }
    }

    /// The claim of a run of which only so many seeds are finished: measured, and not decided.
    pub fn undecided(mut self, finished: u64, seeds: u64) -> Self {
        self.measured.push_str(&format!(" (partial: {finished} of {seeds} seeds)"));
        Self { holds: None, partial: true, ..self }
    }

    /// The verdict in a word.
    pub fn verdict(&self) -> &'static str {
        match self.holds {
            Some(true) => "holds",
            Some(false) => "fails",
            None if self.partial => "undecided",
            None => "not measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_five_fields() {
        let claim = Claim::judge("a", "b", "c", || Some((true, "d".into())));
        let text = r#"{"claim":"a","source":"b","holds":true,"measured":"d","required":"c"}"#;
        assert_eq!(serde_json::to_string(&claim).unwrap(), text);
        assert_eq!(Claim::judge("a", "b", "c", || None).verdict(), "not measured");
        let text = r#"{"claim":"a","source":"b","holds":null,"measured":"d (partial: 1 of 3 seeds)","required":"c","partial":true}"#;
        let claim = claim.undecided(1, 3);
        assert_eq!(serde_json::to_string(&claim).unwrap(), text);
        assert_eq!(claim.verdict(), "undecided");
    }
}
