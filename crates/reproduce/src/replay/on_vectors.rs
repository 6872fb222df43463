//! A case on flat vectors.

use backburn_compress::{AnyCompressor, Layout};
use backburn_optim::{AnyAlgorithm, Ask, Move, Reply, RoundError, SetupError, Traffic, Vector};

use super::ReplayError;
use super::follow::Runner;
use super::setup::Setup;
use crate::problems::flat::Flat;

pub(super) struct OnVectors(Flat);

impl OnVectors {
    pub fn new(setup: &Setup, algorithm: AnyAlgorithm, compressor: AnyCompressor) -> Result<Self, ReplayError> {
        let named = setup.shapes.iter().enumerate().map(|(i, shape)| (format!("parameters.{i}"), shape.clone()));
        let layout = Layout::new(named.collect(), setup.scope, 0).map_err(SetupError::from)?;
        let mut flat = Flat::new(algorithm, compressor, layout, setup.workers, 0, setup.x0.clone())?;
        setup.begin(&mut flat.cluster);
        Ok(Self(flat))
    }
}

impl Runner for OnVectors {
    fn step(&mut self, lr: f64, gradients: &[Vector]) -> Result<Traffic, ReplayError> {
        let mut host = |worker: usize, ask: &Ask| match ask {
            Ask::Gradient { .. } => Ok(Reply::gradient(gradients[worker].clone())),
            Ask::Loss { .. } => Err(RoundError::Unserved("a loss")),
        };
        let Flat { cluster, x } = &mut self.0;
        let decided = cluster.round(lr, x, &mut host)?;
        decided.apply(x);
        // Under gossip the nodes' mean would hide gossip and compression alike.
        if matches!(decided.moved, Move::Own)
            && let Some(first) = cluster.node(0)
        {
            x.clone_from(first);
        }
        Ok(decided.traffic)
    }

    fn x(&self) -> Vector {
        self.0.x.clone()
    }

    fn residual_norms(&mut self) -> Vec<f64> {
        self.0.cluster.observe().residual_norms
    }
}
