//! The workers of one process on flat vectors, in the company of all others.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use backburn_compress::{AnyCompressor, Compressor, Layout, Vector};

use crate::host::SetupError;
use crate::host::mail::{InProcess, Mail, Terms};
use crate::method::erased::Slot;
use crate::method::{AnyAlgorithm, Ask, Cx, Owner, Role, Visitor};

/// A range of the n workers of a run, with their states, on flat vectors: the one driver of rounds. Over
/// [`InProcess`] it has all n of them, over [`Encoded`](crate::Encoded) those of one process; the code, and so
/// every bit, is the same.
///
/// ```
/// use backburn_compress::{Layout, Vector};
/// use backburn_optim::{Ask, Cluster, Reply};
///
/// // f_i(x) = ½‖x − i‖² for three workers, of which each says one coordinate a step.
/// let mut x = Vector::zeros(4);
/// let mut cluster = Cluster::new("ef-sgd".parse()?, "topk:1".parse()?, Layout::flat(4)?, 3, 7, x.as_slice())?;
/// for _ in 0..200 {
///     let at = x.clone();
///     let mut host = |worker: usize, _: &Ask| Ok(Reply::gradient(at.as_slice().iter().map(|x| x - worker as f32).collect::<Vec<_>>()));
///     cluster.round(0.1, &x, &mut host)?.apply(&mut x);
/// }
/// assert!(x.as_slice().iter().all(|x| (x - 1.0).abs() < 0.1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Cluster<M = InProcess> {
    pub(crate) frame: Frame,
    pub(crate) states: States,
    pub(crate) mail: M,
}

/// What stays as it is through a run.
#[derive(Clone)]
pub(crate) struct Frame {
    pub algorithm: AnyAlgorithm,
    pub compressor: Arc<dyn Compressor>,
    pub layout: Arc<Layout>,
    pub seed: u64,
    pub seats: Range<usize>,
    pub workers: usize,
}

/// What a step changes.
#[derive(Clone)]
pub(crate) struct States {
    pub step: u64,
    /// One a seat.
    pub locals: Vec<Slot>,
    /// One, or one a seat under gossip.
    pub shared: Vec<Slot>,
    /// Every seat's x under gossip, otherwise empty.
    pub nodes: Vec<Vector>,
    /// How large the numbers of the last step were, and its step size, if it was not 0.
    pub loudness: f64,
    pub lr: f64,
}

impl<M> fmt::Debug for Cluster<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Frame { algorithm, compressor, workers, seats, .. } = &self.frame;
        write!(f, "Cluster({workers} workers, here {seats:?}, {algorithm}, {compressor}, step {})", self.states.step)
    }
}

impl Cluster {
    /// `workers` ≥ 1 workers in this process that start at `x`. The compressor is checked against the method.
    ///
    /// # Errors
    /// Where method and compressor do not go together, there are no workers, or x has another length.
    pub fn new(
        algorithm: AnyAlgorithm,
        compressor: AnyCompressor,
        layout: Layout,
        workers: usize,
        seed: u64,
        x: &[f32],
    ) -> Result<Self, SetupError> {
        Self::over(algorithm, compressor, layout, seed, x, InProcess::new(workers))
    }
}

impl<M: Mail> Cluster<M> {
    /// The workers that this mail gives to this process, starting at `x`, which must be the same in all
    /// processes, as everything else: the mail compares it.
    ///
    /// # Errors
    /// As [`Cluster::new`]; [`SetupError::Differs`] where processes do not go together, on all of them.
    pub fn over(
        algorithm: AnyAlgorithm,
        compressor: AnyCompressor,
        layout: Layout,
        seed: u64,
        x: &[f32],
        mut mail: M,
    ) -> Result<Self, SetupError> {
        let fits = || match x.len() {
            given if given == layout.len() => Ok(()),
            given => Err(SetupError::X { given, expected: layout.len() }),
        };
        let (method, named) = (algorithm.to_string(), compressor.to_string());
        let taken = fits().and_then(|()| Ok(algorithm.0.take(compressor)?));
        // The others wait for this process's terms, whatever comes of them.
        let refused = taken.as_ref().err().map(ToString::to_string);
        let met = mail.meet(&Terms { layout: &layout, method, compressor: named, seed, x, refused });
        let compressor = taken?;
        let seats = met?;
        let (layout, workers, seats) = (Arc::new(layout), seats.workers, seats.own);
        let frame = Frame { algorithm, compressor, layout, seed, seats, workers };
        let states = frame.fresh(x);
        Ok(Self { frame, states, mail })
    }

