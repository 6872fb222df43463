//! Problems of one paragraph each.

use backburn_compress::Philox;

use super::problem::{Problem, square};

/// f(x) = x/4 on \[−1, 1\]; g is 5m/4 − 1 with probability 1/m, otherwise −1 (Karimireddy et al. 2019,
/// counterexample 1, has m = 4). The projection is the caller's.
#[derive(Clone, Copy, Debug)]
pub struct BimodalLine {
    one_in: u32,
}

impl BimodalLine {
    /// With the large gradient once in so many.
    pub fn new(one_in: u32) -> Self {
        Self { one_in: one_in.max(1) }
    }
}

impl Problem for BimodalLine {
    fn dimension(&self) -> usize {
        1
    }

    fn gradient(&self, _: usize, _: &[f32], random: &mut Philox, g: &mut [f32]) {
        g[0] = if random.below(self.one_in) == 0 { 1.25 * self.one_in as f32 - 1.0 } else { -1.0 };
    }

    fn exact(&self, _: usize, _: &[f32], g: &mut [f32]) {
        g[0] = 0.25;
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        f64::from(x[0]) / 4.0
    }
}

/// f(x) = ε|x₁+x₂| + |x₁−x₂| with the subgradient of sign(0) = +1 (the same, counterexample 2).
#[derive(Clone, Copy, Debug)]
pub struct AbsoluteValues {
    /// ε ∈ (0, 1).
    pub epsilon: f32,
}

impl Problem for AbsoluteValues {
    fn dimension(&self) -> usize {
        2
    }

    fn gradient(&self, worker: usize, x: &[f32], _: &mut Philox, g: &mut [f32]) {
        self.exact(worker, x, g);
    }

    fn exact(&self, _: usize, x: &[f32], g: &mut [f32]) {
        let sign = |x: f32| if x >= 0.0 { 1.0 } else { -1.0 };
        let (along, across) = (sign(x[0] + x[1]) * self.epsilon, sign(x[0] - x[1]));
        g.copy_from_slice(&[along + across, along - across]);
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        let [a, b] = [f64::from(x[0]), f64::from(x[1])];
        f64::from(self.epsilon) * (a + b).abs() + (a - b).abs()
    }
}

/// f(x) = ε|x₁| + |x₂| with the subgradient of sign(0) = +1: counterexample 2 turned by 45°, for compressors
/// that favour coordinates instead of signs.
#[derive(Clone, Copy, Debug)]
pub struct WeightedAbsoluteValues {
    /// ε ∈ (0, 1).
    pub epsilon: f32,
}

impl Problem for WeightedAbsoluteValues {
    fn dimension(&self) -> usize {
        2
    }

    fn gradient(&self, worker: usize, x: &[f32], _: &mut Philox, g: &mut [f32]) {
        self.exact(worker, x, g);
    }

    fn exact(&self, _: usize, x: &[f32], g: &mut [f32]) {
        let sign = |x: f32| if x >= 0.0 { 1.0 } else { -1.0 };
        g.copy_from_slice(&[self.epsilon * sign(x[0]), sign(x[1])]);
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        f64::from(self.epsilon) * f64::from(x[0]).abs() + f64::from(x[1]).abs()
    }
}

/// f(x) = ½‖x‖² with normal noise on the first coordinate alone (the same, Figure 5).
#[derive(Clone, Copy, Debug)]
pub struct SparseNoise {
    /// d.
    pub dimension: usize,
    /// The noise's standard deviation.
    pub deviation: f32,
}

impl Problem for SparseNoise {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn gradient(&self, _: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        g.copy_from_slice(x);
        g[0] += self.deviation * random.normal();
    }

    fn exact(&self, _: usize, x: &[f32], g: &mut [f32]) {
        g.copy_from_slice(x);
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        0.5 * square(x)
    }
}

/// f(x) = ½‖x‖² on so many planes, on each of them noise uniform on {(2, 0), (0, 1), (−2, −1)}·√(3σ²/10) over the
/// square root of their number: on one plane the instance on which EF21-SGD-ideal does not converge (Fatkhullin et al.
/// 2023, Theorem 1). E‖noise‖² = σ² over the batch.
#[derive(Clone, Copy, Debug)]
pub struct SaddleNoise {
    /// σ.
    pub sigma: f32,
    /// d/2.
    pub planes: usize,
    /// Draws a gradient.
    pub batch: usize,
}

impl SaddleNoise {
    /// One plane, one draw.
    pub fn new(sigma: f32) -> Self {
        Self { sigma, planes: 1, batch: 1 }
    }
}

impl Problem for SaddleNoise {
    fn dimension(&self) -> usize {
        2 * self.planes
    }

    fn gradient(&self, _: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        let size = (0.3 * self.sigma * self.sigma / self.planes as f32).sqrt() / self.batch as f32;
        g.copy_from_slice(x);
        for plane in g.chunks_mut(2) {
            for _ in 0..self.batch {
                let noise = [[2.0, 0.0], [0.0, 1.0], [-2.0, -1.0]][random.below(3) as usize];
                plane.iter_mut().zip(noise).for_each(|(g, noise)| *g += size * noise);
            }
        }
    }

