//! Error-feedback algorithms, rounds and optimizers for Burn.
//!
//! An [`Algorithm`] is a pure state machine: it gives messages and takes inboxes, and hosts carry
//! them. Hosts are the Burn optimizer of one worker ([`EfSgdConfig`], [`Solo`]), [`Group`] (n
//! workers in this process, on Burn modules), [`Cluster`] (the same on flat vectors) and [`Rank`]
//! (one of n processes over any transport); all run the same code and give the same bits.

mod algorithm;
pub mod algorithms;
mod cluster;
mod device;
mod erased;
mod error;
pub mod graph;
mod group;
mod membership;
pub mod module;
mod observe;
mod optimizer;
mod persist;
mod rank;
pub mod replay;
mod residual;
mod snapshot;
mod spec;
pub mod stability;
mod state;
mod traffic;

pub use algorithm::{Algorithm, Ask, Buf, Cx, Decision, Inbox, Move, Next, Plain, Seen, Takes};
pub use algorithms::{
    Beer, CompressedSgd, Dgc, Ecx, Ef21, Ef21Ideal, Ef21Sgd, Ef21Sgd2m, Ef21Sgdm, EfSgd, EfSgdBidirectional, Estimator,
    LocalGradient, Momentum, Neolithic, Perturbed, PowerSgd, Sgd, SketchedTopK,
};
pub use cluster::{Cluster, Decided, Fate, Given, Host, Reply};
pub use device::{DEVICES, DeviceError, device, device_name};
pub use error::{RoundError, SetupError};
pub use group::{Group, GroupBuilder, ModuleHost, Round, StepIsOwned};
pub use membership::ResizeError;
pub use observe::Observation;
pub use optimizer::{EfSgdConfig, LoadError, Probe, Solo, load_optimizer};
pub use rank::{Rank, Transport};
pub use residual::Residual;
pub use snapshot::{Snapshot, SnapshotError, write_atomically};
pub use spec::AnyAlgorithm;
pub use state::{Role, State, Visitor};
pub use traffic::Traffic;
