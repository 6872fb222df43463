//! The trait that every method implements: a pure state machine over two states.

use std::fmt::{Debug, Display};
use std::sync::Arc;

use backburn_compress::{AnyCompressor, Compressor, Direction, Feedback, Key, Layout, Memo, Message, NotForFeedback};

use crate::{SetupError, State};

/// A flat vector, as long as the model.
pub type Buf = Vec<f32>;

/// What a method knows of the round it is in.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'a> {
    /// The model's layout.
    pub layout: &'a Layout,
    /// The compressor.
    pub compressor: &'a dyn Compressor,
    /// n, the number of workers, absent ones included.
    pub workers: usize,
    /// This worker, or the node that reduces.
    pub rank: usize,
    /// The run's seed.
    pub seed: u64,
    /// t, the steps taken so far.
    pub step: u64,
    /// The message round within the step.
    pub round: u32,
    /// γ_t.
    pub lr: f64,
    /// x_t; empty where the method does not [need](Algorithm::needs_x) it.
    pub x: &'a [f32],
}

impl Cx<'_> {
    /// Names this worker's draws in this round.
    pub fn key(&self) -> Key {
        Key { step: self.step, worker: Some(self.rank as u32), round: self.round, ..Key::new(self.seed) }
    }

    /// Names the draws of whoever aggregates in this round, the same everywhere.
    pub fn key_down(&self) -> Key {
        Key { worker: None, direction: Direction::Down, ..self.key() }
    }

    /// C(x) unit by unit, with this worker's draws.
    pub fn compress(&self, x: &[f32], memos: &mut [Memo]) -> Message {
        backburn_compress::compress(self.compressor, x, self.layout, &self.key(), memos)
    }

    /// The same context in another round.
    pub fn at_round(self, round: u32) -> Self {
        Self { round, ..self }
    }
}

/// What a method needs from its host before it can speak.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A stochastic gradient on this step's minibatch.
    Gradient {
        /// Where; `None` for the worker's current x.
        at: Option<Buf>,
        /// The mean of so many minibatches; 0 asks for the exact gradient of the worker's objective.
        batches: usize,
    },
    /// The worker's own full objective f_i.
    Loss {
        /// Where; `None` for the worker's current x.
        at: Option<Buf>,
    },
}

impl Ask {
    /// What most methods ask: one minibatch's gradient at the current x.
    pub const GRADIENT: Self = Self::Gradient { at: None, batches: 1 };
}

/// The host's answers, each kind in the order of the asks.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Gradients, as long as the model each.
    pub gradients: Vec<Buf>,
    /// Losses.
    pub losses: Vec<f64>,
}

impl Seen {
    /// One gradient.
    pub fn gradient(g: Buf) -> Self {
        Self { gradients: vec![g], losses: Vec::new() }
    }

    /// Takes the first gradient.
    pub fn take(&mut self) -> Buf {
        std::mem::take(&mut self.gradients[0])
    }
}

/// The messages of one round, as they reached one node: `None` where a worker is absent. With
/// all-to-all methods one entry a worker; under gossip one a peer, in the order of
/// [`Algorithm::peers`].
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
    pub kept: Buf,
}

impl From<Move> for Decision {
    fn from(moved: Move) -> Self {
        Self { moved, heard: None, memos: Vec::new(), kept: Buf::new() }
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
    Jump(Buf),
    /// Each node has its own x.
    Own,
}

/// What compressors a method takes.
pub trait Takes: Sized + Send + Sync {
    /// Takes a parsed compressor, or says why not.
    fn parsed(compressor: AnyCompressor) -> Result<Self, NotForFeedback>;
    /// The compressor.
    fn compressor(self) -> Arc<dyn Compressor>;
}

impl Takes for Feedback {
    fn parsed(compressor: AnyCompressor) -> Result<Self, NotForFeedback> {
        compressor.try_into()
    }

    fn compressor(self) -> Arc<dyn Compressor> {
        self.shared()
    }
}

/// Any compressor at all, for methods without feedback.
#[derive(Clone, Debug)]
pub struct Plain(Arc<dyn Compressor>);

impl<C: Compressor + 'static> From<C> for Plain {
    fn from(compressor: C) -> Self {
        Self(Arc::new(compressor))
    }
}

