//! The trait that every method implements: a pure state machine over two states.

use std::fmt::{Debug, Display};
use std::sync::Arc;

use backburn_compress::{Compressor, Message, Vector};

use super::{Argument, Ask, Conserves, Cx, Decision, Inbox, Next, Parent, Seen, State, Takes, UNSAID, Why};
use crate::method::takes::NotTaken;

/// A method as pure functions over a worker's state and a shared one. It never communicates:
/// a host carries its messages, so simulation and separate processes run the same code.
///
/// A step is begin → reduce → (answer → reduce)* → commit and advance. Until commit nothing of what
/// was said counts as applied; a host may give a round up at any message.
///
/// A method touches vectors by their algebra alone, so that they may live on a device. `Display` gives the textual
/// form, which checkpoints hold. Here is one of an embedder's own, signSGD with a step that shrinks, without state:
///
/// ```
/// use backburn_optim::{Algorithm, AnyAlgorithm, Ask, Cluster, Cx, Decision, Inbox, Move, Next, Plain, Reply, Seen};
/// use backburn_compress::{Layout, Message, Vector, mean};
///
/// #[derive(Debug)]
/// struct Fading;
///
/// impl std::fmt::Display for Fading {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("fading")
///     }
/// }
///
/// impl Algorithm for Fading {
///     type Takes = Plain; // no feedback: any compressor will do
///     type Local = ();
///     type Shared = ();
///
///     fn local(&self, _: &Cx<'_>) {}
///     fn shared(&self, _: &Cx<'_>) {}
///
///     fn begin(&self, _: &mut (), _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
///         let mut g = seen.take();
///         g.scale(1.0 / (cx.step + 1) as f32); // g/(t+1)
///         cx.compress(&g, 1.0, &mut cx.memos()) // C(·)
///     }
///
///     fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
///         Move::Direction(mean(inbox, cx.layout)).into() // x ← x − γ·mean
///     }
///
///     fn commit(&self, _: &mut (), _: &(), _: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
///         None
///     }
/// }
///
/// let mut x = Vector::from(vec![1.0, -3.0]);
/// let layout = Layout::flat(2)?;
/// let algorithm = AnyAlgorithm::new(Fading);
/// let mut cluster = Cluster::new(algorithm, "sign:scaled".parse()?, layout, 2, 7, x.as_slice())?;
/// for _ in 0..2 {
///     let g = x.clone(); // of ½‖x‖², at both workers
///     let mut host = |_worker: usize, _: &Ask| Ok(Reply::gradient(g.clone()));
///     cluster.round(0.5, &x, &mut host)?.apply(&mut x);
/// }
/// assert_eq!(x.as_slice(), [-0.25, -1.75]); // ½·2 along the signs, then ½·½
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Algorithm: Debug + Display + Send + Sync + 'static {
    /// The compressors it takes: [`Feedback`](backburn_compress::Feedback) or [`Plain`](crate::Plain).
    type Takes: Takes;
    /// One worker's state.
    type Local: State;
    /// The replicated state; under gossip one a node.
    type Shared: State;

    /// A worker's state before the first step, where x may be read from `cx`.
    fn local(&self, cx: &Cx<'_>) -> Self::Local;

    /// The shared state before the first step.
    fn shared(&self, cx: &Cx<'_>) -> Self::Shared;

    /// Its arguments by name, defaults included: what decides whether a saved run may go on.
    fn arguments(&self) -> Vec<Argument> {
        Vec::new()
    }

    /// What the method makes of its compressor, once, at the start: itself, unless the method builds
    /// another from it (NEOLITHIC repeats it).
    ///
    /// # Errors
    /// Where it cannot go with it.
    fn adopt(&self, compressor: Arc<dyn Compressor>) -> Result<Arc<dyn Compressor>, NotTaken> {
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

    /// Whether a worker speaks once a step, one payload a unit, and may so be silent about one: a worker without
    /// a gradient there then counts as absent there, otherwise as one whose gradient is zero. Not so under
    /// gossip, nor where messages mean something only together.
    fn speaks_by_unit(&self) -> bool {
        !self.is_gossip()
    }

    /// Whether `reduce` and `advance` ask nothing of the messages but their mean, place by place, and how many there are
    /// ([`Cx::present`]), and what all hear is no shorter than that mean. It may then be taken on the way, each place by
    /// one process: the inbox is that mean alone.
    fn hears_mean(&self) -> bool {
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

    /// Whether its compressor is its own, and the one it is given unused.
    fn compresses_itself(&self) -> bool {
        false
    }

    /// Whether its workers' states can be divided among another number of them.
    fn is_divisible(&self) -> bool {
        true
    }

    /// Which law of conservation it obeys.
    ///
    /// # Errors
    /// Where none, with the reason.
    fn conserves(&self) -> Result<Conserves, Why> {
        Err(UNSAID)
    }

    /// What it is without compression.
    ///
    /// # Errors
    /// Where that is nothing that a [`Parent`] could be, with the reason.
    fn parent(&self) -> Result<Parent, Why> {
        Err(UNSAID)
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
    ) -> Option<Vector>;

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
