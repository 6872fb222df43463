//! n workers on flat vectors, in one process: the host below [`Group`](crate::Group).

use std::sync::Arc;

use backburn_compress::{AnyCompressor, Compressor, Layout, Message, decode_into, message_bytes};

use crate::erased::Slot;
use crate::{AnyAlgorithm, Ask, Buf, Cx, Decision, Move, Next, RoundError, Seen, SetupError, Traffic, Visitor};

/// What a host answers to an [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A gradient, as long as the model.
    Gradient(Buf),
    /// A loss.
    Loss(f64),
}

/// What becomes of a worker's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Delivered,
    /// It is lost: in the first message round the worker counts as absent, later the round fails.
    Lost,
}

impl Seen {
    /// Takes in what was answered to an ask; gradients pass `check` first.
    pub(crate) fn take_in(
        &mut self,
        ask: &Ask,
        reply: Reply,
        check: impl FnOnce(&[f32]) -> Result<(), RoundError>,
    ) -> Result<(), RoundError> {
        match (ask, reply) {
            (Ask::Gradient { .. }, Reply::Gradient(g)) => {
                check(&g)?;
                self.gradients.push(g);
            }
            (Ask::Loss { .. }, Reply::Loss(loss)) => self.losses.push(loss),
            (Ask::Gradient { .. }, _) => return Err(RoundError::Unserved("a gradient, and was given a loss")),
            (Ask::Loss { .. }, _) => return Err(RoundError::Unserved("a loss, and was given a gradient")),
        }
        Ok(())
    }
}

/// Who supplies gradients, and decides who takes part and what gets lost.
pub trait Host {
    /// Answers what a worker asks.
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError>;

    /// Whether the worker takes part in this step.
    fn is_present(&mut self, worker: usize) -> bool {
        let _ = worker;
        true
    }

    /// What becomes of a message; for tests of failure and for simulated links.
    fn carry(&mut self, round: u32, worker: usize) -> Fate {
        let _ = (round, worker);
        Fate::Delivered
    }
}

impl<F: FnMut(usize, &Ask) -> Result<Reply, RoundError>> Host for F {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        self(worker, ask)
    }
}

/// A host that serves one gradient a worker, at the current x, whatever number of minibatches it
/// is the mean of. `None` is an absent worker.
#[derive(Debug)]
pub struct Given(pub Vec<Option<Buf>>);

impl Host for Given {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        match ask {
            Ask::Gradient { at: None, batches: 1.. } => {
                let given = self.0[worker].take();
                given.map(Reply::Gradient).ok_or(RoundError::Unserved("more than one gradient a step"))
            }
            Ask::Gradient { at: None, .. } => Err(RoundError::Unserved("an exact gradient")),
            Ask::Gradient { .. } => Err(RoundError::Unserved("a gradient at another point")),
            Ask::Loss { .. } => Err(RoundError::Unserved("a loss")),
        }
    }

    fn is_present(&mut self, worker: usize) -> bool {
        self.0[worker].is_some()
    }
}

/// What a step came to.
#[derive(Clone, Debug)]
pub struct Decided {
    /// How x moves.
    pub moved: Move,
    /// What was sent.
    pub traffic: Traffic,
}

/// n workers with their states, on flat vectors.
#[derive(Clone)]
pub struct Cluster {
    algorithm: AnyAlgorithm,
    compressor: Arc<dyn Compressor>,
    layout: Arc<Layout>,
    seed: u64,
    step: u64,
    workers: usize,
    locals: Vec<Slot>,
    /// One, or one a node under gossip.
    shared: Vec<Slot>,
    /// Every node's x under gossip, otherwise empty.
    nodes: Vec<Buf>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({} workers, {}, {}, step {})", self.workers, self.algorithm, self.compressor, self.step)
    }
}

impl Cluster {
    /// `workers` ≥ 1 workers that start at `x`. The compressor is checked against the method.
    pub fn new(
        algorithm: AnyAlgorithm,
        compressor: AnyCompressor,
        layout: Layout,
        workers: usize,
        seed: u64,
        x: &[f32],
    ) -> Result<Self, SetupError> {
        if workers == 0 {
            return Err(SetupError::NoWorkers);
        }
        let compressor = algorithm.0.take(compressor)?;
        let layout = Arc::new(layout);
        let gossip = algorithm.is_gossip();
        let mut cluster = Self {
            algorithm,
            compressor,
            layout,
            seed,
            step: 0,
            workers,
            locals: vec![],
            shared: vec![],
            nodes: vec![],
        };
        let cx = |rank| Cx {
            layout: &cluster.layout,
            compressor: &*cluster.compressor,
            workers,
            rank,
            seed,
            step: 0,
            round: 0,
            lr: 0.0,
            x,
        };
        let locals = (0..workers).map(|rank| cluster.algorithm.0.new_local(&cx(rank))).collect();
        let shared =
            (0..if gossip { workers } else { 1 }).map(|rank| cluster.algorithm.0.new_shared(&cx(rank))).collect();
        let nodes = if gossip { vec![x.to_vec(); workers] } else { Vec::new() };
        (cluster.locals, cluster.shared, cluster.nodes) = (locals, shared, nodes);
        Ok(cluster)
    }

