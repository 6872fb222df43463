//! What was measured: rows of numbers, their file `results.csv`, and what claims and figures ask of them.

use std::fmt::Write;

use super::name::{CurveName, GroupName, Metric};
use super::seeds::{Seeds, Summary};
use super::statistics::mean;
use crate::error::ReproduceError;

/// One measured number.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What belongs into one panel: a batch size, a number of workers, a compressor.
    pub group: GroupName,
    /// The curve within it: a method.
    pub curve: CurveName,
    /// The seed of the repetition.
    pub seed: u64,
    /// What was measured.
    pub metric: Metric,
    /// Where: a step, an epoch, a parameter of the curve.
    pub x: f64,
    /// The number.
    pub value: f64,
}

/// All rows of one experiment, in the order in which they were measured; those of unfinished curves last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    rows: Vec<Row>,
    /// The first row of an unfinished curve.
    whole: usize,
    /// The curves there are: nothing can be asked of another.
    #[cfg(test)]
    declared: Option<std::sync::Arc<[(GroupName, CurveName)]>>,
}

/// The line before the rows of unfinished curves.
const UNFINISHED: &str = "# unfinished curves from here on";

const HEADER: &str = "group,curve,seed,metric,x,value";

impl Results {
    /// From the rows of finished curves.
    pub fn new(rows: Vec<Row>) -> Self {
        Self {
            whole: rows.len(),
            rows,
            #[cfg(test)]
            declared: None,
        }
    }

    /// Of these curves alone: whoever asks for another has misspelt it, and panics instead of finding nothing.
    #[cfg(test)]
    pub(crate) fn declaring(self, curves: &[(GroupName, CurveName)]) -> Self {
        Self { declared: Some(curves.into()), ..self }
    }

