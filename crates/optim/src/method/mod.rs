//! What a method is: a pure state machine, the asks and decisions that pass between it and its host, what it promises,
//! and the walk over its states.

mod algorithm;
mod any;
mod argument;
mod ask;
mod cx;
mod decision;
pub(crate) mod erased;
mod promise;
mod residual;
mod state;
mod takes;

pub use algorithm::Algorithm;
pub use any::AnyAlgorithm;
pub use argument::Argument;
pub(crate) use argument::{chained, display_by_arguments};
pub use ask::{Ask, Seen};
pub use cx::Cx;
pub use decision::{Decision, Inbox, Move, Next};
pub use promise::{Alpha, Conserves, Draw, Parent, Refresh, Restarts, Rule, UNSAID, Why};
pub use residual::Residual;
pub use state::{Owner, Role, State, Visitor};
pub use takes::{NotTaken, Plain, Takes};