    /// The same method and model with this many workers that have not begun; for
    /// [`resize`](Self::resize).
    pub(crate) fn fresh(&self, workers: usize) -> Result<Self, SetupError> {
        if workers == 0 {
            return Err(SetupError::NoWorkers);
        }
        let mut fresh = Self { workers, step: 0, locals: vec![], ..self.clone() };
        // States other than gossip's do not depend on the x at which a worker joins.
        let local = |rank| fresh.algorithm.0.new_local(&fresh.cx(rank, 0.0, &[], 0));
        fresh.locals = (0..workers).map(local).collect();
        Ok(fresh)
    }

    /// The model's layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The method.
    pub fn algorithm(&self) -> &AnyAlgorithm {
        &self.algorithm
    }

    /// The compressor.
    pub fn compressor(&self) -> &dyn Compressor {
        &*self.compressor
    }

    /// n.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Whether rounds must be given x.
    pub fn needs_x(&self) -> bool {
        self.algorithm.0.needs_x()
    }

    /// A combination worth a warning, with the reason.
    pub fn warning(&self) -> Option<String> {
        self.algorithm.0.warning(&self.cx(0, 0.0, &[], 0))
    }

    /// A node's own x, under gossip.
    pub fn node(&self, worker: usize) -> Option<&Buf> {
        self.nodes.get(worker)
    }

    /// One step. `x` is the common x, read only where [`needs_x`](Self::needs_x); under gossip it is
    /// not read at all.
    ///
    /// On an error x has not moved and the step does not count: a rejected round has changed
    /// nothing, of a failed one everything is still owed.
    pub fn round(&mut self, lr: f64, x: &[f32], host: &mut dyn Host) -> Result<Decided, RoundError> {
        if !(lr >= 0.0 && lr.is_finite()) {
            return Err(RoundError::StepSize(lr));
        }
        check_x(&self.algorithm, x, &self.layout)?;
        let n = self.workers();
        let algorithm = self.algorithm.0.clone();
        let present: Vec<bool> = (0..n).map(|w| host.is_present(w)).collect();
        if let Some(absent) = present.iter().position(|p| !p).filter(|_| algorithm.is_gossip()) {
            return Err(RoundError::Absent(absent));
        }

        // All gradients are there and finite before any state is written.
        let mut seen = Vec::with_capacity(n);
        for (w, present) in present.iter().enumerate() {
            seen.push(if *present { Some(self.serve(w, lr, x, &[], host)?) } else { None });
        }
        let mut messages: Vec<Option<Message>> = Vec::with_capacity(n);
        let mut locals = std::mem::take(&mut self.locals);
        for (w, seen) in seen.into_iter().enumerate() {
            messages
                .push(seen.map(|seen| algorithm.begin(&mut locals[w], self.shared_of(w), seen, &self.cx(w, lr, x, 0))));
        }
        self.locals = locals;

        let mut traffic = Traffic::new(n);
        let mut said: Vec<Vec<Message>> = vec![Vec::new(); self.shared.len()];
        loop {
            let round = traffic.rounds;
            for (w, message) in messages.iter_mut().enumerate() {
                if message.is_some() && host.carry(round, w) == Fate::Lost {
                    if round > 0 || algorithm.is_gossip() {
                        return self.fail(&present, lr, x, RoundError::Failed { round, worker: w });
                    }
                    *message = None;
                }
            }
            traffic.rounds += 1;
            self.count(&messages, &mut traffic);
            let next: Vec<Next> = (0..self.shared.len())
                .map(|node| {
                    let inbox = inbox(&*algorithm, &messages, node, n);
                    algorithm.reduce(&self.shared[node], &said[node], &inbox, &self.cx(node, lr, x, round))
                })
                .collect();
            let mut decided = Vec::with_capacity(next.len());
            for (node, next) in next.into_iter().enumerate() {
                match next {
                    Next::Round(message) => said[node].push(message),
                    Next::Done(decision) => decided.push(decision),
                }
            }
            if !algorithm.is_gossip() {
                let down = match (decided.first(), said[0].last()) {
                    (Some(decision), _) => down_bytes(decision, &self.layout),
                    (None, Some(message)) => message_bytes(message),
                    (None, None) => 0,
                };
                traffic.down.iter_mut().for_each(|d| *d += down);
            }
            if decided.is_empty() {
                // Everybody who took part in the first round answers.
                let mut replies = Vec::with_capacity(n);
                for w in 0..n {
                    replies.push(match messages[w] {
                        None => None,
                        Some(_) => match self.serve(w, lr, x, &said[self.node_of(w)], host) {
                            Ok(seen) => Some(seen),
                            Err(error) => return self.fail(&present, lr, x, error),
                        },
                    });
                }
                let mut locals = std::mem::take(&mut self.locals);
                for (w, seen) in replies.into_iter().enumerate() {
                    if let Some(seen) = seen {
                        let node = self.node_of(w);
                        let cx = self.cx(w, lr, x, round + 1);
                        messages[w] =
                            Some(algorithm.answer(&mut locals[w], &self.shared[node], seen, &said[node], &cx));
                    }
                }
                self.locals = locals;
                continue;
            }
            return Ok(self.finish(decided, &messages, &present, &said, lr, x, traffic));
        }
    }

