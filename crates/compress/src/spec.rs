//! The textual form of compressors, methods and scopes: `name:value,key=value,…`.
//!
//! `Display`, `FromStr` and serde agree everywhere. Positional values come before named ones; an
//! unknown word is answered with the known ones.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::compressors::{Entry, TABLE};
use crate::{Class, Compressor, Key, Memo, ParameterError, Payload, Unit, Update};

/// Why a textual form was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// A word that is not known.
    #[error("unknown {what} `{word}`; known: {known}")]
    Unknown {
        /// Compressor, method, option, …
        what: String,
        /// The word.
        word: String,
        /// The known ones, comma-separated.
        known: String,
    },
    /// A value that is missing.
    #[error("`{name}` needs {argument}")]
    Missing {
        /// The form's name.
        name: String,
        /// What is missing.
        argument: String,
    },
    /// A value that does not parse.
    #[error("`{name}`: {argument} = `{value}` is not {expected}")]
    Value {
        /// The form's name.
        name: String,
        /// Which argument.
        argument: String,
        /// What was written.
        value: String,
        /// What would be understood.
        expected: String,
    },
    /// A value out of its range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A parsed combination that is ruled out.
    #[error("{0}")]
    Refused(String),
}

impl SpecError {
    /// An unknown word among the known ones.
    pub fn unknown<'a>(what: &str, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        Self::Unknown { what: what.into(), word: word.into(), known }
    }
}

/// The arguments of one textual form, taken out one by one.
#[derive(Clone, Debug)]
pub struct Args {
    name: String,
    positional: Vec<String>,
    named: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

impl Args {
    /// Splits `name:a,b,key=c`. A value of `of=` takes the rest of the text, commas and all, so
    /// that forms nest.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (name, mut rest) = text.split_once(':').unwrap_or((text, ""));
        let mut args = Self { name: name.trim().into(), positional: Vec::new(), named: Vec::new(), asked: Vec::new() };
        while !rest.is_empty() {
            if let Some(inner) = rest.trim_start().strip_prefix("of=") {
                args.named.push(("of".into(), inner.into()));
                break;
            }
            let (word, tail) = rest.split_once(',').unwrap_or((rest, ""));
            match word.split_once('=') {
                Some((key, value)) => args.named.push((key.trim().into(), value.trim().into())),
                None => args.positional.push(word.trim().into()),
            }
            rest = tail;
        }
        args
    }

    /// The form's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the next positional value as it stands.
    pub fn word(&mut self) -> Option<String> {
        (!self.positional.is_empty()).then(|| self.positional.remove(0))
    }

    /// Takes a flag: a bare word such as `scaled`.
    pub fn flag(&mut self, word: &'static str) -> bool {
        self.asked.push(word);
        let found = self.positional.iter().position(|w| w == word);
        found.map(|i| self.positional.remove(i)).is_some()
    }

    /// Takes `key=value` and nothing else.
    pub fn named<T: Expected>(&mut self, key: &'static str) -> Result<Option<T>, SpecError> {
        self.asked.push(key);
        let found = self.named.iter().position(|(k, _)| k == key);
        found.map(|i| self.named.remove(i).1).map(|value| self.read(key, value)).transpose()
    }

    /// Takes `key=value`, or else the next positional value.
    pub fn optional<T: Expected>(&mut self, key: &'static str) -> Result<Option<T>, SpecError> {
        match self.named(key)? {
            Some(value) => Ok(Some(value)),
            None => self.word().map(|value| self.read(key, value)).transpose(),
        }
    }

    /// As [`optional`](Self::optional), and an error where there is neither.
    pub fn required<T: Expected>(&mut self, key: &'static str) -> Result<T, SpecError> {
        let missing = || SpecError::Missing { name: self.name.clone(), argument: format!("`{key}`, {}", T::EXPECTED) };
        let missing = missing();
        self.optional(key)?.ok_or(missing)
    }

    /// Refuses whatever was not taken.
    pub fn finish(self) -> Result<(), SpecError> {
        let left = self.named.into_iter().map(|(k, _)| k).chain(self.positional).next();
        match left {
            None => Ok(()),
            Some(word) if self.asked.is_empty() => {
                Err(SpecError::Unknown { what: format!("option of `{}`", self.name), word, known: "none".into() })
            }
            Some(word) => Err(SpecError::unknown(&format!("option of `{}`", self.name), &word, self.asked)),
        }
    }

