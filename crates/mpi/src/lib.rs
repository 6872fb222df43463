//! Backburn between the processes of an MPI run: [`Mpi`] is a [`Transport`](backburn_optim::Transport), so a group
//! [over it](backburn_optim::GroupConfig::init_over) gives the bits of one that simulates all workers in one process.
//!
//! ```no_run
//! use backburn_mpi::Mpi;
//! use backburn_optim::Transport;
//!
//! // mpirun -n 4 PROGRAM
//! let mut mpi = Mpi::world()?;
//! let all: Vec<usize> = (0..mpi.size()).collect();
//! let heard = mpi.exchange(b"hello", &all)?;
//! assert!(heard.iter().all(|bytes| bytes == b"hello"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It needs an MPI to build and to run: Open MPI (`libopenmpi-dev openmpi-bin libclang-dev` on Debian) or MPICH.
//!
//! **No rank waits without end.** Every wait polls and has a deadline, [`Mpi::with_timeout`]. Messages are point to
//! point and non-blocking, all receives posted before anything is waited for, since a collective operation could be
//! neither given up nor asked which rank it waits for. A rank that fails tells all others why; each of them returns that
//! from whatever it is doing. Only a rank that has gone without a word is left to `mpirun`, which ends the others. While MPI itself starts and ends
//! nobody can be asked, and a watchdog ends the process.

mod calls;
mod control;
mod error;
mod exchange;
mod head;
mod watchdog;
mod world;

pub use error::MpiError;
pub use world::{Mpi, is_launched};
