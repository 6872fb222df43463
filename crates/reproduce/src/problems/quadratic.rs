//! Strongly convex quadratics, one a worker.

use backburn_compress::Philox;

use super::problem::Problem;

/// f_i(x) = ½ Σ h_j(x_j − b_ij)², h from 0.1 to 1 in even steps, b normal, with normal noise on every coordinate of a
/// gradient. Workers agree on h and not on b, so that their gradients do not vanish at the solution.
#[derive(Clone, Debug)]
pub struct Quadratics {
    centres: Vec<Vec<f32>>,
    deviation: f32,
}

impl Quadratics {
    /// So many workers in d dimensions, their centres drawn from `random`.
    pub fn new(workers: usize, d: usize, deviation: f32, random: &mut Philox) -> Self {
        let centres = (0..workers).map(|_| (0..d).map(|_| random.normal()).collect()).collect();
        Self { centres, deviation }
    }

    fn curvatures(&self) -> impl Iterator<Item = f32> {
        let d = self.dimension();
        (0..d).map(move |j| 0.1 + 0.9 * j as f32 / (d.max(2) - 1) as f32)
    }
}

impl Problem for Quadratics {
    fn dimension(&self) -> usize {
        self.centres.first().map_or(0, Vec::len)
    }

    fn gradient(&self, worker: usize, x: &[f32], random: &mut Philox, g: &mut [f32]) {
        self.exact(worker, x, g);
        if self.deviation > 0.0 {
            g.iter_mut().for_each(|g| *g += self.deviation * random.normal());
        }
    }

    fn exact(&self, worker: usize, x: &[f32], g: &mut [f32]) {
        let terms = self.curvatures().zip(x).zip(&self.centres[worker]);
        g.iter_mut().zip(terms).for_each(|(g, ((h, x), b))| *g = h * (x - b));
    }

    fn loss(&self, worker: usize, x: &[f32]) -> f64 {
        let terms = self.curvatures().zip(x).zip(&self.centres[worker]);
        terms.map(|((h, x), b)| 0.5 * f64::from(h) * f64::from(x - b).powi(2)).sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::problems::problem::slopes_match;
    use backburn_compress::Key;

    use super::*;

    #[test]
    fn gradients_are_those_of_the_loss() {
        let problem = Quadratics::new(2, 3, 0.0, &mut Philox::new(Key::new(1).draw()));
        let x = [0.3f32, -0.7, 1.0];
        for worker in 0..2 {
            slopes_match(&problem, worker, &x);
        }
    }
}
