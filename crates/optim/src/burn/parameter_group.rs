//! Parameters that are to be treated otherwise than the rest.

use std::ops::{Bound, RangeBounds};
use std::str::FromStr;

use backburn_compress::text::{Args, TextError};
use backburn_compress::{ParameterError, Policy};
use serde::{Deserialize, Serialize};

/// Parameters, chosen by path and rank, and what is special about them. Where several groups match, the last one
/// that says something of it decides.
///
/// ```
/// use backburn_optim::{ParameterGroup, Policy};
///
/// let decay = ParameterGroup::all().with_weight_decay(5e-4);
/// let vectors = ParameterGroup::all().with_rank(0..=1).with_policy(Policy::Dense).with_weight_decay(0.0);
/// let head = ParameterGroup::matching("head.*").with_step_size(10.0);
/// # assert!(head.matches("head.weight", 2) && !head.matches("body.head.weight", 2) && vectors.matches("b", 1));
/// assert_eq!("*:vectors,dense,weight-decay=0".parse::<ParameterGroup>()?, vectors);
/// assert_eq!("head.*:step-size=10".parse::<ParameterGroup>()?, head);
/// # Ok::<(), backburn_compress::text::TextError>(())
/// ```
///
/// As text it is `PATHS[:vectors|matrices][,dense|skipped|compressed][,weight-decay=λ][,step-size=FACTOR]`, where vectors
/// are what has one dimension or none, and matrices all else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    paths: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    least_rank: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    most_rank: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<Policy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step_size: Option<f64>,
}

impl ParameterGroup {
    /// Every parameter.
    pub fn all() -> Self {
        Self::matching("*")
    }

    /// Parameters whose path, as `conv1.weight`, matches this pattern, where `*` stands for any text: `*.bias`,
    /// `embedding.*`, `*norm*`.
    pub fn matching(paths: impl Into<String>) -> Self {
        let (least_rank, most_rank, policy, weight_decay, step_size) = (None, None, None, None, None);
        Self { paths: paths.into(), least_rank, most_rank, policy, weight_decay, step_size }
    }

    /// Only those of these ranks: `0..=1` are scalars and vectors, `2..` matrices and more.
    pub fn with_rank(self, ranks: impl RangeBounds<usize>) -> Self {
        let least_rank = match ranks.start_bound() {
            Bound::Included(least) => Some(*least),
            Bound::Excluded(below) => Some(below + 1),
            Bound::Unbounded => None,
        };
        let most_rank = match ranks.end_bound() {
            Bound::Included(most) => Some(*most),
            Bound::Excluded(above) => Some(above.saturating_sub(1)),
            Bound::Unbounded => None,
        };
        Self { least_rank, most_rank, ..self }
    }

