//! Softmax regression with a non-convex regulariser on flat vectors, dense or sparse rows.

use std::sync::Arc;

use backburn_compress::Philox;

use super::problem::Problem;
use backburn_train::data::{Images, Libsvm};

/// Rows of features: dense or sparse.
#[derive(Clone, Debug)]
pub enum Rows {
    /// Row by row, so many features each.
    Dense(Arc<Vec<f32>>, usize),
    /// Compressed by row.
    Sparse(Arc<Libsvm>),
}

impl Rows {
    /// Images in grey, on \[0, 1\], each row scaled to length 1; blocks of `pool` × `pool` pixels become
    /// their mean.
    pub fn of_images(images: &Images, pool: usize) -> Self {
        let [channels, height, width] = images.shape();
        let pool = pool.clamp(1, height.min(width));
        let (rows, columns) = (height / pool, width / pool);
        let mut values = Vec::with_capacity(images.len() * rows * columns);
        for i in 0..images.len() {
            let image = images.image(i);
            let start = values.len();
            for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                let pixels = (0..channels * pool * pool).map(|k| {
                    let (plane, y, x) = (k / (pool * pool), r * pool + k / pool % pool, c * pool + k % pool);
                    f32::from(image[(plane * height + y) * width + x])
                });
                values.push(pixels.sum::<f32>());
            }
            let norm = values[start..].iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            values[start..].iter_mut().for_each(|v| *v /= norm);
        }
        Self::Dense(Arc::new(values), rows * columns)
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        match self {
            Self::Dense(_, features) => *features,
            Self::Sparse(rows) => rows.features(),
        }
    }

    fn for_each(&self, row: usize, mut act: impl FnMut(usize, f32)) {
        match self {
            Self::Dense(values, features) => {
                let values = &values[row * features..(row + 1) * features];
                values.iter().enumerate().filter(|(_, v)| **v != 0.0).for_each(|(k, v)| act(k, *v));
            }
            Self::Sparse(rows) => {
                let (columns, values) = rows.row(row);
                columns.iter().zip(values).for_each(|(k, v)| act(*k as usize, *v));
            }
        }
    }
}

/// f_i(x) = the mean cross entropy of worker i's rows + λ Σ x²/(1 + x²) (Fatkhullin et al. 2023, §6).
/// Coordinate k·c + y of x is feature k's weight for class y of c.
#[derive(Clone, Debug)]
pub struct SoftmaxRegression {
    rows: Rows,
    labels: Arc<Vec<u8>>,
    classes: usize,
    shards: Arc<Vec<Vec<usize>>>,
    batch: usize,
    lambda: f64,
}

impl SoftmaxRegression {
    /// One label below `classes` a row; `shards` has each worker's rows, none empty.
    pub fn new(
        rows: Rows,
        labels: Arc<Vec<u8>>,
        classes: usize,
        shards: Arc<Vec<Vec<usize>>>,
        batch: usize,
        lambda: f64,
    ) -> Self {
        Self { rows, labels, classes, shards, batch: batch.max(1), lambda }
    }

    /// log p of every class.
    fn log_probabilities(&self, row: usize, x: &[f32], logits: &mut [f64]) {
        logits.fill(0.0);
        let c = self.classes;
        self.rows.for_each(row, |k, a| {
            let weights = &x[k * c..(k + 1) * c];
            logits.iter_mut().zip(weights).for_each(|(l, w)| *l += f64::from(a) * f64::from(*w));
        });
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = most + logits.iter().map(|l| (l - most).exp()).sum::<f64>().ln();
        logits.iter_mut().for_each(|l| *l -= log_sum);
    }

    /// The share of all workers' rows that x classifies rightly.
    pub fn accuracy(&self, x: &[f32]) -> f64 {
        let mut logs = vec![0.0; self.classes];
        let (mut right, mut all) = (0usize, 0usize);
        for row in self.shards.iter().flatten() {
            self.log_probabilities(*row, x, &mut logs);
            let best = (0..self.classes).max_by(|a, b| logs[*a].total_cmp(&logs[*b]));
            right += usize::from(best == Some(usize::from(self.labels[*row])));
            all += 1;
        }
        right as f64 / all.max(1) as f64
    }

    fn add(&self, rows: impl Iterator<Item = usize>, weight: f64, x: &[f32], g: &mut [f32]) {
        let c = self.classes;
        let mut slopes = vec![0.0f64; c];
        let mut steep = vec![0.0f32; c];
        for row in rows {
            self.log_probabilities(row, x, &mut slopes);
            let label = usize::from(self.labels[row]);
            for (y, (steep, slope)) in steep.iter_mut().zip(&slopes).enumerate() {
                *steep = (weight * (slope.exp() - f64::from(u8::from(y == label)))) as f32;
            }
            self.rows.for_each(row, |k, a| {
                let g = &mut g[k * c..(k + 1) * c];
                g.iter_mut().zip(&steep).for_each(|(g, s)| *g += a * s);
            });
        }
        let lambda = self.lambda as f32;
        g.iter_mut().zip(x).for_each(|(g, x)| *g += 2.0 * lambda * x / (1.0 + x * x).powi(2));
    }
}

impl Problem for SoftmaxRegression {
    fn dimension(&self) -> usize {
        self.rows.features() * self.classes
    }

    fn gradient(&self, worker: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        let shard = &self.shards[worker];
        let rows: Vec<usize> = (0..self.batch).map(|_| shard[random.below(shard.len() as u32) as usize]).collect();
        self.add(rows.into_iter(), 1.0 / self.batch as f64, x, g);
    }

    fn exact(&self, worker: usize, x: &[f32], g: &mut [f32]) {
        let shard = &self.shards[worker];
        self.add(shard.iter().copied(), 1.0 / shard.len() as f64, x, g);
    }

    fn loss(&self, worker: usize, x: &[f32]) -> f64 {
        let shard = &self.shards[worker];
        let mut logs = vec![0.0; self.classes];
        let mut sum = 0.0;
        for row in shard {
            self.log_probabilities(*row, x, &mut logs);
            sum -= logs[usize::from(self.labels[*row])];
        }
        let squares = x.iter().map(|x| f64::from(*x).powi(2));
        sum / shard.len() as f64 + self.lambda * squares.map(|s| s / (1.0 + s)).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_those_of_the_loss() {
        let text = "+1 1:1 3:-2\n-1 2:0.5\n-1 1:-1 2:3 3:1\n";
        let sparse = Rows::Sparse(Arc::new(Libsvm::read(text.as_bytes()).unwrap()));
        let dense = Rows::Dense(Arc::new(vec![1.0, 0.0, -2.0, 0.0, 0.5, 0.0, -1.0, 3.0, 1.0]), 3);
        let x = [0.1, -0.2, 0.3, 0.5, -1.0, 0.2f32];
        let found = [sparse, dense].map(|rows| {
            let labels = Arc::new(vec![1, 0, 0]);
            let problem = SoftmaxRegression::new(rows, labels, 2, Arc::new(vec![vec![0, 1, 2]]), 1, 0.1);
            let mut g = vec![0.0; 6];
            problem.exact(0, &x, &mut g);
            for j in 0..6 {
                let moved = |h: f32| {
                    let mut x = x;
                    x[j] += h;
                    problem.loss(0, &x)
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((slope - f64::from(g[j])).abs() < 1e-3, "{slope} {}", g[j]);
            }
            g
        });
        assert_eq!(found[0], found[1]);
    }
}
