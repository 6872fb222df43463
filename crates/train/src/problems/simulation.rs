//! A cluster of workers on a [`Problem`].

use backburn_compress::{AnyCompressor, Key, Layout, Philox};
use backburn_optim::{AnyAlgorithm, Ask, Buf, Cluster, Host, Reply, RoundError, SetupError};

use super::Problem;

/// Keeps the problems' draws apart from those of compressors and data.
const STREAM: u32 = 0x0b1e_c700;

/// n workers on a problem, and their common x (under gossip the mean of theirs).
pub struct Simulation<'p> {
    cluster: Cluster,
    problem: &'p dyn Problem,
    x: Buf,
    bytes: [f64; 2],
}

impl std::fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simulation({:?})", self.cluster)
    }
}

impl<'p> Simulation<'p> {
    /// Workers that start at `x`, which is as long as the problem's dimension.
    ///
    /// # Errors
    /// Where method and compressor do not go together.
    pub fn new(
        algorithm: AnyAlgorithm,
        compressor: AnyCompressor,
        problem: &'p dyn Problem,
        workers: usize,
        seed: u64,
        x: Buf,
    ) -> Result<Self, SetupError> {
        let layout = Layout::flat(x.len())?;
        let cluster = Cluster::new(algorithm, compressor, layout, workers, seed, &x)?;
        Ok(Self { cluster, problem, x, bytes: [0.0; 2] })
    }

    /// One step of step size `lr`.
    ///
    /// # Errors
    /// As [`Cluster::round`]; where a gradient is not finite the run has diverged.
    pub fn step(&mut self, lr: f64) -> Result<(), RoundError> {
        let nodes: Vec<Buf> = (0..self.cluster.workers()).map_while(|w| self.cluster.node(w).cloned()).collect();
        let mut host = Serve {
            problem: self.problem,
            x: &self.x,
            nodes: &nodes,
            seed: self.cluster.seed(),
            step: self.cluster.steps(),
        };
        let decided = self.cluster.round(lr, &self.x, &mut host)?;
        self.cluster.apply(&decided.moved, lr, &mut self.x);
        self.bytes[0] += decided.traffic.up_per_worker();
        self.bytes[1] += decided.traffic.down_per_worker();
        Ok(())
    }

    /// x.
    pub fn x(&self) -> &[f32] {
        &self.x
    }

    /// x, to be projected onto a constraint. Under gossip this changes nothing.
    pub fn x_mut(&mut self) -> &mut [f32] {
        &mut self.x
    }

    /// The workers.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// Bytes that a worker has sent, and received from a server.
    pub fn bytes(&self) -> [f64; 2] {
        self.bytes
    }

    /// ‖∇f(x)‖².
    pub fn squared_gradient(&self) -> f64 {
        self.problem.squared_gradient(self.cluster.workers(), &self.x)
    }

    /// f(x).
    pub fn objective(&self) -> f64 {
        self.problem.objective(self.cluster.workers(), &self.x)
    }
}

struct Serve<'a> {
    problem: &'a dyn Problem,
    x: &'a Buf,
    nodes: &'a [Buf],
    seed: u64,
    step: u64,
}

impl Host for Serve<'_> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        let here = self.nodes.get(worker).unwrap_or(self.x);
        match ask {
            Ask::Gradient { at, batches: 0 } => {
                let mut g = vec![0.0; here.len()];
                self.problem.exact(worker, at.as_ref().unwrap_or(here), &mut g);
                Ok(Reply::Gradient(g))
            }
            Ask::Gradient { at, batches } => {
                let at = at.as_ref().unwrap_or(here);
                let mut mean = vec![0.0; here.len()];
                let mut g = mean.clone();
                for batch in 0..*batches {
                    let key = Key {
                        step: self.step,
                        worker: Some(worker as u32),
                        round: batch as u32,
                        ..Key::new(self.seed)
                    };
                    g.fill(0.0);
                    self.problem.gradient(worker, at, &mut Philox::new(key.stream(STREAM).draw()), &mut g);
                    mean.iter_mut().zip(&g).for_each(|(m, g)| *m += g / *batches as f32);
                }
                Ok(Reply::Gradient(mean))
            }
            Ask::Loss { at } => Ok(Reply::Loss(self.problem.loss(worker, at.as_ref().unwrap_or(here)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::SparseNoise;

    #[test]
    fn sgd_and_ef_with_identity_agree_and_repeat() {
        let problem = SparseNoise { dimension: 5, deviation: 1.0 };
        let run = |algorithm: &str| {
            let (algorithm, compressor) = (algorithm.parse().unwrap(), "identity".parse().unwrap());
            let mut simulation = Simulation::new(algorithm, compressor, &problem, 3, 7, vec![1.0; 5]).unwrap();
            (0..20).for_each(|_| simulation.step(0.1).unwrap());
            simulation.x().to_vec()
        };
        let (sgd, ef) = (run("sgd"), run("ef-sgd"));
        assert_eq!(sgd, run("sgd"));
        sgd.iter().zip(&ef).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
    }
}
