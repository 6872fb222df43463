//! Workers that join and leave.

use std::collections::BTreeMap;

use crate::snapshot::{Snapshot, SnapshotError};
use crate::{Cluster, SetupError};

/// Why the number of workers was not changed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ResizeError {
    /// No workers would be left.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Something belongs to one worker alone: under EF21 the server's h would no longer be the mean of
    /// the workers' h_i.
    #[error(transparent)]
    Indivisible(#[from] SnapshotError),
    /// A worker whose state is of another step than the others': its residual stands in units of
    /// another step size, say.
    #[error(
        "worker {0} was absent lately, so its state cannot be added to the others'; resize after a round in which all take part"
    )]
    Apart(usize),
}

impl Cluster {
    /// Goes on with another number of workers. The mean residual is conserved, Σe′ = (n′/n)·Σe:
    /// every worker gets the mean, as it gets the mean momentum; the sum of what is owed to x stays
    /// what it was, because x moves by the mean. Methods whose server tracks every worker (EF21) are
    /// refused once they have begun, as is gossip.
    pub fn resize(&mut self, workers: usize) -> Result<(), ResizeError> {
        if workers == self.workers() {
            return Ok(());
        }
        let mut fresh = self.fresh(workers)?;
        let mut snapshot = Snapshot::default();
        self.save_into(&mut snapshot);
        let first = shape(&snapshot, 0);
        if let Some(other) = (1..self.workers()).find(|w| shape(&snapshot, *w) != first) {
            return Err(ResizeError::Apart(other));
        }
        fresh.load_from(&snapshot)?;
        *self = fresh;
        Ok(())
    }
}

/// What must be alike in all workers for their states to be averaged: which vectors there are, and
/// every number, except for what compressors remember.
fn shape(snapshot: &Snapshot, worker: usize) -> BTreeMap<&str, Option<u64>> {
    let prefix = format!("worker.{worker}.");
    let vectors = snapshot.vectors.keys().map(|name| (name, None));
    let numbers = snapshot.numbers.iter().map(|(name, value)| (name, Some(*value)));
    let own = vectors.chain(numbers).filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value)));
    own.filter(|(name, _)| !name.contains(".memo.")).collect()
}
