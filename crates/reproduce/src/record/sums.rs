//! What a curve adds up between its points.

use std::collections::BTreeMap;

use backburn_optim::Snapshot;

/// Named numbers that are part of a curve's checkpoints, with all their bits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sums(BTreeMap<String, f64>);

const PREFIX: &str = "sum.";

impl Sums {
    /// Adds to a number, 0 at first, and gives the sum.
    pub fn add(&mut self, name: &str, value: f64) -> f64 {
        let sum = self.0.entry(name.into()).or_default();
        *sum += value;
        *sum
    }

    /// Sets a number.
    pub fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.into(), value);
    }

    /// A number, where there is one.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Adds one to a mean.
    pub fn average(&mut self, name: &str, value: f64) {
        self.add(name, value);
        self.add(&format!("{name}, how many"), 1.0);
    }

    /// The mean since it was taken last; not-a-number of nothing.
    pub fn take_average(&mut self, name: &str) -> f64 {
        let [sum, count] = [name.to_owned(), format!("{name}, how many")].map(|name| self.0.remove(&name));
        sum.unwrap_or(0.0) / count.unwrap_or(0.0)
    }

    pub fn save_into(&self, snapshot: &mut Snapshot) {
        self.0.iter().for_each(|(name, value)| snapshot.set_real(format!("{PREFIX}{name}"), *value));
    }

    pub fn load_from(snapshot: &Snapshot) -> Self {
        let named = snapshot.numbers.iter().filter_map(|(k, v)| Some((k.strip_prefix(PREFIX)?, f64::from_bits(*v))));
        Self(named.map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_outlive_a_checkpoint() {
        let mut sums = Sums::default();
        sums.average("loss", 1.0);
        sums.average("loss", 0.1);
        sums.set("worst", f64::INFINITY);
        let mut snapshot = Snapshot::default();
        sums.save_into(&mut snapshot);
        let mut read = Sums::load_from(&snapshot);
        assert_eq!(read, sums);
        assert_eq!(read.take_average("loss"), 1.1 / 2.0);
        assert!(read.take_average("loss").is_nan());
        assert_eq!((read.get("worst"), read.get("loss")), (Some(f64::INFINITY), None));
        assert_eq!(read.add("n", 2.0) + read.add("n", 2.0), 6.0);
    }
}