    /// And with those of unfinished ones: they are drawn, and nothing is judged by them.
    pub fn with_unfinished(mut self, rows: impl IntoIterator<Item = Row>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// The finished curves alone.
    pub fn finished(&self) -> Self {
        Self::new(self.rows[..self.whole].to_vec())
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The text of `results.csv`; numbers read back with the same bits.
    pub fn to_csv(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for (i, Row { group, curve, seed, metric, x, value }) in self.rows.iter().enumerate() {
            if i == self.whole {
                let _ = writeln!(text, "{UNFINISHED}");
            }
            let _ = writeln!(
                text,
                "{},{},{seed},{},{x},{value}",
                field(group.name()),
                field(curve.name()),
                field(metric.name())
            );
        }
        text
    }

    /// Reads such a text; lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// Names the first line that is not a row.
    pub fn from_csv(text: &str) -> Result<Self, ReproduceError> {
        let fail = |line: usize, why: String| ReproduceError::Csv { line, why };
        let mut rows = Vec::new();
        let mut headed = false;
        let mut whole = None;
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let line_number = i + 1;
            if line.starts_with('#') {
                if line.trim_end() == UNFINISHED {
                    whole.get_or_insert(rows.len());
                }
                continue;
            }
            if !headed {
                if line.trim() != HEADER {
                    return Err(fail(line_number, format!("the heading is `{line}` instead of `{HEADER}`")));
                }
                headed = true;
                continue;
            }
            let fields = split(line).ok_or_else(|| fail(line_number, "a quotation does not end".into()))?;
            let [group, curve, seed, metric, x, value] = <[String; 6]>::try_from(fields)
                .map_err(|fields| fail(line_number, format!("{} fields instead of 6", fields.len())))?;
            let number =
                |text: &str| text.parse::<f64>().map_err(|_| fail(line_number, format!("`{text}` is not a number")));
            rows.push(Row {
                group: group.into(),
                curve: curve.into(),
                seed: seed.parse().map_err(|_| fail(line_number, format!("`{seed}` is not a seed")))?,
                metric: metric.into(),
                x: number(&x)?,
                value: number(&value)?,
            });
        }
        Ok(Self { whole: whole.unwrap_or(rows.len()), ..Self::new(rows) })
    }

    /// The groups, in the order of their first rows.
    pub fn groups(&self) -> Vec<GroupName> {
        distinct(self.rows.iter().map(|r| r.group))
    }

    /// The curves of a group, in the order of their first rows.
    pub fn curves(&self, group: GroupName) -> Vec<CurveName> {
        #[cfg(test)]
        if let Some(declared) = &self.declared {
            assert!(declared.iter().any(|known| known.0 == group), "no group is called `{group}`: {declared:?}");
        }
        distinct(self.rows.iter().filter(|r| r.group == group).map(|r| r.curve))
    }

    /// Whether a group has rows of such a curve, of which there need not be one.
    pub fn has(&self, group: GroupName, curve: CurveName) -> bool {
        self.curves(group).contains(&curve)
    }

    /// Each seed's points (x, value) of a metric, by ascending x.
    pub fn series(&self, group: GroupName, curve: CurveName, metric: Metric) -> Vec<(u64, Vec<(f64, f64)>)> {
        #[cfg(test)]
        if let Some(declared) = &self.declared {
            assert!(declared.contains(&(group, curve)), "`{group}` has no curve `{curve}`: {declared:?}");
        }
        let mut series: Vec<(u64, Vec<(f64, f64)>)> = Vec::new();
        for row in self.rows.iter().filter(|r| r.group == group && r.curve == curve && r.metric == metric) {
            match series.iter_mut().find(|(seed, _)| *seed == row.seed) {
                Some((_, points)) => points.push((row.x, row.value)),
                None => series.push((row.seed, vec![(row.x, row.value)])),
            }
        }
        series.sort_by_key(|(seed, _)| *seed);
        series.iter_mut().for_each(|(_, points)| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        series
    }

    /// What each seed's curve comes to; `None` where there are no rows.
    pub fn seeds(&self, group: GroupName, curve: CurveName, metric: Metric, summary: Summary) -> Option<Seeds> {
        let series = self.series(group, curve, metric);
        let seeds: Seeds = series.iter().filter_map(|(seed, points)| Some((*seed, summary.of(points)?))).collect();
        (!series.is_empty()).then_some(seeds)
    }

    /// Each seed's last value.
    pub fn lasts(&self, group: GroupName, curve: CurveName, metric: Metric) -> Vec<f64> {
        self.of_each(group, curve, metric, |points| points.last().map(|p| p.1))
    }

    /// Each seed's mean over the last `share` of its points.
    pub fn tails(&self, group: GroupName, curve: CurveName, metric: Metric, share: f64) -> Vec<f64> {
        self.of_each(group, curve, metric, |points| {
            let from = points.len() - ((points.len() as f64 * share).ceil() as usize).clamp(1, points.len());
            mean(points[from..].iter().map(|p| p.1))
        })
    }

    /// Each seed's smallest value.
    pub fn smallest(&self, group: GroupName, curve: CurveName, metric: Metric) -> Vec<f64> {
        self.of_each(group, curve, metric, |points| points.iter().map(|p| p.1).min_by(f64::total_cmp))
    }

    /// Each seed's largest value.
    pub fn largest(&self, group: GroupName, curve: CurveName, metric: Metric) -> Vec<f64> {
        self.of_each(group, curve, metric, |points| points.iter().map(|p| p.1).max_by(f64::total_cmp))
    }

    /// The mean over seeds of the last values.
    pub fn last(&self, group: GroupName, curve: CurveName, metric: Metric) -> Option<f64> {
        mean(self.lasts(group, curve, metric))
    }

    /// The mean over seeds of [`tails`](Self::tails).
    pub fn tail(&self, group: GroupName, curve: CurveName, metric: Metric, share: f64) -> Option<f64> {
        mean(self.tails(group, curve, metric, share))
    }

    /// The mean over seeds and x.
    pub fn average(&self, group: GroupName, curve: CurveName, metric: Metric) -> Option<f64> {
        self.tail(group, curve, metric, 1.0)
    }

    fn of_each(
        &self,
        group: GroupName,
        curve: CurveName,
        metric: Metric,
        of: impl Fn(&[(f64, f64)]) -> Option<f64>,
    ) -> Vec<f64> {
        self.series(group, curve, metric).iter().filter_map(|(_, points)| of(points)).collect()
    }
}

fn distinct<T: Copy + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = std::collections::HashSet::new();
    items.filter(|item| seen.insert(*item)).collect()
}

/// Quotes where a comma, a quotation mark or a line's end asks for it (RFC 4180).
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) || text.starts_with('#') {
        true => format!("\"{}\"", text.replace('"', "\"\"").replace(['\n', '\r'], " ")),
        false => text.into(),
    }
}

