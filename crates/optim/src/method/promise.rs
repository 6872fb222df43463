//! What a method says of itself, as data: the laws hold it to its word.

/// Why a law does not apply to a method.
pub type Why = &'static str;

/// What a method answers that was not asked: no law runs on it, and none may go by in silence.
pub const UNSAID: Why = "the method does not say";

/// Which of the laws of conservation a method obeys, and in what units it keeps what it owes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Conserves {
    /// Law 1, the step size being inside: Σ_s Δ_i,s + e_i,t = Σ_s γ_s d_i,s, the residuals being those vectors of
    /// [`Role::Residual`](crate::Role::Residual), the server's included, and d_i the worker's own part of the
    /// [`Parent`].
    Inside,
    /// Law 1 with e_i in units of gradients: a worker's number `lr` beside it is the step size that makes it one of x.
    Outside,
    /// Law 5, in the same units: what x is owed is the sum by which the estimator's v were off.
    Estimator,
    /// Law 4: the shared vector of this name is the mean of the workers'.
    Tracked(&'static str),
    /// Law 6: the mean of the nodes' v is the mean of their last gradients, both by these names.
    Gossip {
        /// V.
        v: &'static str,
        /// ∇.
        gradient: &'static str,
    },
}

/// What a method is without compression (law 2): its recursion in the textbook's form, which a test can run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parent {
    /// What gradient a worker takes.
    pub draw: Draw,
    /// What a worker makes of its gradient, in this order.
    pub local: Vec<Rule>,
    /// sign(Σ sign), ties counting as +1, instead of the workers' mean.
    pub votes: bool,
    /// What everybody makes of the mean.
    pub common: Vec<Rule>,
    /// When it goes back to where f was lower.
    pub restarts: Option<Restarts>,
}

/// What gradient a worker takes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Draw {
    /// g(x_t), the mean of so many minibatches.
    Plain {
        /// In the first step.
        first: usize,
        /// In the steps after it.
        later: usize,
    },
    /// ∇f_i(x_t) + η(g(x_t) − ∇f_i(x_t)).
    Damped(f64),
    /// [g(x_t) − (1−α_t)g(x_{t−1})]/α_t on one minibatch.
    Recursive(Alpha),
    /// g(x_t + ((1−α)/α)(x_t − x_{t−1})).
    Ahead(Alpha),
}

impl Default for Draw {
    fn default() -> Self {
        Self::Plain { first: 1, later: 1 }
    }
}

/// α_t of an estimator v ← (1−α_t)v + α_t·d.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alpha {
    /// The same at every step.
    Constant(f64),
    /// 1/(t+1), t = 0, 1, ….
    Harmonic,
}

impl Alpha {
    /// α_t of step t = 0, 1, ….
    pub fn at(self, t: u64) -> f64 {
        match self {
            Self::Constant(alpha) => alpha,
            Self::Harmonic => 1.0 / (t as f64 + 1.0),
        }
    }
}

/// One rule of a [`Parent`], on a direction d.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// d ← d + λx.
    Decay(f64),
    /// d ← d·min(1, c/(√n·‖d‖)).
    Clip(f64),
    /// m ← βm + d with m₀ = d; d ← m.
    Momentum(f64),
    /// m ← βm + d with m₀ = d; d ← d + βm.
    Nesterov(f64),
    /// u ← μu + d with u₀ = d; d ← u; u ← 0 unless γ = 0.
    Cleared(f64),
    /// v ← (1−η)v + ηd with v₀ = d; d ← v.
    Average(f64),
    /// v ← (1−α_t)v + α_t·d with v₋₁ = 0; d ← v.
    Estimate(Alpha),
    /// d ← sign(d), sign(0) = 0.
    Sign,
    /// As [`Momentum`](Self::Momentum), or where it looks ahead [`Nesterov`](Self::Nesterov), except that nothing moves
    /// where γ = 0.
    Outer {
        /// β.
        momentum: f64,
        /// Whether d = d + βm.
        nesterov: bool,
    },
    /// m ← β₁m + (1−β₁)d; in some steps v ← β₂v + (1−β₂)d²; d ← m/(√v + ε). Both begin at 0.
    Adam {
        /// β₁.
        beta1: f64,
        /// β₂.
        beta2: f64,
        /// ε.
        eps: f64,
        /// The steps in which v moves.
        refresh: Refresh,
    },
}

/// The steps in which Adam's v moves; it stays as it is in all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// None from this step on.
    pub freeze: u64,
    /// The distance between two of them doubles after every so many; 0 for every step.
    pub doubling: u64,
}

impl Refresh {
    /// Whether v moves in step t = 0, 1, ….
    pub fn at(self, t: u64) -> bool {
        if t >= self.freeze || self.doubling == 0 {
            return t < self.freeze;
        }
        let (mut next, mut j) = (0u64, 0u64);
        while next < t {
            next = next.saturating_add(1u64.checked_shl((j / self.doubling) as u32).unwrap_or(u64::MAX));
            j += 1;
        }
        next == t
    }
}

/// In a step with γ ≠ 0, once t − t_ref > `interval` or ‖x − x_ref‖ > `radius`: if f(x) ≥ f(x_ref), x ← x_ref; then x_ref ← x, t_ref ← t.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restarts {
    /// I.
    pub interval: Option<u64>,
    /// R; estimated where there are several workers.
    pub radius: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_between_refreshes_doubles() {
        let steps = |freeze, doubling| (0..30).filter(|t| Refresh { freeze, doubling }.at(*t)).collect::<Vec<u64>>();
        assert_eq!(steps(3, 0), [0, 1, 2]);
        assert_eq!(steps(20, 2), [0, 1, 2, 4, 6, 10, 14]);
        assert!(!Refresh { freeze: u64::MAX, doubling: 1 }.at(1 << 40));
    }
}
