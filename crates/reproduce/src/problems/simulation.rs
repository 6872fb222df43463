//! A cluster of workers on a [`Problem`].

use backburn_compress::{AnyCompressor, Key, Layout, Philox, Stream};
use backburn_optim::{AnyAlgorithm, Ask, Cluster, Host, Reply, RoundError, SetupError, Snapshot, Vector};
use backburn_train::session::{Keeps, Stepped, Trains};

use super::flat::Flat;
use super::problem::Problem;
use crate::error::ReproduceError;

/// n workers on a problem, and their common x (under gossip the mean of theirs).
pub struct Simulation<'p> {
    flat: Flat,
    problem: &'p dyn Problem,
}

impl std::fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simulation({:?})", self.flat.cluster)
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
        x: Vec<f32>,
    ) -> Result<Self, SetupError> {
        let layout = Layout::flat(x.len())?;
        let flat = Flat::new(algorithm, compressor, layout, workers, seed, x.into())?;
        Ok(Self { flat, problem })
    }

    /// x.
    pub fn x(&self) -> &[f32] {
        self.flat.x.as_slice()
    }

    /// x, to be projected onto a constraint. Under gossip this changes nothing.
    pub fn x_mut(&mut self) -> &mut [f32] {
        self.flat.x.as_mut_slice()
    }

    /// The workers.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.flat.cluster
    }

    /// ‖∇f(x)‖².
    pub fn squared_gradient(&self) -> f64 {
        self.problem.squared_gradient(self.flat.cluster.workers(), self.x())
    }

    /// f(x).
    pub fn objective(&self) -> f64 {
        self.problem.objective(self.flat.cluster.workers(), self.x())
    }
}

impl Trains for Simulation<'_> {
    type Error = ReproduceError;

    fn step(&mut self, _: u64, lr: f64) -> Result<Stepped, ReproduceError> {
        let Flat { cluster, x } = &mut self.flat;
        let nodes: Vec<Vector> = (0..cluster.workers()).map_while(|w| cluster.node(w).cloned()).collect();
        let (seed, step) = (cluster.seed(), cluster.steps());
        let mut host = Serve { problem: self.problem, x, nodes: &nodes, seed, step };
        let decided = cluster.round(lr, x, &mut host)?;
        decided.apply(x);
        Ok(Stepped { loss: f64::NAN, bytes: decided.traffic.per_worker() })
    }

    fn is_non_finite(error: &ReproduceError) -> bool {
        matches!(error, ReproduceError::Round(error) if error.is_divergence())
    }
}

impl Keeps for Simulation<'_> {
    fn snapshot(&mut self) -> Result<Snapshot, ReproduceError> {
        Ok(self.flat.snapshot())
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), ReproduceError> {
        Ok(self.flat.restore(snapshot)?)
    }
}

struct Serve<'a> {
    problem: &'a dyn Problem,
    x: &'a Vector,
    nodes: &'a [Vector],
    seed: u64,
    step: u64,
}

impl Host for Serve<'_> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        let here = self.nodes.get(worker).unwrap_or(self.x);
        match ask {
            Ask::Gradient { at, batches: 0 } => {
                let mut g = vec![0.0; here.len()];
                self.problem.exact(worker, at.as_ref().unwrap_or(here).as_slice(), &mut g);
                Ok(Reply::gradient(g))
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
                    self.problem.gradient(
                        worker,
                        at.as_slice(),
                        &mut Philox::new(key.stream(Stream::PROBLEM).draw()),
                        &mut g,
                    );
                    mean.iter_mut().zip(&g).for_each(|(m, g)| *m += g / *batches as f32);
                }
                Ok(Reply::gradient(mean))
            }
            Ask::Loss { at } => Ok(Reply::Loss(self.problem.loss(worker, at.as_ref().unwrap_or(here).as_slice()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use backburn_train::session::Session;

    use super::*;
    use crate::problems::SparseNoise;

    #[test]
    fn sgd_and_ef_with_identity_agree_and_repeat() {
        let problem = SparseNoise { dimension: 5, deviation: 1.0 };
        let run = |algorithm: &str| {
            let (algorithm, compressor) = (algorithm.parse().unwrap(), "identity".parse().unwrap());
            let simulation = Simulation::new(algorithm, compressor, &problem, 3, 7, vec![1.0; 5]).unwrap();
            let mut session = Session::new(simulation, |_: u64, _: u64| 0.1, 20);
            session.run(&mut ()).unwrap();
            session.trains().x().to_vec()
        };
        let (sgd, ef) = (run("sgd"), run("ef-sgd"));
        assert_eq!(sgd, run("sgd"));
        sgd.iter().zip(&ef).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
    }
}
