//! What a problem is.

use backburn_compress::Philox;

/// f = (1/n) Σ f_i, of which worker i sees stochastic gradients.
///
/// ```
/// use backburn_compress::Philox;
/// use backburn_reproduce::problems::Problem;
///
/// /// f_i(x) = ½‖x − i‖², of which a worker sees the gradient with noise.
/// struct Bowls;
///
/// impl Problem for Bowls {
///     fn dimension(&self) -> usize {
///         2
///     }
///
///     fn gradient(&self, worker: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
///         self.exact(worker, x, g);
///         g.iter_mut().for_each(|g| *g += random.normal());
///     }
///
///     fn exact(&self, worker: usize, x: &[f32], g: &mut [f32]) {
///         g.iter_mut().zip(x).for_each(|(g, x)| *g += x - worker as f32);
///     }
///
///     fn loss(&self, worker: usize, x: &[f32]) -> f64 {
///         x.iter().map(|x| f64::from(x - worker as f32).powi(2)).sum::<f64>() / 2.0
///     }
/// }
///
/// // The mean over three workers is least at 1.
/// assert_eq!(Bowls.squared_gradient(3, &[1.0, 1.0]), 0.0);
/// assert!(Bowls.objective(3, &[1.0, 1.0]) < Bowls.objective(3, &[1.0, 1.1]));
/// ```
pub trait Problem: Send + Sync {
    /// d.
    fn dimension(&self) -> usize;

    /// A stochastic gradient of f_i at x into `g`, which is zero. All randomness comes from `random`: the
    /// same stream at two points is the same minibatch.
    fn gradient(&self, worker: usize, x: &[f32], random: &mut Philox, g: &mut [f32]);

    /// ∇f_i(x) into `g`, which is zero.
    fn exact(&self, worker: usize, x: &[f32], g: &mut [f32]);

    /// f_i(x).
    fn loss(&self, worker: usize, x: &[f32]) -> f64;

    /// ‖∇f(x)‖², f the mean over so many workers.
    fn squared_gradient(&self, workers: usize, x: &[f32]) -> f64 {
        let mut sum = vec![0.0f64; x.len()];
        for worker in 0..workers {
            let mut g = vec![0.0; x.len()];
            self.exact(worker, x, &mut g);
            sum.iter_mut().zip(&g).for_each(|(s, g)| *s += f64::from(*g));
        }
        sum.iter().map(|s| (s / workers as f64).powi(2)).sum()
    }

    /// f(x), the mean over so many workers.
    fn objective(&self, workers: usize, x: &[f32]) -> f64 {
        (0..workers).map(|worker| self.loss(worker, x)).sum::<f64>() / workers as f64
    }
}

/// Σ a_j b_j, summed in double precision.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// ‖a‖².
pub fn square(a: &[f32]) -> f64 {
    dot(a, a)
}

/// That the exact gradient at x is the slope of the loss, by differences.
#[cfg(test)]
pub(super) fn slopes_match(problem: &dyn Problem, worker: usize, x: &[f32]) {
    let mut g = vec![0.0; x.len()];
    problem.exact(worker, x, &mut g);
    for j in 0..x.len() {
        let moved = |h: f32| {
            let mut x = x.to_vec();
            x[j] += h;
            problem.loss(worker, &x)
        };
        let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((slope - f64::from(g[j])).abs() < 1e-3, "{slope} {}", g[j]);
    }
}
