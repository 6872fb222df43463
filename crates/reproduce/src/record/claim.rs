//! Published claims, and whether they hold in the numbers of a run.

use serde::{Deserialize, Serialize};

use super::judge::{Finding, Test, TestKind, Verdict};

/// A claim, what it requires of the numbers, and what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "File", into = "File")]
pub struct Claim {
    /// What is claimed.
    pub claim: String,
    /// The paper and the place in it.
    pub source: String,
    /// What this run says of it; none where the rows it needs are missing.
    pub verdict: Option<Verdict>,
    /// The numbers.
    pub measured: String,
    /// What they must be.
    pub required: String,
    /// The tests that judged, each once.
    pub tests: Vec<TestKind>,
    /// Whether curves are still unfinished: then nothing is decided.
    pub partial: bool,
}

/// A claim as `claims.json` has it.
#[derive(Clone, Serialize, Deserialize)]
struct File {
    claim: String,
    source: String,
    /// `null` where it is not decided.
    holds: Option<bool>,
    measured: String,
    required: String,
    verdict: Option<Verdict>,
    tests: Vec<TestKind>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

impl From<Claim> for File {
    fn from(Claim { claim, source, verdict, measured, required, tests, partial }: Claim) -> Self {
        let holds = match verdict {
            Some(Verdict::Holds) => Some(true),
            Some(Verdict::Fails) => Some(false),
            Some(Verdict::Undecided) | None => None,
        };
        Self { claim, source, holds, measured, required, verdict, tests, partial }
    }
}

impl From<File> for Claim {
    fn from(File { claim, source, measured, required, verdict, tests, partial, .. }: File) -> Self {
        Self { claim, source, verdict, measured, required, tests, partial }
    }
}

impl Claim {
    /// A claim that tests judge: see [`Judging`].
    pub fn about(claim: impl Into<String>, source: impl Into<String>) -> Judging {
        Judging { claim: claim.into(), source: source.into(), parts: Vec::new() }
    }

    /// The claim of a run of which only so many seeds are finished: measured, and not decided.
    pub fn partial(mut self, finished: u64, seeds: u64) -> Self {
        self.measured.push_str(&format!(" (partial: {finished} of {seeds} seeds)"));
        Self { verdict: Some(Verdict::Undecided), partial: true, ..self }
    }

    /// Whether nothing random judges it, so that more seeds change nothing: then it is never undecided.
    pub fn is_certain(&self) -> bool {
        self.tests.iter().all(|test| *test == TestKind::Exact)
    }

    /// The verdict in words.
    pub fn word(&self) -> String {
        self.verdict.map_or_else(|| "not measured".into(), |verdict| verdict.to_string())
    }
}

const NOT_MEASURED: &str = "not measured: rows are missing";

/// A claim in the making: it holds where all of its parts do, fails where one of them does, and is
/// undecided otherwise. It is not measured where a part lacks its rows.
pub struct Judging {
    claim: String,
    source: String,
    parts: Vec<Part>,
}

/// One test with its evidence.
struct Part {
    label: String,
    kind: TestKind,
    required: String,
    /// Judges as one of so many parts.
    judge: Option<Box<dyn FnOnce(usize) -> Finding>>,
}

impl Judging {
    /// Another part: its name (empty where there is but one), its test, and the evidence, `None` where
    /// rows are missing.
    pub fn part<T: Test + 'static>(mut self, label: impl Into<String>, test: T, evidence: Option<T::Evidence>) -> Self
    where
        T::Evidence: 'static,
    {
        let required = test.required();
        let judge = evidence.map(|evidence| -> Box<dyn FnOnce(usize) -> Finding> {
            Box::new(move |parts| test.judge(&evidence, parts))
        });
        self.parts.push(Part { label: label.into(), kind: T::KIND, required, judge });
        self
    }

    /// A part for each label with its evidence, by the same test.
    pub fn each<T: Test + Clone + 'static, L: Into<String>>(
        self,
        test: &T,
        evidence: impl IntoIterator<Item = (L, Option<T::Evidence>)>,
    ) -> Self
    where
        T::Evidence: 'static,
    {
        evidence.into_iter().fold(self, |judging, (label, evidence)| judging.part(label, test.clone(), evidence))
    }

