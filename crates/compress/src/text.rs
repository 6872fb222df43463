//! The grammar of textual forms, `name:value,key=value,…`, in which compressors, methods and scopes are named.
//!
//! `Display`, `FromStr` and serde agree everywhere. Positional values come before named ones. What is not understood is
//! refused with what would be. A [`Form`] is one row of a table, and the table is the list: it parses, it is what help
//! shows, and every law runs on its examples. The grammar knows no table.

use std::fmt;
use std::str::FromStr;

use crate::error::ParameterError;

/// Why a textual form was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A word that is not known.
    #[error("unknown {what} `{word}`; {}known: {known}", .meant.as_ref().map(|m| format!("did you mean `{m}`? ")).unwrap_or_default())]
    Unknown {
        /// Compressor, method, option, …
        what: String,
        /// The word.
        word: String,
        /// The known ones, comma-separated.
        known: String,
        /// The known one that is nearest, if any is near.
        meant: Option<String>,
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
    /// An argument that is given more than once.
    #[error("`{name}`: `{argument}` is given twice")]
    Twice {
        /// The form's name.
        name: String,
        /// Which argument.
        argument: String,
    },
    /// A comma between digits, which separates two arguments and was perhaps not meant to.
    #[error(
        "`{name}`: `{whole},{part}` are two arguments, since a comma separates; write `{whole}.{part}` for a decimal"
    )]
    DecimalComma {
        /// The form's name.
        name: String,
        /// What stands before the comma.
        whole: String,
        /// What stands behind it.
        part: String,
    },
    /// Forms within forms without an end.
    #[error("a form within a form, {given} deep; {NESTED} is the most")]
    Nested {
        /// How deep.
        given: usize,
    },
    /// A value out of its range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A parsed combination that is ruled out.
    #[error("{0}")]
    Refused(String),
}

impl TextError {
    /// An unknown word among the known ones, with the nearest of them.
    pub fn unknown<'a>(what: &str, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let meant = nearest(word, known.iter().copied()).map(str::to_owned);
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        Self::Unknown { what: what.into(), word: word.into(), known, meant }
    }
}

/// The known word that `word` may have been meant to be: one that it begins or that begins it, or within two letters.
/// Of a usage such as `topk:RATIO` only the name counts.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    let name = |usage: &'a str| usage.split([':', '[', '=', '|']).next().unwrap_or(usage);
    let far = |known: &str| match edits(&word, known) {
        _ if known.is_empty() || word.is_empty() => None,
        _ if known.starts_with(&word) || word.starts_with(known) => Some(0),
        n if n <= 2 && 2 * n <= letters => Some(n),
        _ => None,
    };
    known.into_iter().map(name).filter_map(|k| Some((far(k)?, k))).min_by_key(|(n, _)| *n).map(|(_, k)| k)
}

/// Letters to insert, delete or replace on the way from one word to the other (Levenshtein 1966).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Forms within one form, one in the other, at most. They are read by recursion.
pub const NESTED: usize = 16;

/// One row of a table of textual forms.
#[derive(Debug)]
pub struct Form<T: 'static> {
    /// The word before the colon.
    pub name: &'static str,
    /// The form with its arguments.
    pub usage: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The equation, in the paper's symbols.
    pub equation: &'static str,
    /// Paper, authors, year.
    pub source: &'static str,
    /// Where to read it: an arXiv or DOI address.
    pub link: &'static str,
    /// Every argument that may be left out, as `name=default`, and its meaning.
    pub defaults: &'static [(&'static str, &'static str)],
    /// Forms that parse; tests run each of them through every law.
    pub examples: &'static [&'static str],
    /// Takes its arguments and builds it.
    pub parse: fn(&mut Args) -> Result<T, TextError>,
}

impl<T> Form<T> {
    /// What `text` names in `table`, a list of `what`.
    ///
    /// # Errors
    /// Where the name is in no row, an argument does not parse, is missing, is given twice or is not known, or forms
    /// are nested too deep.
    pub fn read(table: &'static [&'static Self], what: &'static str, text: &str) -> Result<T, TextError> {
        let given = text.matches("of=").count();
        if given > NESTED {
            return Err(TextError::Nested { given });
        }
        let mut args = Args::parse(text);
        let row = table.iter().find(|row| row.name == args.name());
        let row = row.ok_or_else(|| TextError::unknown(what, args.name(), table.iter().map(|row| row.name)))?;
        let comma = args.decimal_comma();
        let read = (row.parse)(&mut args).and_then(|parsed| args.finish().map(|()| parsed));
        read.map_err(|error| comma.unwrap_or(error))
    }
}

/// The arguments of one textual form, taken out one by one.
#[derive(Clone, Debug)]
pub struct Args {
    name: String,
    positional: Vec<String>,
    named: Vec<(String, String)>,
    asked: Vec<&'static str>,
    taken: Vec<&'static str>,
}

