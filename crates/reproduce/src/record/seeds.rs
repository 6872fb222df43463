//! One number a seed.

use super::statistics::mean;

/// One number a seed, by ascending seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seeds(Vec<(u64, f64)>);

/// Which number a curve comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Summary {
    /// The last.
    Last,
    /// The mean over the last so much of its points.
    Tail(f64),
    /// The mean over all of them.
    Mean,
    /// The smallest.
    Least,
    /// The largest.
    Most,
}

impl Summary {
    /// Of points (x, value) by ascending x; what is not a number is not passed over.
    pub fn of(self, points: &[(f64, f64)]) -> Option<f64> {
        let values = || points.iter().map(|p| p.1);
        match self {
            Self::Last => values().next_back(),
            Self::Tail(share) => {
                let count = ((points.len() as f64 * share).ceil() as usize).clamp(1, points.len().max(1));
                mean(values().skip(points.len().saturating_sub(count)))
            }
            Self::Mean => mean(values()),
            Self::Least | Self::Most if values().any(f64::is_nan) => Some(f64::NAN),
            Self::Least => values().min_by(f64::total_cmp),
            Self::Most => values().max_by(f64::total_cmp),
        }
    }
}

impl FromIterator<(u64, f64)> for Seeds {
    fn from_iter<I: IntoIterator<Item = (u64, f64)>>(values: I) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_key(|(seed, _)| *seed);
        Self(values)
    }
}

impl Seeds {
    /// The numbers.
    pub fn values(&self) -> Vec<f64> {
        self.0.iter().map(|(_, value)| *value).collect()
    }

    /// Each number changed.
    pub fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().map(|(seed, value)| (*seed, change(*value))).collect())
    }

    /// Each with the other's of the same seed; `None` unless both have the same seeds.
    pub fn with(&self, other: &Self, join: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let same = self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.0 == b.0);
        same.then(|| Self(self.0.iter().zip(&other.0).map(|(a, b)| (a.0, join(a.1, b.1))).collect()))
    }

    /// The ratio to the other's of the same seed; `None` unless both have the same seeds.
    pub fn over(&self, other: &Self) -> Option<Self> {
        self.with(other, |a, b| a / b)
    }

    /// The mean; not a number of nothing.
    pub fn mean(&self) -> f64 {
        mean(self.values()).unwrap_or(f64::NAN)
    }

    /// The largest; not a number where one is not.
    pub fn most(&self) -> f64 {
        Summary::Most.of(&self.points()).unwrap_or(f64::NAN)
    }

    /// The smallest; not a number where one is not.
    pub fn least(&self) -> f64 {
        Summary::Least.of(&self.points()).unwrap_or(f64::NAN)
    }

    fn points(&self) -> Vec<(f64, f64)> {
        self.0.iter().map(|(seed, value)| (*seed as f64, *value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_paired_by_their_number() {
        let a = Seeds::from_iter([(2, 6.0), (1, 2.0)]);
        let b = Seeds::from_iter([(1, 1.0), (2, 2.0)]);
        assert_eq!(a.over(&b).unwrap().values(), [2.0, 3.0]);
        assert_eq!(a.over(&Seeds::from_iter([(1, 1.0), (3, 2.0)])), None);
        assert_eq!((a.mean(), a.most(), a.least()), (4.0, 6.0, 2.0));
        assert!(a.map(|v| if v > 3.0 { f64::NAN } else { v }).least().is_nan());
    }

    #[test]
    fn summaries_of_a_curve() {
        let points = [(0.0, 4.0), (1.0, 1.0), (2.0, 3.0)];
        let table = [
            (Summary::Last, 3.0),
            (Summary::Tail(0.5), 2.0),
            (Summary::Mean, 8.0 / 3.0),
            (Summary::Least, 1.0),
            (Summary::Most, 4.0),
        ];
        table.iter().for_each(|(summary, value)| assert_eq!(summary.of(&points), Some(*value), "{summary:?}"));
        table.iter().for_each(|(summary, _)| assert_eq!(summary.of(&[]), None));
    }
}
