//! Objectives whose gradients are bounded, as the rates of error feedback presume.

use backburn_compress::Philox;

use super::problem::Problem;

/// f(x) = Σ x_j²/(1 + x_j²), smooth and not convex, with normal noise on every coordinate: L = 2,
/// |∂_j f| ≤ 3√3/8, f* = 0.
#[derive(Clone, Copy, Debug)]
pub struct Wells {
    /// d.
    pub dimension: usize,
    /// The noise's standard deviation.
    pub deviation: f32,
}

impl Wells {
    /// L.
    pub const SMOOTHNESS: f64 = 2.0;

    /// The most that E‖g‖² can be.
    pub fn second_moment(&self) -> f64 {
        self.dimension as f64 * (27.0 / 64.0 + f64::from(self.deviation).powi(2))
    }
}

impl Problem for Wells {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn gradient(&self, worker: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        self.exact(worker, x, g);
        g.iter_mut().for_each(|g| *g += self.deviation * random.normal());
    }

    fn exact(&self, _: usize, x: &[f32], g: &mut [f32]) {
        g.iter_mut().zip(x).for_each(|(g, x)| *g = 2.0 * x / (1.0 + x * x).powi(2));
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        x.iter().map(|x| f64::from(*x).powi(2)).map(|s| s / (1.0 + s)).sum()
    }
}

/// f(x) = ‖x‖₁ with the subgradient of sign(0) = +1: convex and not smooth, ‖g‖² = d.
#[derive(Clone, Copy, Debug)]
pub struct SumOfMagnitudes {
    /// d.
    pub dimension: usize,
}

impl Problem for SumOfMagnitudes {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn gradient(&self, worker: usize, x: &[f32], _: &mut Philox, g: &mut [f32]) {
        self.exact(worker, x, g);
    }

    fn exact(&self, _: usize, x: &[f32], g: &mut [f32]) {
        g.iter_mut().zip(x).for_each(|(g, x)| *g = if *x >= 0.0 { 1.0 } else { -1.0 });
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        x.iter().map(|x| f64::from(x.abs())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_the_function() {
        let problem = Wells { dimension: 1, deviation: 0.0 };
        let slope = |x: f32| {
            let mut g = [0.0];
            problem.exact(0, &[x], &mut g);
            f64::from(g[0])
        };
        let xs = || (-3000..3000).map(|i| i as f32 / 1000.0);
        let steepest = xs().map(|x| slope(x).powi(2)).fold(0.0, f64::max);
        assert!((steepest - problem.second_moment()).abs() < 1e-5, "{steepest}");
        let curved = xs().map(|x| ((slope(x + 1e-3) - slope(x)) / 1e-3).abs()).fold(0.0, f64::max);
        assert!(curved <= Wells::SMOOTHNESS * 1.001 && curved > 1.99, "{curved}");
        for x in [-1.3f32, 0.2, 0.9] {
            let rise = (problem.loss(0, &[x + 1e-2]) - problem.loss(0, &[x - 1e-2])) / 2e-2;
            assert!((rise - slope(x)).abs() < 1e-3);
        }
    }
}