    /// Moves `x` as decided.
    pub fn apply(&self, moved: &Move, lr: f64, x: &mut [f32]) {
        match moved {
            Move::Direction(d) => decode_into(d, -lr as f32, x, &self.layout),
            Move::Update(u) => decode_into(u, -1.0, x, &self.layout),
            Move::Jump(y) => x.copy_from_slice(y),
            Move::Own => {
                // The nodes' mean stands for them where one x is wanted.
                x.fill(0.0);
                for node in &self.nodes {
                    x.iter_mut().zip(node).for_each(|(x, y)| *x += y / self.nodes.len() as f32);
                }
            }
        }
    }

    /// Shows every piece of every state, owner by owner.
    pub fn visit(&mut self, visitor: &mut dyn Visitor) {
        for (w, local) in self.locals.iter_mut().enumerate() {
            visitor.enter(&format!("worker.{w}."));
            local.visit(visitor, &self.layout);
        }
        let gossip = !self.nodes.is_empty();
        for (i, shared) in self.shared.iter_mut().enumerate() {
            visitor.enter(&if gossip { format!("node.{i}.") } else { "shared.".into() });
            shared.visit(visitor, &self.layout);
            if let Some(x) = self.nodes.get_mut(i) {
                visitor.vector("x", crate::Role::Tracker, x);
            }
        }
    }

    /// Sets the step counter, on resuming.
    pub(crate) fn set_steps(&mut self, step: u64) {
        self.step = step;
    }

    /// Sets the seed, on resuming.
    pub(crate) fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    fn cx<'a>(&'a self, rank: usize, lr: f64, x: &'a [f32], round: u32) -> Cx<'a> {
        Cx {
            layout: &self.layout,
            compressor: &*self.compressor,
            workers: self.workers,
            rank,
            seed: self.seed,
            step: self.step,
            round,
            lr,
            x: self.nodes.get(rank).map_or(x, |x| x),
        }
    }

    fn node_of(&self, worker: usize) -> usize {
        if self.nodes.is_empty() { 0 } else { worker }
    }

    fn shared_of(&self, worker: usize) -> &Slot {
        &self.shared[self.node_of(worker)]
    }

    /// Has the host answer all that a worker asks, and checks the answers.
    fn serve(&self, w: usize, lr: f64, x: &[f32], said: &[Message], host: &mut dyn Host) -> Result<Seen, RoundError> {
        let cx = self.cx(w, lr, x, said.len() as u32);
        let asks = self.algorithm.0.ask(&self.locals[w], self.shared_of(w), said, &cx);
        let mut seen = Seen::default();
        for ask in &asks {
            seen.take_in(ask, host.answer(w, ask)?, |g| check(g, w, self.step, &self.layout))?;
        }
        Ok(seen)
    }

    /// Counts what was said in this round.
    fn count(&self, messages: &[Option<Message>], traffic: &mut Traffic) {
        let bytes: Vec<u64> = messages.iter().map(|m| m.as_deref().map_or(0, message_bytes)).collect();
        for (w, own) in bytes.iter().enumerate() {
            let peers = self.algorithm.0.peers(w, bytes.len());
            let heard: u64 = peers.into_iter().filter(|p| *p != w).map(|p| bytes[p]).sum();
            traffic.up[w] += own;
            traffic.gathered[w] += heard;
            if self.algorithm.is_gossip() {
                traffic.down[w] += heard;
            }
        }
    }

