//! Any compressor, chosen at run time, and the table of all of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{
    count_sketch, dct, fcc, hard_threshold, identity, low_rank, natural, one_bit, qsgd, random_k, sign, tern_grad,
    top_k, two_bit,
};
use crate::class::Class;
use crate::compressor::Compressor;
use crate::feedback::{Feedback, NotForFeedback};
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::Payload;
use crate::source::Source;
use crate::text::{Expected, Form, TextError, serde_as_text};

/// All textual forms: a new compressor adds its row.
static TABLE: &[&Form<Arc<dyn Compressor>>] = &[
    &identity::FORM,
    &sign::FORM,
    &one_bit::FORM,
    &two_bit::FORM,
    &top_k::FORM,
    &random_k::FORM,
    &hard_threshold::FORM,
    &qsgd::FORM,
    &tern_grad::FORM,
    &natural::FORM,
    &low_rank::FORM,
    &count_sketch::FORM,
    &fcc::FORM,
    &dct::FORM,
];

/// Any compressor, chosen at run time by its textual form: `topk:0.01`, `sign:scaled`, ….
///
/// Two are equal where their parsed arguments are: `Display` writes every argument, defaults too, in one order.
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

    /// Every form that parses, with its meaning, source and defaults.
    pub fn table() -> &'static [&'static Form<Arc<dyn Compressor>>] {
        TABLE
    }
}

impl From<Arc<dyn Compressor>> for AnyCompressor {
    fn from(compressor: Arc<dyn Compressor>) -> Self {
        Self(compressor)
    }
}

impl FromStr for AnyCompressor {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Form::read(TABLE, "compressor", text).map(Self)
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

impl Expected for AnyCompressor {
    const EXPECTED: &'static str = "a compressor";
}

serde_as_text!(AnyCompressor);

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

    fn compress(&self, source: Source<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        self.0.compress(source, unit, key, memo)
    }
}

impl TryFrom<AnyCompressor> for Feedback {
    type Error = NotForFeedback;

    fn try_from(compressor: AnyCompressor) -> Result<Self, NotForFeedback> {
        Self::checked(compressor.shared())
    }
}

impl FromStr for Feedback {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        text.parse::<AnyCompressor>()?.try_into().map_err(|e: NotForFeedback| TextError::Refused(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_round_trips() {
        for row in TABLE {
            for example in row.examples {
                let parsed: AnyCompressor = example.parse().unwrap_or_else(|e| panic!("{example}: {e}"));
                let again: AnyCompressor = parsed.to_string().parse().unwrap();
                assert_eq!(parsed, again);
                let json = serde_json::to_string(&parsed).unwrap();
                assert_eq!(serde_json::from_str::<AnyCompressor>(&json).unwrap(), parsed);
            }
        }
    }

    #[test]
    fn every_row_says_what_it_is() {
        for row in TABLE {
            assert!(
                row.usage.starts_with(row.name) && !row.about.is_empty() && !row.examples.is_empty(),
                "{}",
                row.name
            );
            assert!(row.equation.contains('C') && row.source.contains(char::is_numeric), "{}", row.name);
            let address = row.link.strip_prefix("https://").expect(row.name);
            assert!(address.starts_with("arxiv.org/abs/") || address.starts_with("doi.org/10."), "{}", row.link);
            // A default is what the form means that leaves it out.
            for (default, meaning) in row.defaults {
                let argument = default.split('=').next().unwrap();
                assert!(row.usage.contains(argument) && !meaning.is_empty(), "{} {default}", row.name);
            }
        }
    }

    #[test]
    fn defaults_are_what_forms_mean_that_leave_them_out() {
        for (short, long) in [
            ("qsgd", "qsgd:s=15,bucket=512,norm=l2"),
            ("qsgd:scaled", "qsgd:15,bucket=512,scaled"),
            ("terngrad", "terngrad:bucket=512"),
            ("topk:0.1", "topk:ratio=0.1,values=f32"),
            ("sketch:0.2", "sketch:0.2,rows=5"),
        ] {
            assert_eq!(short.parse::<AnyCompressor>().unwrap(), long.parse().unwrap());
        }
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        let message = |text: &str| text.parse::<AnyCompressor>().unwrap_err().to_string();
        assert!(message("top").starts_with("unknown compressor `top`; did you mean `topk`? known: identity, "));
        assert!(TABLE.iter().all(|row| message("top").contains(row.name)));
        assert_eq!(message("topk:1.5"), "ratio 1.5 is outside (0, 1]");
        assert!(message("topk").contains("`topk` needs"));
        assert!(message("topk:x").contains("is not a number"));
        assert!(message("topk:0.1,colour=red").contains("unknown option of `topk` `colour`"));
        assert_eq!(message("topk:k=0"), "k must be at least 1, and is 0");
        assert_eq!(message("topk:nan"), "ratio NaN is outside (0, 1]");
        assert!(message("topk:0,1").contains("write `0.1`"));
        assert!(message("fcc:rounds=2,of=topk:0,1").contains("write `0.1`"));
        // Read by recursion: 10⁵ forms in one another overflowed the stack.
        let nested = |deep: usize| "fcc:rounds=1,of=".repeat(deep) + "topk:0.1";
        assert!(nested(16).parse::<AnyCompressor>().is_ok());
        assert_eq!(message(&nested(17)), "a form within a form, 17 deep; 16 is the most");
        assert_eq!(message(&nested(100_000)), "a form within a form, 100000 deep; 16 is the most");
        assert!(message("qsgd:scaled,scaled").contains("given twice"));
    }
}
