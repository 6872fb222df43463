//! Panels of curves, as they are drawn.

use crate::record::{CurveName, GroupName, Metric, Results, mean, quantile};

/// Panels in rows.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// Panels, row by row.
    pub panels: Vec<Panel>,
    /// Panels a row.
    pub columns: usize,
}

/// One pair of axes.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The curves.
    pub lines: Vec<Line>,
}

/// An axis.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// Its label.
    pub label: String,
    /// Whether it is logarithmic.
    pub log: bool,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: false }
    }

    /// A logarithmic axis; what is not positive is left out.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: true }
    }
}

/// A curve as it is drawn.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Its name in the legend.
    pub label: CurveName,
    /// By ascending x.
    pub points: Vec<Point>,
    /// Whether its points are marked.
    pub marked: bool,
}

/// A mean over seeds, and its band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// The mean.
    pub mean: f64,
    /// The 10 % quantile.
    pub low: f64,
    /// The 90 % quantile.
    pub high: f64,
}

impl Figure {
    /// Panels in rows of so many.
    pub fn new(columns: usize, panels: Vec<Panel>) -> Self {
        Self { panels, columns: columns.max(1) }
    }

    /// The panels that `panel` makes of each group, in rows of so many.
    pub fn of_groups(results: &Results, columns: usize, panel: impl Fn(GroupName) -> Panel) -> Self {
        Self::new(columns, results.groups().into_iter().map(panel).collect())
    }

    /// The names of all curves, each once.
    pub fn labels(&self) -> Vec<CurveName> {
        let mut labels: Vec<CurveName> = Vec::new();
        for line in self.panels.iter().flat_map(|p| &p.lines) {
            if !labels.contains(&line.label) {
                labels.push(line.label);
            }
        }
        labels
    }
}

impl Panel {
    /// A metric of every curve of a group that has it, against the rows' own x.
    pub fn of(results: &Results, group: GroupName, metric: Metric, x: Axis, y: Axis) -> Self {
        Self::with(results, group, metric, x, y, |points, _| points)
    }

    /// A metric against another metric that was recorded at the same x: against bits, say.
    pub fn against(results: &Results, group: GroupName, metric: Metric, abscissa: Metric, x: Axis, y: Axis) -> Self {
        Self::with(results, group, metric, x, y, |points, curve| {
            let by_x = line(&results.series(group, curve, abscissa));
            let at = |x: f64| by_x.iter().find(|p| p.x == x).map(|p| p.mean);
            points.into_iter().filter_map(|p| Some(Point { x: at(p.x)?, ..p })).collect()
        })
    }

    fn with(
        results: &Results,
        group: GroupName,
        metric: Metric,
        x: Axis,
        y: Axis,
        change: impl Fn(Vec<Point>, CurveName) -> Vec<Point>,
    ) -> Self {
        let lines = results.curves(group).into_iter().filter_map(|curve| {
            let points = change(line(&results.series(group, curve, metric)), curve);
            (!points.is_empty()).then_some(Line { label: curve, marked: points.len() < 12, points })
        });
        Self { title: group.into(), x, y, lines: lines.collect() }
    }

    /// With other numbers: each point's is replaced by what `change` makes of it and of its x.
    pub fn mapped(mut self, change: impl Fn(f64, f64) -> f64) -> Self {
        for point in self.lines.iter_mut().flat_map(|line| &mut line.points) {
            let [a, b] = [point.low, point.high].map(|value| change(point.x, value));
            (point.mean, point.low, point.high) = (change(point.x, point.mean), a.min(b), a.max(b));
        }
        self
    }

    /// With another title.
    pub fn titled(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }
}

/// Means and quantiles over the seeds, at every x that a seed has.
pub fn line(series: &[(u64, Vec<(f64, f64)>)]) -> Vec<Point> {
    let mut xs: Vec<f64> = series.iter().flat_map(|(_, points)| points.iter().map(|p| p.0)).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let mut next = vec![0; series.len()];
    let point = |x: f64| {
        let mut values = Vec::with_capacity(series.len());
        for (next, (_, points)) in next.iter_mut().zip(series) {
            while let Some((at, value)) = points.get(*next).filter(|p| p.0 <= x) {
                if *at == x {
                    values.push(*value);
                }
                *next += 1;
            }
        }
        let mean = mean(values.iter().copied())?;
        Some(Point { x, mean, low: quantile(&values, 0.1)?, high: quantile(&values, 0.9)? })
    };
    xs.into_iter().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_quantiles_over_seeds() {
        let series: Vec<_> = (0..11).map(|s| (s, vec![(0.0, s as f64), (1.0, 2.0)])).collect();
        let points = line(&series);
        assert_eq!(points[0], Point { x: 0.0, mean: 5.0, low: 1.0, high: 9.0 });
        assert_eq!(points[1], Point { x: 1.0, mean: 2.0, low: 2.0, high: 2.0 });
    }

    #[test]
    fn seeds_of_different_lengths() {
        let points = line(&[(1, vec![(0.0, 1.0)]), (2, vec![(0.0, 3.0), (2.0, 5.0)])]);
        assert_eq!(points.iter().map(|p| (p.x, p.mean)).collect::<Vec<_>>(), [(0.0, 2.0), (2.0, 5.0)]);
    }
}