    /// What becomes of their gradients.
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// λ ≥ 0: every worker adds λx to its gradient before the method sees it, beside what the method's own weight
    /// decay adds.
    pub fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay: Some(weight_decay), ..self }
    }

    /// The factor > 0 on the round's step size.
    pub fn with_step_size(self, factor: f64) -> Self {
        Self { step_size: Some(factor), ..self }
    }

    /// Whether a parameter of this path and rank belongs to it.
    pub fn matches(&self, path: &str, rank: usize) -> bool {
        self.least_rank.is_none_or(|least| rank >= least)
            && self.most_rank.is_none_or(|most| rank <= most)
            && matches(&self.paths, path)
    }

    /// The pattern.
    pub fn paths(&self) -> &str {
        &self.paths
    }

    /// Whether it says nothing but what becomes of gradients.
    pub fn is_policy(&self) -> bool {
        self.weight_decay.is_none() && self.step_size.is_none()
    }

    /// # Errors
    /// Where a number is out of its range.
    pub fn check(&self) -> Result<(), ParameterError> {
        let range = |name, value, allowed| Err(ParameterError::Range { name, value, allowed });
        match (self.weight_decay, self.step_size) {
            (Some(decay), _) if !(decay >= 0.0 && decay <= f64::from(f32::MAX)) => {
                range("weight-decay", decay, "[0, ∞)")
            }
            (_, Some(factor)) if !(factor > 0.0 && factor <= f64::from(f32::MAX)) => {
                range("step-size", factor, "(0, ∞)")
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for ParameterGroup {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let mut args = Args::parse(text);
        let mut group = Self::matching(args.name());
        if args.name().is_empty() {
            return Err(TextError::Missing {
                name: text.into(),
                argument: "a pattern of paths, as `*` or `head.*`".into(),
            });
        }
        match (args.flag("vectors"), args.flag("matrices")) {
            (true, true) => return Err(TextError::Refused(format!("`{text}`: nothing is a vector and a matrix"))),
            (true, false) => group = group.with_rank(0..=1),
            (false, true) => group = group.with_rank(2..),
            (false, false) => {}
        }
        let named = [("dense", Policy::Dense), ("skipped", Policy::Skipped), ("compressed", Policy::Compressed)];
        for (word, policy) in named {
            if args.flag(word) {
                if group.policy.is_some() {
                    return Err(TextError::Refused(format!("`{text}`: one of dense, skipped and compressed")));
                }
                group = group.with_policy(policy);
            }
        }
        group.weight_decay = args.named("weight-decay")?;
        group.step_size = args.named("step-size")?;
        args.finish()?;
        group.check()?;
        Ok(group)
    }
}

/// What the groups together say of one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Treatment {
    pub policy: Policy,
    pub weight_decay: f64,
    pub step_size: f64,
}

impl Treatment {
    pub fn of(groups: &[ParameterGroup], path: &str, rank: usize) -> Self {
        let mut treatment = Self { policy: Policy::Compressed, weight_decay: 0.0, step_size: 1.0 };
        for group in groups.iter().filter(|group| group.matches(path, rank)) {
            treatment.policy = group.policy.unwrap_or(treatment.policy);
            treatment.weight_decay = group.weight_decay.unwrap_or(treatment.weight_decay);
            treatment.step_size = group.step_size.unwrap_or(treatment.step_size);
        }
        treatment
    }
}

/// Whether `text` matches `pattern`, where `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return text.ends_with(piece);
        }
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        let yes = [("*", ""), ("*", "a.b"), ("a.*", "a.b"), ("*.bias", "x.y.bias"), ("*norm*", "a.norm1.gamma")];
        let yes = yes.into_iter().chain([("a*b*c", "a1b2b3c"), ("a", "a"), ("a*a", "aa"), ("**", "x")]);
        for (pattern, text) in yes {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a.*", "b.a.c"), ("*.bias", "bias"), ("a", "ab"), ("a*a", "a"), ("*x*x", "x")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_last_group_that_says_something_decides() {
        let groups = [
            ParameterGroup::all().with_weight_decay(0.1),
            ParameterGroup::all().with_rank(..2).with_policy(Policy::Dense).with_weight_decay(0.0),
            ParameterGroup::matching("head.*").with_step_size(10.0),
        ];
        let of = |path, rank| Treatment::of(&groups, path, rank);
        assert_eq!(of("w", 2), Treatment { policy: Policy::Compressed, weight_decay: 0.1, step_size: 1.0 });
        assert_eq!(of("head.b", 1), Treatment { policy: Policy::Dense, weight_decay: 0.0, step_size: 10.0 });
        let json = serde_json::to_string(&groups[1]).unwrap();
        assert_eq!(json, r#"{"paths":"*","most_rank":1,"policy":"dense","weight_decay":0.0}"#);
        assert_eq!(serde_json::from_str::<ParameterGroup>(&json).unwrap(), groups[1]);
        assert!(ParameterGroup::all().with_step_size(0.0).check().is_err());
        assert!(ParameterGroup::all().with_weight_decay(f64::NAN).check().is_err());
        assert_eq!("*:vectors,dense".parse(), Ok(ParameterGroup::all().with_rank(0..=1).with_policy(Policy::Dense)));
        for (text, words) in [
            ("", "a pattern of paths"),
            ("*:vectors,matrices", "a vector and a matrix"),
            ("*:dense,skipped", "one of dense, skipped"),
            ("*:thick", "unknown option"),
            ("*:step-size=0", "step-size"),
        ] {
            let said = text.parse::<ParameterGroup>().unwrap_err().to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
