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

    /// Whether the step size never changes.
    pub fn is_constant(&self) -> bool {
        self.drops.is_empty() && self.warmup == 0.0
    }

    /// Refuses what is no schedule.
    ///
    /// # Errors
    /// Names the number that is out of its range.
    pub fn check(&self) -> Result<(), ScheduleError> {
        let (lr, factor, warmup) = (self.lr, self.factor, self.warmup);
        if !(lr >= 0.0 && lr.is_finite()) {
            return Err(ScheduleError::StepSize(lr));
        }
        if let Some(drop) = self.drops.iter().find(|d| !(**d > 0.0 && **d < 1.0)) {
            return Err(ScheduleError::Drop(*drop));
        }
        if !(factor > 0.0 && factor.is_finite()) {
            return Err(ScheduleError::Factor(factor));
        }
        if !(0.0..=1.0).contains(&warmup) {
            return Err(ScheduleError::Warmup(warmup));
        }
        // γ is multiplied with f32 coordinates.
        let last = lr / factor.powi(self.drops.len() as i32);
        if lr.max(last) > f64::from(f32::MAX) {
            return Err(ScheduleError::StepSize(lr.max(last)));
        }
        if lr > 0.0 && lr.min(last) as f32 == 0.0 {
            return Err(ScheduleError::Vanishes { lr, factor, drops: self.drops.len() });
        }
        Ok(())
    }
}

/// Why numbers are no schedule.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A step size.
    #[error("a step size of {0:e} is not a number from 0 to {max:e}", max = f32::MAX)]
    StepSize(f64),
    /// A step size that f32 takes for 0.
    #[error("a step size of {lr:e}, divided by {factor:e} {drops} times, is less than f32 holds: {least:e}", least = f32::from_bits(1))]
    Vanishes {
        /// The first step size.
        lr: f64,
        /// What it is divided by at each drop.
        factor: f64,
        /// How often.
        drops: usize,
    },
    /// A place where γ drops.
    #[error("the drop {0} is outside (0, 1), the fractions of a run")]
    Drop(f64),
    /// What γ is divided by.
    #[error("factor = {0} is not a positive number")]
    Factor(f64),
    /// The share over which γ grows.
    #[error("warmup = {0} is outside [0, 1]")]
    Warmup(f64),
}

/// γ_t of a session.
///
/// ```
/// use backburn_train::session::{Schedule, StepSizes};
///
/// /// Half a cosine.
/// struct Cosine(f64);
///
/// impl StepSizes for Cosine {
///     fn at(&self, step: u64, steps: u64) -> f64 {
///         self.0 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()) / 2.0
///     }
/// }
///
/// assert_eq!(Cosine(0.1).at(0, 10), 0.1);
/// assert_eq!(Schedule::constant(0.1).at(7, 10), 0.1);
/// ```
pub trait StepSizes: Send {
    /// γ at `step` of `steps`.
    fn at(&self, step: u64, steps: u64) -> f64;
}

impl StepSizes for Schedule {
    fn at(&self, step: u64, steps: u64) -> f64 {
        let done = step as f64 / steps.max(1) as f64;
        let dropped = self.drops.iter().filter(|d| done >= **d).count() as i32;
        let grown = if done < self.warmup { (done + 1.0 / steps.max(1) as f64) / self.warmup } else { 1.0 };
        self.lr * grown.min(1.0) / self.factor.powi(dropped)
    }
}

impl<F: Fn(u64, u64) -> f64 + Send> StepSizes for F {
    fn at(&self, step: u64, steps: u64) -> f64 {
        self(step, steps)
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
    fn what_f32_cannot_hold_is_refused() {
        let refused = |lr, factor| Schedule { lr, factor, ..Schedule::default() }.check().unwrap_err();
        assert!(matches!(refused(1e39, 10.0), ScheduleError::StepSize(_)));
        assert!(matches!(refused(1.0, 1e-39), ScheduleError::StepSize(_)));
        assert!(refused(f64::NAN, 10.0).to_string().contains("3.4028235e38"));
        for (lr, factor) in [(1e-46, 10.0), (1.0, 1e30), (1.0, 1e300)] {
            assert!(matches!(refused(lr, factor), ScheduleError::Vanishes { drops: 2, .. }), "{lr} {factor}");
        }
        Schedule { lr: 0.0, ..Schedule::default() }.check().unwrap();
    }

    #[test]
    fn grows_to_its_first_value() {
        let schedule = Schedule { warmup: 0.1, ..Schedule::constant(2.0) };
        assert!((schedule.at(0, 100) - 0.2).abs() < 1e-12);
        assert_eq!(schedule.at(10, 100), 2.0);
    }
}
