//! Who supplies gradients.

use backburn_compress::Vector;

use crate::host::{Change, Outgrown, RoundError};
use crate::method::{Ask, Seen};

/// A gradient, and the parameters for which there is none.
///
/// Of a parameter that is missing the worker counts as absent in this step: neither decay nor momentum moves,
/// it says nothing of it, and what it owes stays owed; where no worker has a gradient the parameter does not
/// move at all. A unit that is compressed together with parameters that are there (see
/// [`Scope`](backburn_compress::Scope)) counts as having a gradient of zero, as every unit does under gossip.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradient {
    /// As long as the model; what stands at a missing parameter is not read.
    pub vector: Vector,
    /// Indices into [`Layout::parameters`](backburn_compress::Layout::parameters).
    pub missing: Vec<usize>,
}

impl From<Vector> for Gradient {
    fn from(vector: Vector) -> Self {
        Self { vector, missing: Vec::new() }
    }
}

impl From<Vec<f32>> for Gradient {
    fn from(vector: Vec<f32>) -> Self {
        Vector::from(vector).into()
    }
}

/// What a host answers to an [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A gradient.
    Gradient(Gradient),
    /// A loss.
    Loss(f64),
}

impl Reply {
    /// A gradient of every parameter.
    pub fn gradient(vector: impl Into<Gradient>) -> Self {
        Self::Gradient(vector.into())
    }
}

/// Who supplies gradients and losses, and decides who takes part. A closure `FnMut(usize, &Ask)` is one in
/// which all take part.
///
/// ```
/// use backburn_compress::{Layout, Vector};
/// use backburn_optim::{Ask, Cluster, Host, Reply, RoundError};
///
/// /// ½(x − c_i)², of which worker 1 takes part at even steps.
/// struct Quadratic<'a> { x: &'a [f32], centres: [f32; 2], step: u64 }
///
/// impl Host for Quadratic<'_> {
///     fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
///         match ask {
///             Ask::Gradient { at, .. } => {
///                 let x = at.as_ref().map_or(self.x, |at| at.as_slice());
///                 Ok(Reply::gradient(vec![x[0] - self.centres[worker]]))
///             }
///             Ask::Loss { .. } => Err(RoundError::Unserved("a loss")),
///         }
///     }
///
///     fn is_present(&mut self, worker: usize) -> bool {
///         worker == 0 || self.step % 2 == 0
///     }
/// }
///
/// let mut x = Vector::zeros(1);
/// let mut cluster = Cluster::new("ef-sgd".parse()?, "sign:scaled".parse()?, Layout::flat(1)?, 2, 7, x.as_slice())?;
/// for step in 0..100 {
///     let decided = cluster.round(0.5, &x, &mut Quadratic { x: x.clone().as_slice(), centres: [1.0, 3.0], step })?;
///     decided.apply(&mut x);
/// }
/// let x = x.as_slice()[0];
/// assert!(x > 1.0 && x < 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Host {
    /// Answers what a worker asks.
    ///
    /// # Errors
    /// Where it cannot: [`RoundError::Unserved`], or a failure of its own ([`RoundError::host`]).
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError>;

    /// Whether the worker takes part in this step.
    fn is_present(&mut self, worker: usize) -> bool {
        let _ = worker;
        true
    }

    /// The common x, where the round was not given it and a step is so large that x might not stay finite;
    /// where there is none, such a step is refused.
    fn x(&mut self) -> Option<Vector> {
        None
    }

    /// By how much x may move, and surely be finite where the host keeps it: in f16, say. The same on all processes.
    fn room(&mut self) -> f64 {
        f64::INFINITY
    }

    /// The first parameter that would not be finite where the host keeps it; asked where x may move by more than
    /// there is [`room`](Self::room), before it does.
    fn outgrown(&mut self, change: &Change) -> Option<Outgrown> {
        let _ = change;
        None
    }
}

impl<F: FnMut(usize, &Ask) -> Result<Reply, RoundError>> Host for F {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        self(worker, ask)
    }
}

/// A host that serves one gradient a worker, at the current x, whatever number of minibatches it is the mean
/// of. `None` is an absent worker.
#[derive(Clone, Debug)]
pub struct Given {
    first: usize,
    gradients: Vec<Option<Gradient>>,
}

impl Given {
    /// The gradients of all workers.
    pub fn new(gradients: Vec<Option<Gradient>>) -> Self {
        Self::from(0, gradients)
    }

    /// The gradients of a process's own workers, from `first` on.
    pub fn from(first: usize, gradients: Vec<Option<Gradient>>) -> Self {
        Self { first, gradients }
    }

    /// The gradient of the only worker.
    pub fn one(gradient: impl Into<Gradient>) -> Self {
        Self::new(vec![Some(gradient.into())])
    }

    fn place(&mut self, worker: usize) -> Option<&mut Option<Gradient>> {
        self.gradients.get_mut(worker.checked_sub(self.first)?)
    }
}

impl Host for Given {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        match ask {
            Ask::Gradient { at: None, batches: 1.. } => {
                let given = self.place(worker).and_then(Option::take);
                given.map(Reply::Gradient).ok_or(RoundError::Unserved("more than one gradient a step"))
            }
            Ask::Gradient { at: None, .. } => Err(RoundError::Unserved("an exact gradient")),
            Ask::Gradient { .. } => Err(RoundError::Unserved("a gradient at another point")),
            Ask::Loss { .. } => Err(RoundError::Unserved("a loss")),
        }
    }

    fn is_present(&mut self, worker: usize) -> bool {
        self.place(worker).is_some_and(|g| g.is_some())
    }
}

/// What a worker was answered, and what of it is remembered through the step.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub seen: Seen,
    /// max |g|.
    pub peak: f32,
    /// Parameters missing from all of its gradients; `None` before the first.
    pub missing: Option<Vec<usize>>,
}

impl Served {
    /// Takes in what was answered to an ask; gradients pass `check` first, which gives max |g|.
    pub fn take_in(
        &mut self,
        ask: &Ask,
        reply: Reply,
        check: impl FnOnce(&mut Gradient) -> Result<f32, RoundError>,
    ) -> Result<(), RoundError> {
        match (ask, reply) {
            (Ask::Gradient { .. }, Reply::Gradient(mut g)) => {
                self.peak = self.peak.max(check(&mut g)?);
                self.seen.gradients.push(g.vector);
                self.missing = Some(match self.missing.take() {
                    None => g.missing,
                    Some(before) => before.into_iter().filter(|p| g.missing.contains(p)).collect(),
                });
            }
            (Ask::Loss { .. }, Reply::Loss(loss)) => self.seen.losses.push(loss),
            (Ask::Gradient { .. }, _) => return Err(RoundError::Unserved("a gradient, and was given a loss")),
            (Ask::Loss { .. }, _) => return Err(RoundError::Unserved("a loss, and was given a gradient")),
        }
        Ok(())
    }
}