impl Takes for Plain {
    fn parsed(compressor: AnyCompressor) -> Result<Self, NotForFeedback> {
        Ok(Self(compressor.shared()))
    }

    fn compressor(self) -> Arc<dyn Compressor> {
        self.0
    }
}

/// A method as pure functions over a worker's state and a shared one. It never communicates:
/// a host carries its messages, so simulation and separate processes run the same code.
///
/// A step is begin → reduce → (answer → reduce)* → commit and advance. Until commit nothing of what
/// was said counts as applied; a host may give a round up at any message.
pub trait Algorithm: Debug + Display + Send + Sync + 'static {
    /// The compressors it takes: [`Feedback`] or [`Plain`].
    type Takes: Takes;
    /// One worker's state.
    type Local: State;
    /// The replicated state; under gossip one a node.
    type Shared: State;

    /// A worker's state before the first step, where x may be read from `cx`.
    fn local(&self, cx: &Cx<'_>) -> Self::Local;

    /// The shared state before the first step.
    fn shared(&self, cx: &Cx<'_>) -> Self::Shared;

    /// What the method makes of its compressor, once, at the start: itself, unless the method builds
    /// another from it (NEOLITHIC repeats it), or cannot go with it.
    fn adopt(&self, compressor: Arc<dyn Compressor>) -> Result<Arc<dyn Compressor>, SetupError> {
        Ok(compressor)
    }

    /// Whose messages reach this rank: everybody's, or under gossip its neighbours' and its own.
    fn peers(&self, rank: usize, n: usize) -> Vec<usize> {
        let _ = rank;
        (0..n).collect()
    }

    /// Whether each node has an x and a shared state of its own.
    fn is_gossip(&self) -> bool {
        false
    }

    /// Whether it reads [`Cx::x`].
    fn needs_x(&self) -> bool {
        false
    }

    /// Whether it asks for losses, exact gradients, or gradients elsewhere than at the current x, so
    /// that its host must be able to compute them.
    fn asks_elsewhere(&self) -> bool {
        false
    }

    /// Whether the decoded result is a direction that any optimizer may follow, rather than a step
    /// that the method owns.
    fn leaves_step_open(&self) -> bool {
        false
    }

    /// A combination to warn of once, with the reason.
    fn warning(&self, cx: &Cx<'_>) -> Option<String> {
        let _ = cx;
        None
    }

    /// What it needs before `begin` (nothing said yet) or before an `answer`.
    fn ask(&self, local: &Self::Local, shared: &Self::Shared, said: &[Message], cx: &Cx<'_>) -> Vec<Ask> {
        let _ = (local, shared, cx);
        if said.is_empty() { vec![Ask::GRADIENT] } else { Vec::new() }
    }

    /// The worker's first message.
    fn begin(&self, local: &mut Self::Local, shared: &Self::Shared, seen: Seen, cx: &Cx<'_>) -> Message;

    /// What a round of messages comes to. Pure: all ranks compute the same. `said` holds what
    /// earlier rounds of this step came to.
    fn reduce(&self, shared: &Self::Shared, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next;

    /// The worker's next message, for methods of several rounds.
    fn answer(
        &self,
        local: &mut Self::Local,
        shared: &Self::Shared,
        seen: Seen,
        said: &[Message],
        cx: &Cx<'_>,
    ) -> Message {
        let _ = (local, shared, seen, said, cx);
        Message::new()
    }

    /// Ends the step for one worker, before `advance`. `decided` is `None` where the round failed or
    /// this worker's message did not count: then nothing was applied and all is still owed. Under
    /// gossip, gives the node's new x.
    fn commit(
        &self,
        local: &mut Self::Local,
        shared: &Self::Shared,
        decided: Option<&Decision>,
        cx: &Cx<'_>,
    ) -> Option<Buf>;

    /// Moves the shared state on, after a round that counts. `inbox` is that of the last round;
    /// what `reduce` kept may be taken out of `decided`.
    fn advance(
        &self,
        shared: &mut Self::Shared,
        said: &[Message],
        inbox: Inbox<'_>,
        decided: &mut Decision,
        cx: &Cx<'_>,
    ) {
        let _ = (shared, said, inbox, decided, cx);
    }
}
