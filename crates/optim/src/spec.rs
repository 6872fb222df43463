//! The textual form of methods: `ef-sgd:momentum=0.9,weight-decay=5e-4`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use backburn_compress::AnyCompressor;
use backburn_compress::spec::{Args, SpecError, serde_as_text};

use crate::algorithms::{Entry, TABLE};
use crate::erased::Erased;
use crate::{Algorithm, SetupError};

/// Any method, chosen at run time by its textual form.
#[derive(Clone, Debug)]
pub struct AnyAlgorithm(pub(crate) Arc<dyn Erased>);

impl AnyAlgorithm {
    /// Wraps a method, own ones included.
    pub fn new(algorithm: impl Algorithm) -> Self {
        Self(Arc::new(algorithm))
    }

    /// Name, usage and meaning of every form that parses.
    pub fn table() -> &'static [Entry] {
        TABLE
    }

    /// Whether this method takes the compressor, and if not, why.
    pub fn check(&self, compressor: &AnyCompressor) -> Result<(), SetupError> {
        self.0.take(compressor.clone()).map(|_| ())
    }

    /// Whether any optimizer may follow the decoded result, see [`Algorithm::leaves_step_open`].
    pub fn leaves_step_open(&self) -> bool {
        self.0.leaves_step_open()
    }

    /// Whether its host must serve more than gradients at the current x, see
    /// [`Algorithm::asks_elsewhere`].
    pub fn asks_elsewhere(&self) -> bool {
        self.0.asks_elsewhere()
    }

    /// Whether each node has its own x, see [`Algorithm::is_gossip`].
    pub fn is_gossip(&self) -> bool {
        self.0.is_gossip()
    }
}

impl FromStr for AnyAlgorithm {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut args = Args::parse(text);
        let entry = TABLE
            .iter()
            .find(|e| e.name == args.name())
            .ok_or_else(|| SpecError::unknown("algorithm", args.name(), TABLE.iter().map(|e| e.name)))?;
        let algorithm = (entry.parse)(&mut args)?;
        args.finish()?;
        Ok(algorithm)
    }
}

impl fmt::Display for AnyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for AnyAlgorithm {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

serde_as_text!(AnyAlgorithm);

/// Writes `name` and the arguments that are not at their defaults.
pub(crate) fn write_form(f: &mut fmt::Formatter<'_>, name: &str, arguments: &[(&str, String)]) -> fmt::Result {
    f.write_str(name)?;
    let written = arguments.iter().filter(|(_, value)| !value.is_empty());
    for (i, (key, value)) in written.enumerate() {
        f.write_str(if i == 0 { ":" } else { "," })?;
        if key.is_empty() { f.write_str(value)? } else { write!(f, "{key}={value}")? }
    }
    Ok(())
}

/// A value's text, or nothing where it is at its default.
pub(crate) fn unless<T: PartialEq + fmt::Display>(value: T, default: T) -> String {
    if value == default { String::new() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_round_trips() {
        for entry in TABLE {
            for example in entry.examples {
                let parsed: AnyAlgorithm = example.parse().unwrap_or_else(|e| panic!("{example}: {e}"));
                let again: AnyAlgorithm = parsed.to_string().parse().unwrap_or_else(|e| panic!("{parsed}: {e}"));
                assert_eq!(parsed, again);
                let json = serde_json::to_string(&parsed).unwrap();
                assert_eq!(serde_json::from_str::<AnyAlgorithm>(&json).unwrap(), parsed);
            }
        }
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        let message = |text: &str| text.parse::<AnyAlgorithm>().unwrap_err().to_string();
        assert!(message("adam").starts_with("unknown algorithm `adam`; known: sgd, "));
        assert!(message("ef-sgd:momentum=1.5").contains("momentum = 1.5 is outside [0, 1)"));
        assert!(message("ef-sgd:beta=0.9").contains("unknown option of `ef-sgd` `beta`; known: "));
    }
}