    /// Gives the round up: nothing counts as applied.
    fn fail(&mut self, present: &[bool], lr: f64, x: &[f32], error: RoundError) -> Result<Decided, RoundError> {
        let mut locals = std::mem::take(&mut self.locals);
        for (w, local) in locals.iter_mut().enumerate().filter(|(w, _)| present[*w]) {
            self.algorithm.0.commit(local, self.shared_of(w), None, &self.cx(w, lr, x, 0));
        }
        self.locals = locals;
        Err(error)
    }

    #[allow(clippy::too_many_arguments)] // the pieces of one step, each used once
    fn finish(
        &mut self,
        decided: Vec<Decision>,
        messages: &[Option<Message>],
        present: &[bool],
        said: &[Vec<Message>],
        lr: f64,
        x: &[f32],
        traffic: Traffic,
    ) -> Decided {
        let algorithm = self.algorithm.0.clone();
        let n = self.workers();
        let mut locals = std::mem::take(&mut self.locals);
        let mut own = Vec::new();
        for (w, local) in locals.iter_mut().enumerate().filter(|(w, _)| present[*w]) {
            let counts = messages[w].as_ref().map(|_| &decided[self.node_of(w)]);
            own.push(algorithm.commit(local, self.shared_of(w), counts, &self.cx(w, lr, x, traffic.rounds - 1)));
        }
        self.locals = locals;
        let mut shared = std::mem::take(&mut self.shared);
        let mut decided = decided.into_iter();
        let mut first = None;
        for (node, state) in shared.iter_mut().enumerate() {
            let mut decision = decided.next().expect("a decision a node");
            let inbox = inbox(&*algorithm, messages, node, n);
            algorithm.advance(state, &said[node], &inbox, &mut decision, &self.cx(node, lr, x, traffic.rounds - 1));
            first.get_or_insert(decision.moved);
        }
        self.shared = shared;
        for (node, x) in self.nodes.iter_mut().zip(own) {
            if let Some(x) = x {
                *node = x;
            }
        }
        self.step += 1;
        Decided { moved: first.expect("at least one node"), traffic }
    }
}

/// The bytes of a decision on its way to the workers.
pub(crate) fn down_bytes(decision: &Decision, layout: &Layout) -> u64 {
    match &decision.moved {
        _ if decision.heard.is_some() => decision.heard.as_deref().map_or(0, message_bytes),
        Move::Direction(m) | Move::Update(m) => message_bytes(m),
        Move::Jump(_) => message_bytes(&crate::algorithms::dense(&vec![0.0; layout.len()], layout)),
        Move::Own => 0,
    }
}

/// Refuses an x of another length where x is read.
pub(crate) fn check_x(algorithm: &AnyAlgorithm, x: &[f32], layout: &Layout) -> Result<(), RoundError> {
    if algorithm.0.needs_x() && !algorithm.is_gossip() && x.len() != layout.len() {
        return Err(RoundError::X { given: x.len(), expected: layout.len() });
    }
    Ok(())
}

/// The messages as they reach a node.
fn inbox<'a>(
    algorithm: &dyn crate::erased::Erased,
    messages: &'a [Option<Message>],
    node: usize,
    n: usize,
) -> Vec<Option<&'a Message>> {
    let peers = if algorithm.is_gossip() { algorithm.peers(node, n) } else { (0..n).collect() };
    peers.into_iter().map(|p| messages[p].as_ref()).collect()
}

/// Refuses gradients of another length and such as are not finite.
pub(crate) fn check(g: &[f32], worker: usize, step: u64, layout: &Layout) -> Result<(), RoundError> {
    if g.len() != layout.len() {
        return Err(RoundError::Length { worker, given: g.len(), expected: layout.len() });
    }
    // x − x is 0 for every finite x and NaN otherwise; a plain sum vectorises.
    #[allow(clippy::eq_op)]
    if g.chunks(4096).all(|c| c.iter().map(|x| x - x).sum::<f32>() == 0.0) {
        return Ok(());
    }
    let at = g.iter().position(|x| !x.is_finite()).unwrap_or(0);
    let parameter = layout.parameter_at(at).expect("the coordinate lies within the layout");
    let coordinate = at - parameter.range.start;
    Err(RoundError::NonFinite { step, worker, path: parameter.path.clone(), coordinate, value: g[at] })
}
