//! What a session steps.

use backburn_optim::{Bytes, Snapshot, SnapshotError};

/// A training that takes steps: the workers, the hosts of their gradients, and what they move.
///
/// ```
/// use backburn_compress::{AnyCompressor, Layout, TopK};
/// use backburn_optim::{AnyAlgorithm, Ask, Cluster, EfSgd, Reply, RoundError, Vector};
/// use backburn_train::session::{Schedule, Session, Step, Stepped, Trains, Watch};
///
/// /// Workers on ½‖x‖².
/// struct Bowl(Cluster, Vector);
///
/// impl Trains for Bowl {
///     type Error = RoundError;
///
///     fn step(&mut self, _: u64, lr: f64) -> Result<Stepped, RoundError> {
///         let Self(workers, x) = self;
///         let mut host = |_: usize, _: &Ask| Ok(Reply::gradient(x.clone()));
///         let decided = workers.round(lr, x, &mut host)?;
///         decided.apply(x);
///         Ok(Stepped { loss: x.square() / 2.0, bytes: decided.traffic.per_worker() })
///     }
///
///     fn is_non_finite(error: &RoundError) -> bool {
///         error.is_divergence()
///     }
/// }
///
/// struct Losses(Vec<f64>);
///
/// impl Watch<Bowl> for Losses {
///     type Error = RoundError;
///
///     fn after(&mut self, _: &mut Session<Bowl>, step: &Step) -> Result<(), RoundError> {
///         self.0.push(step.loss);
///         Ok(())
///     }
/// }
///
/// let x = Vector::from(vec![1.0; 8]);
/// let (method, compressor) = (AnyAlgorithm::new(EfSgd::default()), AnyCompressor::new(TopK::count(2)?));
/// let workers = Cluster::new(method, compressor, Layout::flat(8)?, 4, 7, x.as_slice())?;
/// let mut session = Session::new(Bowl(workers, x), Schedule::constant(0.1), 60);
/// let mut losses = Losses(Vec::new());
/// session.run(&mut losses)?;
/// assert!(losses.0.len() == 60 && losses.0[59] < 0.01 * losses.0[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Trains {
    /// Why a step was not taken.
    type Error;

    /// The step of this number, of size γ.
    ///
    /// # Errors
    /// Where it cannot be taken. What moves by [rounds](backburn_optim::Cluster::round) has not moved then.
    fn step(&mut self, step: u64, lr: f64) -> Result<Stepped, Self::Error>;

    /// Whether this says that a gradient was not finite.
    fn is_non_finite(error: &Self::Error) -> bool;

    /// The step has failed and will be tried anew: positions in the data go back to where they were.
    fn undo(&mut self, step: u64) {
        let _ = step;
    }

    /// The step has failed for a gradient that was not finite and is passed over: positions in the data stay.
    fn skip(&mut self, step: u64) -> Stepped {
        let _ = step;
        Stepped { loss: f64::NAN, bytes: Bytes::default() }
    }
}

/// A training that can be kept, and gone on with as if it had never stopped.
///
/// ```
/// use backburn_optim::{Bytes, Snapshot, SnapshotError};
/// use backburn_train::session::{Keeps, Schedule, Session, Stepped, Trains};
///
/// struct Halves(f64);
///
/// impl Trains for Halves {
///     type Error = SnapshotError;
///
///     fn step(&mut self, _: u64, _: f64) -> Result<Stepped, SnapshotError> {
///         self.0 /= 2.0;
///         Ok(Stepped { loss: self.0, bytes: Bytes::default() })
///     }
///
///     fn is_non_finite(_: &SnapshotError) -> bool {
///         false
///     }
/// }
///
/// impl Keeps for Halves {
///     fn snapshot(&mut self) -> Result<Snapshot, SnapshotError> {
///         let mut snapshot = Snapshot::default();
///         snapshot.set_real("x", self.0);
///         Ok(snapshot)
///     }
///
///     fn restore(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
///         self.0 = snapshot.real("x")?;
///         Ok(())
///     }
/// }
///
/// let session = || Session::new(Halves(1.0), Schedule::constant(1.0), 4);
/// let (mut first, mut second) = (session(), session());
/// first.step()?;
/// second.restore(&first.snapshot()?)?;
/// second.step()?;
/// assert_eq!((second.trains().0, second.progress()), (0.25, (2, 4)));
/// # Ok::<(), SnapshotError>(())
/// ```
pub trait Keeps: Trains<Error: From<SnapshotError>> {
    /// All its state, exactly; nothing in it begins with `run.`, which is the session's.
    ///
    /// # Errors
    /// Where it cannot be written down.
    fn snapshot(&mut self) -> Result<Snapshot, Self::Error>;

    /// Goes on from a snapshot. On an error nothing has changed.
    ///
    /// # Errors
    /// Where it is damaged, or another training's.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Self::Error>;
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stepped {
    /// The mean loss over the workers' batches; not a number where nobody looked.
    pub loss: f64,
    /// What a worker sent and received.
    pub bytes: Bytes<f64>,
}
