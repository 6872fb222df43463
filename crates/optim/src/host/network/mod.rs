//! What an exchange costs on a given network: one model of it, for runs, groups and advice.
//!
//! Time is latency · hops + bytes / rate, each way by itself, and every phase of an exchange waits for the slowest
//! worker. It knows no headers of a protocol, no lost packets and no congestion within the network: hosts hang on
//! links, and between the links there is room.

mod cost;
mod link;
mod links;
mod on_link;
mod plan;
mod units;

pub use cost::{Load, all_reduce};
pub use link::{Link, LinkError};
pub use links::Links;
pub use on_link::OnLink;
pub use plan::{Plan, PlanChoice, PlanError};
pub use units::{UnitError, duration, rate};
