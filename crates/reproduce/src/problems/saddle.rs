//! A saddle point, and a minimum.

use backburn_compress::Philox;

use super::problem::{Problem, square};

/// f(x) = ½Σ_{j≥2} x_j² − ½x₁² + ¼x₁⁴: a saddle at 0, where the Hessian's least eigenvalue is −1, and minima
/// at x₁ = ±1 with f = −¼. Its gradients are exact, but for a coin's ±`rattle` on the second coordinate.
#[derive(Clone, Copy, Debug)]
pub struct Saddle {
    /// d ≥ 2.
    pub dimension: usize,
    /// What the coin adds.
    pub rattle: f32,
}

impl Saddle {
    /// The least eigenvalue of the Hessian.
    pub fn least_curvature(x: &[f32]) -> f64 {
        (3.0 * f64::from(x[0]).powi(2) - 1.0).min(1.0)
    }
}

impl Problem for Saddle {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn gradient(&self, worker: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        self.exact(worker, x, g);
        if self.rattle != 0.0 {
            g[1] += if random.below(2) == 0 { self.rattle } else { -self.rattle };
        }
    }

    fn exact(&self, _: usize, x: &[f32], g: &mut [f32]) {
        g.copy_from_slice(x);
        g[0] = x[0].powi(3) - x[0];
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        let first = f64::from(x[0]);
        0.5 * square(&x[1..]) - 0.5 * first.powi(2) + 0.25 * first.powi(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_and_curvature_are_those_of_the_loss() {
        let problem = Saddle { dimension: 3, rattle: 0.0 };
        for x in [[0.0f32, 0.3, -0.2], [0.7, 0.0, 1.0], [-1.1, 0.5, 0.0]] {
            let mut g = [0.0; 3];
            problem.exact(0, &x, &mut g);
            let at = |j: usize, h: f32| {
                let mut x = x;
                x[j] += h;
                problem.loss(0, &x)
            };
            for (j, g) in g.iter().enumerate() {
                assert!(((at(j, 1e-2) - at(j, -1e-2)) / 2e-2 - f64::from(*g)).abs() < 1e-3);
            }
            let curved = (at(0, 1e-2) + at(0, -1e-2) - 2.0 * at(0, 0.0)) / 1e-4;
            assert!((curved.min(1.0) - Saddle::least_curvature(&x)).abs() < 1e-2, "{curved}");
        }
    }
}