    fn read<T: Expected>(&self, argument: &str, value: String) -> Result<T, SpecError> {
        value.parse().map_err(|_| SpecError::Value {
            name: self.name.clone(),
            argument: argument.into(),
            expected: T::EXPECTED.into(),
            value,
        })
    }
}

/// A type that can be an argument, with the words that say what is expected.
pub trait Expected: FromStr {
    /// As in "is not a number".
    const EXPECTED: &'static str;
}

impl Expected for f64 {
    const EXPECTED: &'static str = "a number";
}
impl Expected for usize {
    const EXPECTED: &'static str = "a whole number";
}
impl Expected for u64 {
    const EXPECTED: &'static str = "a whole number";
}
impl Expected for bool {
    const EXPECTED: &'static str = "`true` or `false`";
}
impl Expected for String {
    const EXPECTED: &'static str = "a word";
}
impl Expected for AnyCompressor {
    const EXPECTED: &'static str = "a compressor";
}
impl Expected for crate::payload::Format {
    const EXPECTED: &'static str = "`f32`, `f16` or `bf16`";
}

/// Any compressor, chosen at run time by its textual form: `topk:0.01`, `sign:scaled`, ….
#[derive(Clone, Debug)]
pub struct AnyCompressor(Arc<dyn Compressor>);

impl AnyCompressor {
    /// Wraps a compressor, own ones included.
    pub fn new(compressor: impl Compressor + 'static) -> Self {
        Self(Arc::new(compressor))
    }

    /// The compressor, shared.
    pub fn shared(&self) -> Arc<dyn Compressor> {
        self.0.clone()
    }

    /// Name, usage and meaning of every form that parses.
    pub fn table() -> &'static [Entry] {
        TABLE
    }
}

impl From<Arc<dyn Compressor>> for AnyCompressor {
    fn from(compressor: Arc<dyn Compressor>) -> Self {
        Self(compressor)
    }
}

impl FromStr for AnyCompressor {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut args = Args::parse(text);
        let entry = TABLE
            .iter()
            .find(|e| e.name == args.name())
            .ok_or_else(|| SpecError::unknown("compressor", args.name(), TABLE.iter().map(|e| e.usage)))?;
        let compressor = (entry.parse)(&mut args)?;
        args.finish()?;
        Ok(Self(compressor))
    }
}

impl fmt::Display for AnyCompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for AnyCompressor {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Compressor for AnyCompressor {
    fn class(&self, unit: &Unit) -> Class {
        self.0.class(unit)
    }

    fn is_linear(&self) -> bool {
        self.0.is_linear()
    }

    fn parts(&self) -> usize {
        self.0.parts()
    }

    fn compress(&self, x: &[f32], unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        self.0.compress(x, unit, key, memo)
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        self.0.feedback(p, update, unit, key, memo)
    }
}

/// Implements serde through `Display` and `FromStr`, so that the three agree.
#[macro_export]
#[doc(hidden)]
macro_rules! __serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub use crate::__serde_as_text as serde_as_text;

serde_as_text!(AnyCompressor);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_round_trips() {
        for entry in TABLE {
            for example in entry.examples {
                let parsed: AnyCompressor = example.parse().unwrap_or_else(|e| panic!("{example}: {e}"));
                let again: AnyCompressor = parsed.to_string().parse().unwrap();
                assert_eq!(parsed, again);
                let json = serde_json::to_string(&parsed).unwrap();
                assert_eq!(serde_json::from_str::<AnyCompressor>(&json).unwrap(), parsed);
            }
        }
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        let message = |text: &str| text.parse::<AnyCompressor>().unwrap_err().to_string();
        assert!(message("top").contains("unknown compressor `top`; known: identity"), "{}", message("top"));
        assert_eq!(message("topk:1.5"), "ratio 1.5 is outside (0, 1]");
        assert!(message("topk").contains("`topk` needs"));
        assert!(message("topk:x").contains("is not a number"));
        assert!(message("topk:0.1,colour=red").contains("unknown option of `topk` `colour`"));
        assert_eq!(message("topk:k=0"), "k must be at least 1, and is 0");
        assert_eq!(message("topk:nan"), "ratio NaN is outside (0, 1]");
    }
}
