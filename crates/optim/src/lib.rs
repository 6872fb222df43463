//! Error-feedback algorithms, rounds and optimizers for Burn.
//!
//! An [`Algorithm`] is a pure state machine: it gives messages and takes inboxes, and hosts carry
//! them. Hosts are the Burn optimizer of one worker ([`EfSgdConfig`], [`Solo`]), [`Group`] (workers on
//! Burn modules) and [`Cluster`] below it (workers on flat vectors), which drives every round. Its
//! [`Mail`] is [`InProcess`] or [`Encoded`], over any [`Transport`] between processes: the code, and
//! so every bit, is the same.

pub mod algorithms;
mod burn;
mod checkpoint;
mod host;
mod method;

pub use backburn_compress::{Policy, Vector};

#[cfg(feature = "learner")]
pub use crate::burn::learner;
pub use crate::burn::{
    DeviceError, DeviceKind, EfSgdConfig, Group, GroupConfig, InnerGradients, LoadError, LocalSteps, ModuleHost,
    ParameterGroup, Places, Probe, Round, Rounds, Solo, SoloState, StepIsOwned, batch_norm, device, load_optimizer,
};
pub use algorithms::*;
pub use checkpoint::{ResizeError, Snapshot, SnapshotError, remove_unfinished, write_atomically};
pub use host::{
    At, Bytes, Change, Cluster, Decided, Encoded, Footprint, Fragments, FragmentsError, Given, Gradient, Heard, Host,
    HostError, InProcess, Letter, Link, LinkError, Links, Load, Machines, Mail, MailError, ModelError, Observation,
    OnLink, Outgrown, Plan, PlanChoice, PlanError, Reply, RoundError, Seats, SetupError, Terms, Threads, Traffic,
    Transport, TransportError, UnitError, all_reduce, duration, mean_of_nodes, rate,
};
pub use method::{
    Algorithm, Alpha, AnyAlgorithm, Argument, Ask, Conserves, Cx, Decision, Draw, Inbox, Move, Next, NotTaken, Owner,
    Parent, Plain, Refresh, Residual, Restarts, Role, Rule, Seen, State, Takes, UNSAID, Visitor, Why,
};
