//! Rounds, the one driver of them, and who carries messages between workers.

pub(crate) mod careful;
pub(crate) mod cluster;
pub(crate) mod decided;
mod encoded;
mod envelope;
mod error;
mod footprint;
mod fragments;
mod machines;
mod mail;
mod model_error;
mod network;
mod observe;
mod round;
mod serving;
mod sharded;
mod silence;
mod summed;
mod traffic;
mod transport;

pub use cluster::Cluster;
pub use decided::{Change, Decided};
pub use encoded::Encoded;
pub use error::{HostError, MailError, Outgrown, RoundError, SetupError};
pub use footprint::Footprint;
pub use fragments::{Fragments, FragmentsError};
pub use machines::Machines;
pub use mail::{At, Heard, InProcess, Letter, Mail, Seats, Terms};
pub use model_error::ModelError;
pub use network::{
    Link, LinkError, Links, Load, OnLink, Plan, PlanChoice, PlanError, UnitError, all_reduce, duration, rate,
};
pub use observe::Observation;
pub use round::mean_of_nodes;
pub use serving::{Given, Gradient, Host, Reply};
pub use traffic::{Bytes, Traffic};
pub use transport::{Threads, Transport, TransportError};
