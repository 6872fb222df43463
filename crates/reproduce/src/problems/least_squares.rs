//! Least squares on dense rows.

use backburn_compress::Philox;

use super::problem::{Problem, dot};

/// f_i(x) = the mean over worker i's rows of (⟨a, x⟩ − b)², with minibatches of rows drawn with
/// replacement.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    rows: Vec<Vec<f32>>,
    targets: Vec<f32>,
    workers: usize,
    batch: usize,
}

impl LeastSquares {
    /// Rows of one length, one target each; worker i of n has every n-th of them. A batch of 0 is all
    /// of a worker's rows.
    pub fn new(rows: Vec<Vec<f32>>, targets: Vec<f32>, workers: usize, batch: usize) -> Self {
        Self { rows, targets, workers: workers.max(1), batch }
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<f32>] {
        &self.rows
    }

    /// The mean of (⟨a, x⟩ − b)² over all rows.
    pub fn mean_square(&self, x: &[f32]) -> f64 {
        let squares = self.rows.iter().zip(&self.targets).map(|(a, b)| (dot(a, x) - f64::from(*b)).powi(2));
        squares.sum::<f64>() / self.rows.len().max(1) as f64
    }

    fn shard(&self, worker: usize) -> impl ExactSizeIterator<Item = usize> {
        (worker..self.rows.len()).step_by(self.workers)
    }

    fn add(&self, row: usize, x: &[f32], weight: f64, g: &mut [f32]) {
        let a = &self.rows[row];
        let slope = (2.0 * weight * (dot(a, x) - f64::from(self.targets[row]))) as f32;
        g.iter_mut().zip(a).for_each(|(g, a)| *g += slope * a);
    }
}

impl Problem for LeastSquares {
    fn dimension(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    fn gradient(&self, worker: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        if self.batch == 0 {
            return self.exact(worker, x, g);
        }
        let count = self.shard(worker).len() as u32;
        for _ in 0..self.batch {
            let row = worker + self.workers * random.below(count) as usize;
            self.add(row, x, 1.0 / self.batch as f64, g);
        }
    }

    fn exact(&self, worker: usize, x: &[f32], g: &mut [f32]) {
        let shard = self.shard(worker);
        let weight = 1.0 / shard.len() as f64;
        shard.for_each(|row| self.add(row, x, weight, g));
    }

    fn loss(&self, worker: usize, x: &[f32]) -> f64 {
        let shard = self.shard(worker);
        let count = shard.len() as f64;
        shard.map(|row| (dot(&self.rows[row], x) - f64::from(self.targets[row])).powi(2)).sum::<f64>() / count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::problem::slopes_match;

    #[test]
    fn gradients_are_those_of_the_loss() {
        let rows = vec![vec![1.0, 2.0], vec![-1.0, 0.5], vec![3.0, 1.0], vec![0.0, 1.0]];
        let problem = LeastSquares::new(rows, vec![1.0, 0.0, -1.0, 2.0], 2, 1);
        let x = [0.3f32, -0.7];
        for worker in 0..2 {
            slopes_match(&problem, worker, &x);
        }
        assert!((problem.objective(2, &x) - problem.mean_square(&x)).abs() < 1e-9);
    }
}