    fn exact(&self, _: usize, x: &[f32], g: &mut [f32]) {
        g.copy_from_slice(x);
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        0.5 * square(x)
    }

    fn squared_gradient(&self, _: usize, x: &[f32]) -> f64 {
        square(x)
    }
}

/// f(x) = drift·⟨c, x⟩ with c as evenly spread as quantiles are from 0.5 to 1.5 in turn, and normal noise on every coordinate:
/// what is compressed has a direction, a spread, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Slope {
    /// d.
    pub dimension: usize,
    /// The gradient's size.
    pub drift: f32,
    /// The noise's standard deviation.
    pub deviation: f32,
}

impl Slope {
    fn at(&self, j: usize) -> f32 {
        self.drift * (0.5 + j as f32 / self.dimension.max(1) as f32)
    }
}

impl Problem for Slope {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn gradient(&self, worker: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        self.exact(worker, x, g);
        if self.deviation > 0.0 {
            g.iter_mut().for_each(|g| *g += self.deviation * random.normal());
        }
    }

    fn exact(&self, _: usize, _: &[f32], g: &mut [f32]) {
        g.iter_mut().enumerate().for_each(|(j, g)| *g = self.at(j));
    }

    fn loss(&self, _: usize, x: &[f32]) -> f64 {
        x.iter().enumerate().map(|(j, x)| f64::from(self.at(j)) * f64::from(*x)).sum()
    }
}

/// The three workers of Beznosikov et al. (2020, <https://arxiv.org/abs/2002.12410>, Example 1):
/// f_i(x) = ⟨a_i, x⟩² + ¼‖x‖² on R³, a_i = (2, 2, 2) but for −3 at i; no noise. `shifted` adds ⟨b_i, x⟩ with b_i = (−1, −1, −1)
/// but for 2 at i, which add up to 0: then workers' gradients do not vanish at the solution, which is 0 all the same.
#[derive(Clone, Copy, Debug)]
pub struct ThreeWorkers {
    /// Whether the linear terms are there.
    pub shifted: bool,
}

impl ThreeWorkers {
    fn direction(worker: usize, j: usize) -> f64 {
        if j == worker % 3 { -3.0 } else { 2.0 }
    }

    fn slope(&self, worker: usize, j: usize) -> f64 {
        match (self.shifted, j == worker % 3) {
            (false, _) => 0.0,
            (true, true) => 2.0,
            (true, false) => -1.0,
        }
    }

    fn along(worker: usize, x: &[f32]) -> f64 {
        x.iter().enumerate().map(|(j, x)| Self::direction(worker, j) * f64::from(*x)).sum()
    }
}

impl Problem for ThreeWorkers {
    fn dimension(&self) -> usize {
        3
    }

    fn gradient(&self, worker: usize, x: &[f32], _: &mut Philox, g: &mut [f32]) {
        self.exact(worker, x, g);
    }

    fn exact(&self, worker: usize, x: &[f32], g: &mut [f32]) {
        let along = Self::along(worker, x);
        for (j, (g, x)) in g.iter_mut().zip(x).enumerate() {
            *g = (2.0 * along * Self::direction(worker, j) + 0.5 * f64::from(*x) + self.slope(worker, j)) as f32;
        }
    }

    fn loss(&self, worker: usize, x: &[f32]) -> f64 {
        let linear: f64 = x.iter().enumerate().map(|(j, x)| self.slope(worker, j) * f64::from(*x)).sum();
        Self::along(worker, x).powi(2) + 0.25 * square(x) + linear
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::problem::slopes_match;

    #[test]
    fn gradients_of_the_three_workers_are_those_of_the_loss() {
        let x = [0.3f32, -0.7, 1.1];
        for (shifted, worker) in [(false, 0), (true, 1), (true, 2)] {
            let problem = ThreeWorkers { shifted };
            slopes_match(&problem, worker, &x);
        }
        assert_eq!(ThreeWorkers { shifted: true }.squared_gradient(3, &[0.0; 3]), 0.0);
    }

    #[test]
    fn stochastic_gradients_are_unbiased() {
        let problems: [(&dyn Problem, Vec<f32>); 4] = [
            (&BimodalLine::new(4), vec![0.5]),
            (&SparseNoise { dimension: 3, deviation: 2.0 }, vec![1.0, -1.0, 0.5]),
            (&SaddleNoise::new(1.0), vec![0.0, -1.0]),
            (&SaddleNoise { sigma: 1.0, planes: 2, batch: 4 }, vec![0.0, -1.0, 1.0, 0.5]),
        ];
        for (problem, x) in problems {
            let mut random = Philox::new(3);
            let d = problem.dimension();
            let (mut sum, mut exact) = (vec![0.0f64; d], vec![0.0; d]);
            for _ in 0..20_000 {
                let mut g = vec![0.0; d];
                problem.gradient(0, &x, &mut random, &mut g);
                sum.iter_mut().zip(g).for_each(|(s, g)| *s += f64::from(g) / 20_000.0);
            }
            problem.exact(0, &x, &mut exact);
            sum.iter().zip(exact).for_each(|(s, e)| assert!((s - f64::from(e)).abs() < 0.07, "{s} {e}"));
        }
    }
}
