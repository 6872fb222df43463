//! The names of groups, curves and metrics: a type each, so that none can stand where another is meant.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Keeps a text that was made while the program runs, once and until its end: an experiment has a few dozens. So a
/// name is as easily handed on as a number.
fn kept(text: String) -> &'static str {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.get(text.as_str()) {
        return known;
    }
    let text: &'static str = text.leak();
    kept.insert(text);
    text
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(&'static str);

        impl $name {
            /// Of a text in the code; others are made `From<String>`.
            pub const fn new(name: &'static str) -> Self {
                Self(name)
            }

            /// As text.
            pub const fn name(self) -> &'static str {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.0)
            }
        }

        /// As its text has it: cached curves are known by this.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(kept(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    };
}

name! {
    /// What belongs into one panel: a batch size, a number of workers, a compressor.
    GroupName
}

name! {
    /// A curve within its group, and in the legend: a method.
    CurveName
}

name! {
    /// The name of a measured number: in the file, in code and in a figure.
    Metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_text_wherever_that_comes_from() {
        const SGD: CurveName = CurveName::new("SGD");
        let made: CurveName = format!("S{}", "GD").into();
        assert_eq!(made, SGD);
        assert_eq!(
            (format!("{made}|{made:?}|{made:5}|"), String::from(made)),
            ("SGD|\"SGD\"|SGD  |".into(), "SGD".into())
        );
        assert_eq!(serde_json::to_string(&made).unwrap(), "\"SGD\"");
        assert_eq!(serde_json::from_str::<CurveName>("\"SGD\"").unwrap(), SGD);
    }
}
