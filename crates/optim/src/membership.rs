//! Workers that join and leave.

use crate::snapshot::{Snapshot, SnapshotError};
use crate::{Cluster, SetupError};

/// Why the number of workers was not changed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ResizeError {
    /// No workers would be left.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Something belongs to one worker alone (under EF21 the server's h would no longer be the mean of
    /// the workers' h_i), or the workers' states are of different steps.
    #[error(transparent)]
    Indivisible(#[from] SnapshotError),
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
        fresh.load_from(&snapshot)?;
        *self = fresh;
        Ok(())
    }
}