    /// The verdict of all parts.
    pub fn judged(self) -> Claim {
        let Self { claim, source, parts } = self;
        let count = parts.len();
        let mut tests = Vec::new();
        let mut required: Vec<(String, Vec<String>)> = Vec::new();
        let mut found = Vec::new();
        for Part { label, kind, required: text, judge } in parts {
            if !tests.contains(&kind) {
                tests.push(kind);
            }
            match required.iter_mut().find(|(known, _)| *known == text) {
                Some((_, labels)) => labels.push(label.clone()),
                None => required.push((text, vec![label.clone()])),
            }
            found.push(judge.map(|judge| (label, judge(count))));
        }
        let one = required.len() == 1;
        let required = required.into_iter().map(|(text, labels)| match one || labels.iter().all(String::is_empty) {
            true => text,
            false => format!("{}: {text}", labels.join(", ")),
        });
        let required = required.collect::<Vec<_>>().join("; ");
        // A claim without parts is not measured: nothing may hold for want of evidence.
        let found: Option<Vec<(String, Finding)>> =
            found.into_iter().collect::<Option<_>>().filter(|f: &Vec<_>| !f.is_empty());
        let verdict = found.as_ref().map(|found| {
            let any = |verdict| found.iter().any(|(_, f)| f.verdict == verdict);
            match (any(Verdict::Fails), any(Verdict::Undecided)) {
                (true, _) => Verdict::Fails,
                (false, true) => Verdict::Undecided,
                (false, false) => Verdict::Holds,
            }
        });
        let told = |(label, finding): &(String, Finding)| match (label.is_empty(), count > 1) {
            (true, _) => finding.figures.clone(),
            (false, false) => format!("{label}: {}", finding.figures),
            // Of several, those that do not hold are named so.
            (false, true) if finding.verdict == Verdict::Holds => format!("{label}: {}", finding.figures),
            (false, true) => format!("{label}: {} ({})", finding.figures, finding.verdict),
        };
        let measured =
            found.map_or_else(|| NOT_MEASURED.into(), |found| found.iter().map(told).collect::<Vec<_>>().join("; "));
        Claim { claim, source, verdict, measured, required, tests, partial: false }
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::{Bound, Exact};
    use super::super::seeds::Seeds;
    use super::*;

    fn seeds(values: [f64; 4]) -> Option<Seeds> {
        Some(Seeds::from_iter((0..).zip(values)))
    }

    #[test]
    fn the_file_has_the_five_fields_and_the_verdict() {
        let claim = Claim::about("a", "b").part("", Exact::at_most("c", 1.0), Some(0.5)).judged();
        let text = r#"{"claim":"a","source":"b","holds":true,"measured":"0.5","required":"c: at most 1","verdict":"holds","tests":["exact"]}"#;
        assert_eq!(serde_json::to_string(&claim).unwrap(), text);
        assert_eq!(serde_json::from_str::<Claim>(text).unwrap(), claim);
        let claim = claim.partial(1, 3);
        let text = serde_json::to_string(&claim).unwrap();
        assert!(text.contains(r#""holds":null"#) && text.contains(r#""verdict":"undecided""#), "{text}");
        assert!(text.ends_with(r#""partial":true}"#) && text.contains("0.5 (partial: 1 of 3 seeds)"), "{text}");
    }

    #[test]
    fn a_claim_is_its_worst_part() {
        let test = Bound::at_most("it", 1.0);
        let (good, bad, torn) = (seeds([0.5, 0.6, 0.4, 0.5]), seeds([2.0, 2.1, 1.9, 2.0]), seeds([0.0, 2.0, 0.0, 2.0]));
        let judged = |parts: &[&Option<Seeds>]| {
            let parts = parts.iter().enumerate().map(|(i, seeds)| (format!("part {i}"), (*seeds).clone()));
            Claim::about("a", "b").each(&test, parts).judged()
        };
        assert_eq!(judged(&[&good, &good]).verdict, Some(Verdict::Holds));
        assert_eq!(judged(&[&good, &torn]).verdict, Some(Verdict::Undecided));
        assert_eq!(judged(&[&torn, &bad]).verdict, Some(Verdict::Fails));
        assert_eq!(judged(&[&good, &None]).verdict, None);
        assert_eq!(judged(&[]).word(), "not measured");
        let claim = judged(&[&good, &torn]);
        assert!(claim.measured.ends_with("4 seeds (undecided)"), "{}", claim.measured);
        assert_eq!(claim.required.matches("at most 1").count(), 1, "{}", claim.required);
        assert!(!claim.is_certain());
    }
}
