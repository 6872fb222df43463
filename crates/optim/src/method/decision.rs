//! What a round of messages comes to.

use backburn_compress::{Memo, Message, Vector};

/// The messages of one round, as they reached one node: `None` where a worker is absent. With
/// all-to-all methods one entry a worker; under gossip one a peer, in the order of
/// [`Algorithm::peers`](crate::Algorithm::peers).
pub type Inbox<'a> = &'a [Option<&'a Message>];

/// What follows from a round of messages.
#[derive(Clone, Debug)]
pub enum Next {
    /// Everybody hears this and answers.
    Round(Message),
    /// The step is decided.
    Done(Decision),
}

impl From<Move> for Next {
    fn from(moved: Move) -> Self {
        Self::Done(moved.into())
    }
}

/// What a step comes to. The last three are empty for most methods.
#[derive(Clone, Debug)]
pub struct Decision {
    /// How x moves.
    pub moved: Move,
    /// What a server sends so that everybody can make the move, where that is not the move itself:
    /// under EF21 the mean of the c_i, from which each brings its h up to date.
    pub heard: Option<Message>,
    /// What the aggregate's own compressor remembers; for `advance`.
    pub memos: Vec<Memo>,
    /// What `reduce` has worked out and `advance` needs again.
    pub kept: Vector,
}

impl From<Move> for Decision {
    fn from(moved: Move) -> Self {
        Self { moved, heard: None, memos: Vec::new(), kept: Vector::new() }
    }
}

/// How the step changes x.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// x ← x − γ·d. Any optimizer may follow on d instead.
    Direction(Message),
    /// x ← x − u: the step size is inside, the method owns the step.
    Update(Message),
    /// x ← y.
    Jump(Vector),
    /// Each node has its own x.
    Own,
}
