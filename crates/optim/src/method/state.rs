//! What algorithms keep between steps, and the one walk that saves, loads, measures and re-divides it.

use std::fmt;

use backburn_compress::{Layout, Memo, Vector};

use crate::method::residual::Residual;

/// What a saved vector means, so that a run can go on with another number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What is still owed: its mean over the workers is conserved (law 1).
    Residual,
    /// A running mean of gradients: the mean over the workers is a fair start for anyone.
    Momentum,
    /// What the server knows of this worker (h of EF21): cannot be re-divided, only handed over.
    Tracker,
}

/// Whose a state is. `Display` gives the prefix of its names in files: `worker.3.`, `shared.`, `node.3.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// One worker's [`Local`](crate::Algorithm::Local).
    Worker(usize),
    /// The replicated [`Shared`](crate::Algorithm::Shared).
    Shared,
    /// A node's [`Shared`](crate::Algorithm::Shared), under gossip.
    Node(usize),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(rank) => write!(f, "worker.{rank}."),
            Self::Shared => f.write_str("shared."),
            Self::Node(rank) => write!(f, "node.{rank}."),
        }
    }
}

/// Visits every piece of a state, by name. Names must not change: files hold them.
pub trait Visitor {
    /// What follows belongs to this owner.
    fn enter(&mut self, owner: Owner) {
        let _ = owner;
    }
    /// A vector; as long as the model, or empty before its first use.
    fn vector(&mut self, name: &str, role: Role, x: &mut Vector);
    /// A real number.
    fn scalar(&mut self, name: &str, x: &mut f64);
    /// The last step size that was one: residuals stand in units of it.
    fn step_size(&mut self, lr: &mut f64) {
        self.scalar("lr", lr);
    }
    /// A counter.
    fn count(&mut self, name: &str, x: &mut u64);
    /// What compressors remember, one memo a unit.
    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>);
    /// A lazy residual; seen as its materialised vector where nothing else is said.
    fn residual(&mut self, name: &str, residual: &mut Residual, layout: &Layout) {
        self.vector(name, Role::Residual, residual.materialise(layout));
        self.memos(name, residual.memos_mut());
    }
}

/// A state of one worker (`Local`) or of all (`Shared`).
pub trait State: Clone + Send + Sync + 'static {
    /// Shows every piece that a resumed run needs.
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout);
}

impl State for () {
    fn visit(&mut self, _: &mut dyn Visitor, _: &Layout) {}
}
