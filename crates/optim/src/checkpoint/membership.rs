//! Workers that join and leave.

use crate::checkpoint::snapshot::{Snapshot, SnapshotError};
use crate::host::{Cluster, InProcess, Mail, SetupError};

/// Why the number of workers was not changed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// No workers would be left, or the processes that are left do not go together.
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
    ///
    /// # Errors
    /// Where a state cannot be divided. Nothing has changed then.
    pub fn resize(&mut self, workers: usize) -> Result<(), ResizeError> {
        if workers == self.workers() {
            return Ok(());
        }
        let mut snapshot = Snapshot::default();
        self.save_into(&mut snapshot);
        *self = self.seated(InProcess::new(workers), &snapshot)?;
        Ok(())
    }
}

impl<M: Mail> Cluster<M> {
    /// The same run over another mail, which may have other processes and another number of workers: goes on
    /// from `snapshot`, that of all workers so far ([`Snapshot::merge`]). [`resize`](Cluster::resize) is this
    /// within one process.
    ///
    /// # Errors
    /// As [`resize`](Cluster::resize), and where the processes do not go together.
    pub fn seated<N: Mail>(&self, mail: N, snapshot: &Snapshot) -> Result<Cluster<N>, ResizeError> {
        let frame = &self.frame;
        // Where a worker joins does not matter: methods that keep x are loaded, or refused, in the next line.
        let x = vec![0.0; frame.layout.len()];
        let mut fresh = Cluster::within(frame, &x, mail)?;
        fresh.load_from(snapshot)?;
        Ok(fresh)
    }
}
