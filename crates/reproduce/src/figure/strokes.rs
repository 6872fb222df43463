//! How curves are told apart where they lie on each other.

use super::panel::{Figure, Line, Panel};

/// How a curve is stroked. Of curves that coincide each has another, and is drawn over those before it: through a
/// broken line the one below is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stroke {
    Solid,
    Dashed,
    Dotted,
}

impl Stroke {
    const ALL: [Self; 3] = [Self::Solid, Self::Dashed, Self::Dotted];

    /// Pixels that are drawn, and that are left free; none of a line without gaps.
    pub fn gaps(self) -> Option<(u32, u32)> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some((9, 8)),
            Self::Dotted => Some((3, 7)),
        }
    }

    /// The stroke of each of a figure's labels: the first that none has which it coincides with anywhere.
    pub fn of(figure: &Figure) -> Vec<Self> {
        let labels = figure.labels();
        let place = |line: &Line| labels.iter().position(|label| *label == line.label).unwrap_or_default();
        let mut strokes = vec![Self::Solid; labels.len()];
        let meets: Vec<(usize, usize)> = figure.panels.iter().flat_map(|panel| meetings(panel, &place)).collect();
        for label in 0..labels.len() {
            let taken = |stroke: &Self| meets.iter().any(|(a, b)| *b == label && strokes[*a] == *stroke);
            strokes[label] = Self::ALL.into_iter().find(|stroke| !taken(stroke)).unwrap_or(Self::Dotted);
        }
        strokes
    }
}

/// How near two curves are that cannot be told apart: this share of the height of a panel.
const NEAR: f64 = 0.012;
/// The share of a curve's points of which that is said.
const SHARE: f64 = 0.25;

/// The pairs of labels whose curves coincide in this panel, the smaller number first.
fn meetings(panel: &Panel, place: &impl Fn(&Line) -> usize) -> Vec<(usize, usize)> {
    let lines: Vec<(usize, Vec<(f64, f64)>)> =
        panel.lines.iter().map(|line| (place(line), seen(line, panel))).collect();
    let heights = || lines.iter().flat_map(|(_, points)| points).map(|p| p.1);
    let (low, high) = heights().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
    let near = NEAR * (high - low);
    let mut meetings = Vec::new();
    for (i, (a, one)) in lines.iter().enumerate() {
        for (b, other) in &lines[i + 1..] {
            if a != b && (covers(one, other, near) || covers(other, one, near)) {
                meetings.push((*a.min(b), *a.max(b)));
            }
        }
    }
    meetings
}

/// The means in the axes' units.
fn seen(line: &Line, panel: &Panel) -> Vec<(f64, f64)> {
    let unit = |log: bool, value: f64| if log { value.log10() } else { value };
    let points = line.points.iter().map(|p| (unit(panel.x.log, p.x), unit(panel.y.log, p.mean)));
    points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

/// Whether so many of the points of `one` lie on `other`.
fn covers(one: &[(f64, f64)], other: &[(f64, f64)], near: f64) -> bool {
    let on = one.iter().filter(|(x, y)| at(other, *x).is_some_and(|there| (there - y).abs() <= near)).count();
    on as f64 >= (SHARE * one.len() as f64).max(1.0)
}

/// The height of a curve at x, between its points.
fn at(points: &[(f64, f64)], x: f64) -> Option<f64> {
    let next = points.partition_point(|p| p.0 < x);
    let (right, left) = (points.get(next)?, next.checked_sub(1).map(|before| points[before]));
    match left {
        _ if right.0 == x => Some(right.1),
        Some(left) => Some(left.1 + (right.1 - left.1) * (x - left.0) / (right.0 - left.0)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Axis, Point};
    use crate::record::CurveName;

    type Height = fn(f64) -> f64;

    fn panel(lines: &[(&'static str, Height)]) -> Panel {
        let lines = lines.iter().map(|(label, height)| {
            let point = |i: u32| (f64::from(i), height(f64::from(i)));
            let points = (0..=20).map(point).map(|(x, y)| Point { x, mean: y, low: y, high: y }).collect();
            Line { label: CurveName::new(label), points, marked: false }
        });
        Panel { x: Axis::linear("x"), y: Axis::linear("y"), lines: lines.collect(), ..Panel::default() }
    }

    #[test]
    fn curves_that_coincide_anywhere_have_other_strokes_everywhere() {
        use Stroke::{Dashed, Dotted, Solid};
        let table: [(&[Panel], &[Stroke]); 5] = [
            (&[panel(&[("a", |x| x), ("b", |x| 20.0 - x)])], &[Solid, Solid]),
            (&[panel(&[("a", |x| x), ("b", |x| x + 0.1)])], &[Solid, Dashed]),
            (
                &[panel(&[("a", |x| x), ("b", |x| x), ("c", |x| x), ("d", |x| 20.0 - x)])],
                &[Solid, Dashed, Dotted, Solid],
            ),
            // In their ends alone; and in the second panel.
            (&[panel(&[("a", |x| x.max(13.0)), ("b", |x| (20.0 - x).max(13.0))])], &[Solid, Dashed]),
            (&[panel(&[("a", |x| x), ("b", |x| 20.0 - x)]), panel(&[("b", |x| x), ("a", |x| x)])], &[Solid, Dashed]),
        ];
        for (i, (panels, strokes)) in table.into_iter().enumerate() {
            assert_eq!(Stroke::of(&Figure::new(2, panels.to_vec())), strokes, "{i}");
        }
    }
}