impl Args {
    /// Splits `name:a,b,key=c`. A value of `of=` takes the rest of the text, commas and all, so
    /// that forms nest.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (name, mut rest) = text.split_once(':').unwrap_or((text, ""));
        let (positional, named) = (Vec::new(), Vec::new());
        let mut args = Self { name: name.trim().into(), positional, named, asked: Vec::new(), taken: Vec::new() };
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
        let before = self.positional.len();
        self.positional.retain(|w| w != word);
        let found = before - self.positional.len();
        // One too many is left for `finish` to find, not for the next positional value.
        self.named.extend((1..found).map(|_| (word.to_owned(), String::new())));
        self.taken.extend((found > 0).then_some(word));
        found > 0
    }

    /// Takes `key=value` and nothing else.
    ///
    /// # Errors
    /// Where the value does not parse.
    pub fn named<T: Expected>(&mut self, key: &'static str) -> Result<Option<T>, TextError> {
        self.asked.push(key);
        let Some(found) = self.named.iter().position(|(k, _)| k == key) else { return Ok(None) };
        self.taken.push(key);
        let value = self.named.remove(found).1;
        self.read(key, value).map(Some)
    }

    /// Takes `key=value`, or else the next positional value.
    ///
    /// # Errors
    /// Where the value does not parse.
    pub fn optional<T: Expected>(&mut self, key: &'static str) -> Result<Option<T>, TextError> {
        match self.named(key)? {
            Some(value) => Ok(Some(value)),
            None if self.positional.is_empty() => Ok(None),
            None => {
                let value = self.take_positional(key, 0);
                self.read(key, value).map(Some)
            }
        }
    }

    /// As [`optional`](Self::optional), and an error where there is neither.
    ///
    /// # Errors
    /// Where the value is missing or does not parse.
    pub fn required<T: Expected>(&mut self, key: &'static str) -> Result<T, TextError> {
        let missing = TextError::Missing { name: self.name.clone(), argument: format!("`{key}`, {}", T::EXPECTED) };
        self.optional(key)?.ok_or(missing)
    }

    /// Refuses whatever was not taken.
    ///
    /// # Errors
    /// Where an argument is left: one that nobody asked for, or one that was taken already.
    pub fn finish(self) -> Result<(), TextError> {
        let left = self.named.into_iter().map(|(k, _)| k).chain(self.positional).next();
        match left {
            None => Ok(()),
            Some(argument) if self.taken.iter().any(|taken| *taken == argument) => {
                Err(TextError::Twice { name: self.name, argument })
            }
            Some(word) => Err(TextError::unknown(&format!("option of `{}`", self.name), &word, self.asked)),
        }
    }

    /// Two bare numbers in a row that may be one.
    fn decimal_comma(&self) -> Option<TextError> {
        let digits = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        let pair = self.positional.windows(2).find(|pair| digits(&pair[0]) && digits(&pair[1]))?;
        Some(TextError::DecimalComma { name: self.name.clone(), whole: pair[0].clone(), part: pair[1].clone() })
    }

    fn take_positional(&mut self, as_what: &'static str, i: usize) -> String {
        self.taken.push(as_what);
        self.positional.remove(i)
    }

    fn read<T: Expected>(&self, argument: &str, value: String) -> Result<T, TextError> {
        value.parse().map_err(|_| TextError::Value {
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

impl<T> fmt::Display for Form<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.usage)
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
pub use __serde_as_text as serde_as_text;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(args: &mut Args) -> Result<(f64, bool), TextError> {
        let scaled = args.flag("scaled");
        Ok((args.required("ratio")?, scaled || args.named("values")?.unwrap_or(false)))
    }

    const ROW: Form<(f64, bool)> = Form {
        name: "topk",
        usage: "topk:RATIO[,values=BOOL][,scaled]",
        about: "",
        equation: "",
        source: "",
        link: "",
        defaults: &[],
        examples: &[],
        parse: row,
    };
    static TABLE: &[&Form<(f64, bool)>] = &[&ROW, &Form { name: "randk", usage: "randk:RATIO", ..ROW }];

    #[test]
    fn refusals_say_what_would_be_understood() {
        let refusal = |text: &str| Form::read(TABLE, "compressor", text).unwrap_err().to_string();
        assert_eq!(Form::read(TABLE, "compressor", " topk: 0.5 , scaled"), Ok((0.5, true)));
        let names = "topk, randk";
        for (word, meant) in
            [("top", "topk"), ("tpok", "topk"), ("topk2", "topk"), ("Randk", "randk"), ("rondl", "randk")]
        {
            assert_eq!(refusal(word), format!("unknown compressor `{word}`; did you mean `{meant}`? known: {names}"));
        }
        assert_eq!(refusal("qsgd"), format!("unknown compressor `qsgd`; known: {names}"));
        assert_eq!(
            refusal("topk:0.5,value=true"),
            "unknown option of `topk` `value`; did you mean `values`? known: scaled, ratio, values"
        );
        assert_eq!(refusal("topk:ratio=0.5,ratio=1"), "`topk`: `ratio` is given twice");
        assert_eq!(refusal("topk:0.5,scaled,scaled"), "`topk`: `scaled` is given twice");
        assert_eq!(refusal("topk:0.5,values=true,values=true"), "`topk`: `values` is given twice");
        assert!(refusal("topk:0,5").ends_with("write `0.5` for a decimal"));
        assert_eq!(refusal("topk"), "`topk` needs `ratio`, a number");
        assert_eq!(refusal("topk:x"), "`topk`: ratio = `x` is not a number");
    }

    #[test]
    fn edits_are_levenshtein_s() {
        for (a, b, n) in [("", "abc", 3), ("kitten", "sitting", 3), ("topk", "topk", 0), ("flaw", "lawn", 2)] {
            assert_eq!((edits(a, b), edits(b, a)), (n, n));
        }
    }
}
