//! How a claim is judged: by a test that is fixed before the run. Each test is a file.
//!
//! All of them draw on numbers that were recorded, and give a [`Verdict`] with its figures. Where numbers
//! are random the verdict has a stated confidence, [`CONFIDENCE`]; where neither the claim nor its opposite
//! reaches it, the claim is undecided.

mod bound;
mod equality;
mod exact;
mod interval;
mod paired;
mod share;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use bound::Bound;
pub use equality::Equality;
pub use exact::Exact;
pub use paired::Paired;
pub use share::Share;

/// The confidence of each verdict on random numbers, one-sided.
pub const CONFIDENCE: f64 = 0.95;

/// What the numbers say of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They show it.
    Holds,
    /// They show its opposite.
    Fails,
    /// They are too few, or too near to the line.
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Undecided => "undecided",
        })
    }
}

/// Which test judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestKind {
    /// [`Paired`].
    Paired,
    /// [`Bound`].
    Bound,
    /// [`Equality`].
    Equality,
    /// [`Share`].
    Share,
    /// [`Exact`]: nothing is random, so it is never undecided.
    Exact,
}

/// What a test found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// Its numbers.
    pub figures: String,
}

/// A test, with all that it requires.
///
/// ```
/// use backburn_reproduce::judge::{Exact, Test};
/// use backburn_reproduce::{Claim, Verdict};
///
/// let test = Exact::at_most("largest difference", 1e-6);
/// assert_eq!(test.judge(&0.0, 1).verdict, Verdict::Holds);
/// let claim = Claim::about("nothing is lost", "Algorithm 2").part("", test, Some(0.5)).judged();
/// assert_eq!(claim.verdict, Some(Verdict::Fails));
/// ```
pub trait Test {
    /// What it judges.
    type Evidence;
    /// Which it is.
    const KIND: TestKind;

    /// What the numbers must be, with the confidence.
    fn required(&self) -> String;

    /// Judges. A claim of several parts fails where one of them does; so that this errs no more often than
    /// a claim of one part, each of `parts` must show its opposite with so many times less room for error
    /// (Bonferroni). It holds where all parts do, which needs no such care (Berger 1982,
    /// <https://doi.org/10.1080/00401706.1982.10487790>).
    fn judge(&self, evidence: &Self::Evidence, parts: usize) -> Finding;
}
