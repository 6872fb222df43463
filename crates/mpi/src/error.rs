//! Why there is no MPI.

use std::fmt;

/// Why a process cannot be a rank.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MpiError {
    /// Nobody has launched it as a rank.
    #[error("this process is no rank of an MPI run; start it by `mpirun -n 4 PROGRAM …`")]
    NotLaunched,
    /// There is one world a process.
    #[error("MPI has been initialised in this process already, and can be once: clone the first `Mpi`")]
    Initialised,
    /// The library serves one thread alone.
    #[error("this MPI library serves only the thread that initialised it, and a rank may move between threads")]
    Threads,
    /// The library has failed.
    #[error("{call} failed: {why}")]
    Call {
        /// The function.
        call: &'static str,
        /// As MPI describes it.
        why: String,
    },
}

/// As people read it: a `main` that returns its error prints this.
impl fmt::Debug for MpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
