//! What steps come to on a network that is not there.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::cost::{Load, all_reduce};
use super::links::Links;
use super::plan::Plan;

/// Seconds that exchanges take on given links: of the messages under each plan, and of what would be sent without
/// compression. Computing is not in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OnLink {
    /// Everybody hears everybody; under gossip, its neighbours.
    pub gather: f64,
    /// Everybody serves a share; under gossip as `gather`.
    pub sharded: f64,
    /// The uncompressed vector, by whichever is faster: around a ring, or under either plan.
    pub dense: f64,
}

impl OnLink {
    /// One step's.
    pub fn of(step: &Load, links: &Links) -> Self {
        let gather = step.seconds(Plan::Gather, links);
        let sharded = if step.can(Plan::Sharded) { step.seconds(Plan::Sharded, links) } else { gather };
        let (n, bytes) = (step.workers(), step.dense());
        let dense = Load::even(n, bytes, bytes, bytes).cheapest(links).1.min(all_reduce(bytes, n, links));
        Self { gather, sharded, dense }
    }

    /// The cheaper plan for all steps, and its seconds.
    pub fn best(&self) -> (Plan, f64) {
        if self.sharded < self.gather { (Plan::Sharded, self.sharded) } else { (Plan::Gather, self.gather) }
    }
}

impl AddAssign for OnLink {
    fn add_assign(&mut self, other: Self) {
        self.gather += other.gather;
        self.sharded += other.sharded;
        self.dense += other.dense;
    }
}