    /// The same run before its first step, over another mail.
    pub(crate) fn within(of: &Frame, x: &[f32], mut mail: M) -> Result<Self, SetupError> {
        let (method, compressor) = (of.algorithm.to_string(), of.compressor.to_string());
        let terms = Terms { layout: &of.layout, method, compressor, seed: of.seed, x, refused: None };
        let seats = mail.meet(&terms)?;
        let frame = Frame { workers: seats.workers, seats: seats.own, ..of.clone() };
        let states = frame.fresh(x);
        Ok(Self { frame, states, mail })
    }

    /// How it talks to the other processes.
    pub fn mail(&self) -> &M {
        &self.mail
    }

    /// The same, to tell it something.
    pub fn mail_mut(&mut self) -> &mut M {
        &mut self.mail
    }
}

impl<M> Cluster<M> {
    /// The model's layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.frame.layout
    }

    /// The method.
    pub fn algorithm(&self) -> &AnyAlgorithm {
        &self.frame.algorithm
    }

    /// The compressor.
    pub fn compressor(&self) -> &dyn Compressor {
        &*self.frame.compressor
    }

    /// n, over all processes.
    pub fn workers(&self) -> usize {
        self.frame.workers
    }

    /// This process's workers.
    pub fn seats(&self) -> Range<usize> {
        self.frame.seats.clone()
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.frame.seed
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.states.step
    }

    /// Whether rounds must be given x.
    pub fn needs_x(&self) -> bool {
        self.frame.algorithm.0.needs_x()
    }

    /// A combination worth a warning, with the reason.
    pub fn warning(&self) -> Option<String> {
        let view =
            View { frame: &self.frame, step: self.states.step, nodes: &self.states.nodes, lr: 0.0, x: &Vector::new() };
        self.frame.algorithm.0.warning(&view.cx(self.frame.seats.start, 0))
    }

    /// What a worker asks before its first step, of a method that asks nothing elsewhere than at x.
    pub(crate) fn first_asks(&self) -> Vec<Ask> {
        let view = View { frame: &self.frame, step: 0, nodes: &self.states.nodes, lr: 0.0, x: &Vector::new() };
        let (local, shared) = (&self.states.locals[0], &self.states.shared[0]);
        self.frame.algorithm.0.ask(local, shared, &[], &view.cx(self.frame.seats.start, 0))
    }

    /// A worker's own x, under gossip, where it is of this process.
    pub fn node(&self, worker: usize) -> Option<&Vector> {
        self.states.nodes.get(worker.checked_sub(self.frame.seats.start)?)
    }

    /// Shows every piece of every state of this process, owner by owner.
    pub fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.states.visit(self.frame.seats.start, visitor, &self.frame.layout);
    }
}

impl Frame {
    /// States before the first step.
    pub fn fresh(&self, x: &[f32]) -> States {
        let gossip = self.algorithm.is_gossip();
        let view = View { frame: self, step: 0, nodes: &[], lr: 0.0, x: &Vector::from(x) };
        let locals = self.seats.clone().map(|w| self.algorithm.0.new_local(&view.cx(w, 0))).collect();
        let nodes = if gossip { self.seats.clone() } else { 0..1 };
        let shared = nodes.map(|w| self.algorithm.0.new_shared(&view.cx(w, 0))).collect();
        let nodes = if gossip { vec![x.into(); self.seats.len()] } else { Vec::new() };
        States { step: 0, locals, shared, nodes, loudness: 0.0, lr: 0.0 }
    }
}

impl States {
    /// Shows every piece, owner by owner; the first worker here is `first`.
    pub fn visit(&mut self, first: usize, visitor: &mut dyn Visitor, layout: &Layout) {
        for (i, local) in self.locals.iter_mut().enumerate() {
            visitor.enter(Owner::Worker(first + i));
            local.visit(visitor, layout);
        }
        for (i, shared) in self.shared.iter_mut().enumerate() {
            visitor.enter(if self.nodes.is_empty() { Owner::Shared } else { Owner::Node(first + i) });
            shared.visit(visitor, layout);
            if let Some(x) = self.nodes.get_mut(i) {
                visitor.vector("x", Role::Tracker, x);
            }
        }
    }
}

/// What a method sees of the round it is in, whoever's turn it is.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub frame: &'a Frame,
    pub step: u64,
    pub nodes: &'a [Vector],
    pub lr: f64,
    pub x: &'a Vector,
}

impl<'a> View<'a> {
    /// As this worker sees it.
    pub fn cx(&self, rank: usize, round: u32) -> Cx<'a> {
        let Frame { layout, compressor, workers, seed, seats, .. } = self.frame;
        let x = rank.checked_sub(seats.start).and_then(|i| self.nodes.get(i)).unwrap_or(self.x);
        Cx {
            layout,
            compressor: &**compressor,
            workers: *workers,
            present: *workers,
            rank,
            seed: *seed,
            step: self.step,
            round,
            lr: self.lr,
            x,
        }
    }
}
