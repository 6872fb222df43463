//! What a step came to, and the one place where x moves.

use std::sync::Arc;

use backburn_compress::{Layout, Message, Vector};

use crate::host::Traffic;
use crate::method::Move;

/// What a step came to.
#[derive(Clone, Debug)]
pub struct Decided {
    /// How x moves.
    pub moved: Move,
    /// What was sent.
    pub traffic: Traffic,
    pub(crate) lr: f64,
    pub(crate) layout: Arc<Layout>,
    /// Under gossip the mean of this process's nodes, which stands for them where one x is wanted.
    pub(crate) mean: Option<Vector>,
}

/// A [`Move`] in numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// x ← x + u.
    By(Vector),
    /// x ← y.
    To(Vector),
}

impl Decided {
    /// Moves x: x ← x − γ·d, x ← x − u, or x ← y. Under gossip x becomes the mean of this process's nodes.
    ///
    /// # Panics
    /// Where x has not the model's length.
    pub fn apply(&self, x: &mut Vector) {
        apply(&self.moved, self.lr, self.mean.as_ref(), x, &self.layout);
    }

    /// The same for an x that lives elsewhere: what to add to it, or what it becomes.
    pub fn change(&self) -> Change {
        change(&self.moved, self.lr, self.mean.as_ref(), &self.layout)
    }

    /// The same where it is a·decode(message) that is added.
    pub(crate) fn sum(&self) -> Option<(f32, &Message)> {
        sum(&self.moved, self.lr)
    }

    /// Ends with its memory left to the steps to come.
    pub fn recycle(self) {
        match self.moved {
            Move::Direction(message) | Move::Update(message) => message.recycle(),
            Move::Jump(_) | Move::Own => {}
        }
    }

    /// γ of this step.
    pub fn lr(&self) -> f64 {
        self.lr
    }

    /// The model's layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
}

/// A move in numbers.
pub(crate) fn change(moved: &Move, lr: f64, mean: Option<&Vector>, layout: &Layout) -> Change {
    match (moved, mean) {
        (Move::Jump(y), _) | (Move::Own, Some(y)) => Change::To(y.clone()),
        _ => {
            let mut u = Vector::lent(layout.len());
            u.clear();
            apply(moved, lr, mean, &mut u, layout);
            Change::By(u)
        }
    }
}

fn sum(moved: &Move, lr: f64) -> Option<(f32, &Message)> {
    match moved {
        Move::Direction(d) => Some((-lr as f32, d)),
        Move::Update(u) => Some((-1.0, u)),
        Move::Jump(_) | Move::Own => None,
    }
}

/// The move.
pub(crate) fn apply(moved: &Move, lr: f64, mean: Option<&Vector>, x: &mut Vector, layout: &Layout) {
    match (moved, sum(moved, lr), mean) {
        (_, Some((a, message)), _) => x.add_decoded(a, message, layout),
        (Move::Jump(y), ..) | (_, _, Some(y)) => x.clone_from(y),
        (_, _, None) => {}
    }
}
