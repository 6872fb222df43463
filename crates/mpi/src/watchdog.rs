//! Ends this process where MPI itself waits without end: while it starts and while it ends, when nobody can be asked.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// While it lives, the process has so much time.
pub(crate) struct Watchdog(Option<Sender<()>>);

/// This process's rank as its launcher says it: MPI may not have started.
fn rank() -> u32 {
    let said = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"].iter().find_map(|name| std::env::var(name).ok());
    said.and_then(|rank| rank.parse().ok()).unwrap_or(0)
}

impl Watchdog {
    /// `what` is said of MPI where the time is over: the least rank says it, since `mpirun` ends the others then.
    pub fn new(timeout: Duration, what: &'static str) -> Self {
        let (keep, over) = channel();
        let rank = rank();
        let patience = timeout + Duration::from_millis(100) * (rank + 1);
        let watch = move || {
            if over.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                eprintln!(
                    "error: rank {rank}: MPI {what} within {timeout:?}: some rank hangs, and which cannot be asked"
                );
                std::process::exit(1);
            }
        };
        // Without a thread nobody watches, and all else works.
        let watching = std::thread::Builder::new().name("mpi watchdog".into()).spawn(watch);
        Self(watching.ok().map(|_| keep))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}
