//! Workers and the flat vector that they move: what a session on vectors steps and keeps.

use backburn_compress::{AnyCompressor, Layout};
use backburn_optim::{AnyAlgorithm, Cluster, SetupError, Snapshot, SnapshotError, Vector};

/// Workers, and their common x (under gossip the mean of theirs).
#[derive(Debug)]
pub(crate) struct Flat {
    pub cluster: Cluster,
    pub x: Vector,
}

impl Flat {
    /// Workers that start at `x`.
    ///
    /// # Errors
    /// Where method and compressor do not go together.
    pub fn new(
        algorithm: AnyAlgorithm,
        compressor: AnyCompressor,
        layout: Layout,
        workers: usize,
        seed: u64,
        x: Vector,
    ) -> Result<Self, SetupError> {
        let cluster = Cluster::new(algorithm, compressor, layout, workers, seed, x.as_slice())?;
        Ok(Self { cluster, x })
    }

    /// All their state.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.cluster.save_into(&mut snapshot);
        snapshot.vectors.insert("x".into(), self.x.as_slice().to_vec());
        snapshot
    }

    /// Goes on from a snapshot. On an error nothing has changed.
    ///
    /// # Errors
    /// Where it is damaged, or another run's.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let x = snapshot.vector("x")?;
        if x.len() != self.x.len() {
            let why = format!("it has {} coordinates, the run {}", x.len(), self.x.len());
            return Err(SnapshotError::Damaged { name: "checkpoint".into(), why });
        }
        self.cluster.load_from(snapshot)?;
        self.x = x.to_vec().into();
        Ok(())
    }
}
