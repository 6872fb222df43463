//! Step sizes over a run.

use serde::{Deserialize, Serialize};

/// γ, divided by `factor` at the given fractions of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// γ_0.
    pub lr: f64,
    /// Where γ drops, as fractions of the run in (0, 1): 0.5 and 0.75 in Karimireddy et al. 2019.
    pub drops: Vec<f64>,
    /// What γ is divided by at each drop.
    pub factor: f64,
    /// The share of the run over which γ grows linearly from 0.
    pub warmup: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { lr: 0.05, drops: vec![0.5, 0.75], factor: 10.0, warmup: 0.0 }
    }
}

impl Schedule {
    /// A step size that never changes.
    pub fn constant(lr: f64) -> Self {
        Self { lr, drops: Vec::new(), ..Self::default() }
    }

    /// γ at `step` of `steps`.
    pub fn at(&self, step: u64, steps: u64) -> f64 {
        let done = step as f64 / steps.max(1) as f64;
        let dropped = self.drops.iter().filter(|d| done >= **d).count() as i32;
        let grown = if done < self.warmup { (done + 1.0 / steps.max(1) as f64) / self.warmup } else { 1.0 };
        self.lr * grown.min(1.0) / self.factor.powi(dropped)
    }

    /// What is wrong with it, if anything is.
    pub fn check(&self) -> Result<(), String> {
        if !(self.lr >= 0.0 && self.lr.is_finite()) {
            return Err(format!("lr = {} is not a finite number of at least 0", self.lr));
        }
        if let Some(d) = self.drops.iter().find(|d| !(**d > 0.0 && **d < 1.0)) {
            return Err(format!("the drop {d} is outside (0, 1), the fractions of a run"));
        }
        if !(self.factor > 0.0 && self.factor.is_finite()) {
            return Err(format!("factor = {} is not a positive number", self.factor));
        }
        if !(0.0..=1.0).contains(&self.warmup) {
            return Err(format!("warmup = {} is outside [0, 1]", self.warmup));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_at_its_fractions() {
        let schedule = Schedule { lr: 1.0, ..Schedule::default() };
        let seen: Vec<f64> = [0, 49, 50, 74, 75, 99].map(|t| schedule.at(t, 100)).to_vec();
        assert_eq!(seen, [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]);
    }

    #[test]
    fn grows_to_its_first_value() {
        let schedule = Schedule { warmup: 0.1, ..Schedule::constant(2.0) };
        assert!((schedule.at(0, 100) - 0.2).abs() < 1e-12);
        assert_eq!(schedule.at(10, 100), 2.0);
    }
}
