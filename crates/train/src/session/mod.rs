//! The one loop: steps by a schedule, watched, and kept with all their state.
//!
//! A [`Session`] steps whatever [`Trains`]: simulated workers on a classifier ([`run`](crate::run)), a cluster on flat
//! vectors, a training of an embedder's own. It knows step sizes, counts bytes and steps, and can be kept and gone on
//! with where its training [can](Keeps); who [watches](Watch) it says when to stop, records, and keeps checkpoints.

mod schedule;
mod step;
mod stepping;
mod trains;
mod watch;

pub use schedule::{Schedule, ScheduleError, StepSizes};
pub use step::Step;
pub use stepping::{OnNonFinite, Session, SoFar};
pub use trains::{Keeps, Stepped, Trains};
pub use watch::{Ending, Watch};
