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

/// f(x) = ½‖x‖² on the plane with noise uniform on {(2, 0), (0, 1), (−2, −1)}·√(3σ²/10): the instance
/// on which EF21-SGD-ideal does not converge (Fatkhullin et al. 2023, Theorem 1). E‖noise‖² = σ².
#[derive(Clone, Copy, Debug)]
pub struct SaddleNoise {
    /// σ.
    pub sigma: f32,
}

impl Problem for SaddleNoise {
    fn dimension(&self) -> usize {
        2
    }

    fn gradient(&self, _: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        let size = (0.3 * self.sigma * self.sigma).sqrt();
        let noise = [[2.0, 0.0], [0.0, 1.0], [-2.0, -1.0]][random.below(3) as usize];
        g.copy_from_slice(&[x[0] + size * noise[0], x[1] + size * noise[1]]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stochastic_gradients_are_unbiased() {
        let problems: [(&dyn Problem, Vec<f32>); 3] = [
            (&BimodalLine::new(4), vec![0.5]),
            (&SparseNoise { dimension: 3, deviation: 2.0 }, vec![1.0, -1.0, 0.5]),
            (&SaddleNoise { sigma: 1.0 }, vec![0.0, -1.0]),
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