fn split(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = chars.next() {
        let last = fields.last_mut()?;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                last.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => last.push(c),
        }
    }
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSS: Metric = Metric::new("loss");

    const GROUP: GroupName = GroupName::new("batch 8, \"tiny\"");
    const A: CurveName = CurveName::new("a");
    const B: CurveName = CurveName::new("b");

    fn row(curve: CurveName, seed: u64, x: f64, value: f64) -> Row {
        Row { group: GROUP, curve, seed, metric: LOSS, x, value }
    }

    #[test]
    fn csv_reads_back_with_the_same_bits() {
        let rows = vec![
            row(CurveName::new("a,b"), 1, 0.1, 1.0 / 3.0),
            row(CurveName::new("# c"), 2, 1e-300, f64::INFINITY),
            row(CurveName::new(""), u64::MAX, -0.0, f64::MIN_POSITIVE),
        ];
        let results = Results::new(rows);
        assert_eq!(Results::from_csv(&results.to_csv()).unwrap(), results);
        assert!(
            Results::from_csv("group,curve,seed,metric,x,value\na,b,1,m,0,NaN\n").unwrap().rows()[0].value.is_nan()
        );
    }

    #[test]
    fn unfinished_rows_are_marked_in_the_file() {
        let results = Results::new(vec![row(A, 1, 0.0, 1.0)]).with_unfinished([row(B, 1, 0.0, 2.0)]);
        let read = Results::from_csv(&results.to_csv()).unwrap();
        assert_eq!(read, results);
        assert_eq!(read.rows().len(), 2);
        assert_eq!(read.finished(), Results::new(vec![row(A, 1, 0.0, 1.0)]));
    }

    #[test]
    #[should_panic = "has no curve `b`"]
    fn of_a_curve_that_is_not_declared_nothing_can_be_asked() {
        let results = Results::new(vec![row(A, 1, 0.0, 1.0)]).declaring(&[(GROUP, A)]);
        assert_eq!(results.last(GROUP, A, LOSS), Some(1.0));
        results.last(GROUP, B, LOSS);
    }

    #[test]
    fn refusals_name_the_line() {
        let message = |text: &str| Results::from_csv(text).unwrap_err().to_string();
        assert!(message("a,b\n").contains("line 1"));
        let text = format!("{HEADER}\na,b,1,m,0,x\n");
        assert_eq!(message(&text), "line 2 of the results: `x` is not a number");
        assert!(message(&format!("{HEADER}\n\"a,b\n")).contains("does not end"));
        assert!(message(&format!("{HEADER}\na,b,1\n")).contains("3 fields"));
    }

    #[test]
    fn summaries() {
        let rows = vec![row(A, 1, 1.0, 4.0), row(A, 1, 0.0, 2.0), row(A, 2, 0.0, 6.0), row(A, 2, 1.0, 8.0)];
        let results = Results::new(rows);
        assert_eq!(results.lasts(GROUP, A, LOSS), [4.0, 8.0]);
        assert_eq!(results.last(GROUP, A, LOSS), Some(6.0));
        assert_eq!(results.tail(GROUP, A, LOSS, 0.1), Some(6.0));
        assert_eq!(results.average(GROUP, A, LOSS), Some(5.0));
        assert_eq!(results.smallest(GROUP, A, LOSS), [2.0, 6.0]);
        assert_eq!(results.last(GROUP, B, LOSS), None);
    }
}
