//! One worker, a parameter at a time: any method that asks only for the gradient at hand as a Burn [`Optimizer`].

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ::burn::optim::{LearningRate, ModuleOptimizer, Optimizer, RecordState, StateSink, StateSource};
use ::burn::tensor::{DType, Device, Tensor, TensorData};
use backburn_compress::{AnyCompressor, Fits, Layout, Scope, Vector};

use crate::burn::data::{copy_into, into_vector};
use crate::burn::held::outgrown;
use crate::burn::probe::Probe;
use crate::burn::taken::Weights;
use crate::checkpoint::Snapshot;
use crate::host::{Change, Cluster, Decided, Given, Host, Outgrown, Reply, RoundError, SetupError};
use crate::method::{Algorithm, AnyAlgorithm, Ask, Takes};

/// Any method of one worker that asks only for the gradient at hand, as a Burn optimizer, a parameter at a time.
#[derive(Clone, Debug)]
pub struct Solo {
    algorithm: AnyAlgorithm,
    compressor: AnyCompressor,
    dense_below: usize,
    seed: u64,
    probe: Arc<Probe>,
    /// Numbers the parameters in the order of their first step, which is the visit order.
    ordinals: Arc<AtomicU64>,
}

impl Solo {
    /// This method with a compressor that it takes.
    ///
    /// # Errors
    /// Where the method needs more than one gradient a step, or does not go with the compressor.
    pub fn new<A: Algorithm>(algorithm: A, compressor: impl Fits<A::Takes>) -> Result<Self, SetupError> {
        Self::any(AnyAlgorithm::new(algorithm), compressor.fit().compressor().into())
    }

    /// A method and a compressor chosen at run time.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn any(algorithm: AnyAlgorithm, compressor: AnyCompressor) -> Result<Self, SetupError> {
        // Checks that they go together, and knows what to warn of.
        let trial = Cluster::new(algorithm.clone(), compressor.clone(), Layout::flat(1)?, 1, 0, &[0.0])?;
        if !crate::burn::asks_one_gradient(&trial) {
            return Err(SetupError::NotSolo(algorithm.to_string()));
        }
        if let Some(warning) = trial.warning() {
            tracing::warn!("{warning}");
        }
        let (probe, ordinals) = (Arc::default(), Arc::default());
        Ok(Self { algorithm, compressor, dense_below: 0, seed: 0, probe, ordinals })
    }

    /// The seed of the compressor's random streams.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Parameters of fewer coordinates are not compressed.
    pub fn with_dense_below(self, dense_below: usize) -> Self {
        Self { dense_below, ..self }
    }

    /// Counters that the optimizer keeps up to date.
    pub fn probe(&self) -> Arc<Probe> {
        self.probe.clone()
    }

    /// The optimizer of a module.
    pub fn init(self) -> ModuleOptimizer {
        self.into()
    }

    fn start(&self, ordinal: u64, shape: &[usize], x: &[f32]) -> Result<Cluster, SetupError> {
        // The ordinal stands for the path, which an optimizer of one tensor does not see.
        let named = vec![(format!("parameter {ordinal}"), shape.to_vec())];
        let layout = Layout::new(named, Scope::Parameter, self.dense_below)?;
        // A method that reads no x does not miss the real one.
        let zeros = vec![0.0; if x.is_empty() { layout.len() } else { 0 }];
        let x = if x.is_empty() { &zeros } else { x };
        Cluster::new(self.algorithm.clone(), self.compressor.clone(), layout, 1, self.seed, x)
    }

    /// A running state, from whatever state there is. One that does not fit is counted and started anew.
    fn resume(&self, state: Option<SoloState>, shape: &[usize], x: &[f32]) -> Result<(u64, Box<Cluster>), SetupError> {
        let ordinal = match &state {
            None => self.ordinals.load(Relaxed),
            Some(state) => state.ordinal(),
        };
        match state {
            None => return Ok((ordinal, self.start(ordinal, shape, x)?.into())),
            Some(SoloState::Live(_, cluster)) if cluster.layout().parameters()[0].shape == shape => {
                return Ok((ordinal, cluster));
            }
            Some(SoloState::Live(..)) => {}
            Some(SoloState::Stored(snapshot)) => {
                let mut cluster = self.start(ordinal, shape, x)?;
                let own = cluster.seed();
                if load(&mut cluster, &snapshot) {
                    if cluster.seed() != own {
                        tracing::warn!("the record's random streams go on, of seed {} and not {own}", cluster.seed());
                    }
                    self.ordinals.fetch_max(ordinal + 1, Relaxed);
                    return Ok((ordinal, cluster.into()));
                }
            }
        }
        Probe::add(&self.probe.unreadable, 1);
        Ok((ordinal, self.start(ordinal, shape, x)?.into()))
    }

    /// What the step comes to; `None` where it is refused.
    fn decide<const D: usize>(
        &self,
        lr: f64,
        weights: &Weights<D>,
        grad: Tensor<D>,
        cluster: &mut Cluster,
        x: &Vector,
    ) -> Option<Decided> {
        let given = Given::one(into_vector(grad.into_data()));
        let decided = cluster.round(lr, x, &mut One { given, weights }).ok()?;
        Probe::add(&self.probe.bytes_up, decided.traffic.workers[0].up);
        Some(decided)
    }

    /// Whether a state can be gone on with, without any trace.
    fn would_fit(&self, state: &SoloState, shape: &[usize], x: &[f32]) -> bool {
        match state {
            SoloState::Live(_, cluster) => cluster.layout().parameters()[0].shape == shape,
            SoloState::Stored(snapshot) => {
                let started = self.start(state.ordinal(), shape, x);
                started.is_ok_and(|mut cluster| load(&mut cluster, snapshot))
            }
        }
    }
}

/// A gradient, and the weights that it moves.
struct One<'a, const D: usize> {
    given: Given,
    weights: &'a Weights<D>,
}

impl<const D: usize> Host for One<'_, D> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        self.given.answer(worker, ask)
    }

    fn x(&mut self) -> Option<Vector> {
        Some(self.weights.to_vector())
    }

    fn room(&mut self) -> f64 {
        self.weights.room()
    }

    fn outgrown(&mut self, change: &Change) -> Option<Outgrown> {
        (!self.weights.hold(change)).then(|| outgrown(String::new(), self.weights.dtype()))
    }
}

/// Goes on from a saved state, with its seed, if it fits.
fn load(cluster: &mut Cluster, snapshot: &Snapshot) -> bool {
    let form = cluster.algorithm().to_string();
    snapshot.text("cluster.algorithm").is_ok_and(|saved| pieces(saved) == pieces(&form))
        && cluster.take_seed(snapshot).is_ok()
        && cluster.load_from(snapshot).is_ok()
}

/// What decides which pieces a method's state has: its name and its arguments but for their numbers. A cluster may
/// go on with a momentum where there was none; an optimizer whose momentum would begin at 0 with its record at hand
/// is one that was configured by mistake.
fn pieces(form: &str) -> Vec<&str> {
    let words = form.split([':', ',']).map(|word| word.split_once('=').map_or(word, |(name, _)| name));
    words.filter(|name| *name != "weight-decay").collect()
}

/// One parameter's state: running, or as it was read from a record and not yet used.
#[derive(Clone, Debug)]
pub enum SoloState {
    /// Running, with the parameter's ordinal.
    Live(u64, Box<Cluster>),
    /// As saved.
    Stored(Box<Snapshot>),
}

impl SoloState {
    fn ordinal(&self) -> u64 {
        match self {
            Self::Live(ordinal, _) => *ordinal,
            Self::Stored(snapshot) => snapshot.number("ordinal").unwrap_or_default(),
        }
    }

    fn to_snapshot(&self) -> Snapshot {
        match self {
            Self::Stored(snapshot) => (**snapshot).clone(),
            Self::Live(ordinal, cluster) => {
                let mut snapshot = Snapshot::default();
                snapshot.numbers.insert("ordinal".into(), *ordinal);
                cluster.clone().save_into(&mut snapshot);
                snapshot
            }
        }
    }
}

/// The leaf of a record under which a state lies.
pub(super) const LEAF: &str = "backburn";

/// The state's bytes as one tensor of u8: the derive fails outside burn-optim, and a state's own pieces are the
/// algorithm's business.
impl RecordState for SoloState {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        let bytes = self.to_snapshot().to_bytes();
        let len = bytes.len();
        out.push_tensor(prefix, LEAF, TensorData::new(bytes, [len]));
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, _: &Device) -> Option<Self> {
        let data = source.take_tensor(prefix, LEAF)?;
        let snapshot = Snapshot::from_bytes(&data.try_into_vec::<u8>().ok()?, prefix).ok()?;
        Some(Self::Stored(Box::new(snapshot)))
    }
}

thread_local! {
    /// While a record is being checked: how many of the states that `step` is shown do not fit.
    static MISFITS: RefCell<Option<usize>> = const { RefCell::new(None) };
}

/// Runs one step of an optimizer on this thread in which no [`Solo`] does anything but look whether its state fits.
/// Burn's `ModuleOptimizer` shows neither its states nor which optimizer has which; a step is the one way to both.
pub(super) fn count_misfits(step: impl FnOnce()) -> usize {
    MISFITS.set(Some(0));
    step();
    MISFITS.take().unwrap_or_default()
}

impl Optimizer for Solo {
    type State<const D: usize> = SoloState;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SoloState>,
    ) -> (Tensor<D>, Option<SoloState>) {
        let shape = tensor.shape().to_vec();
        let needs_x = self.algorithm.0.needs_x();
        if MISFITS.with_borrow(Option::is_some) {
            let mut x = vec![0.0; if needs_x { shape.iter().product() } else { 0 }];
            if needs_x {
                copy_into(tensor.to_data(), &mut x);
            }
            let fits = state.as_ref().is_none_or(|state| self.would_fit(state, &shape, &x));
            MISFITS.with_borrow_mut(|misfits| *misfits = misfits.map(|n| n + usize::from(!fits)));
            return (tensor, state);
        }
        if shape.contains(&0) {
            return (tensor, state);
        }
        let fresh = state.is_none();
        let quantised = matches!(tensor.dtype(), DType::QFloat(_));
        if quantised || grad.shape() != tensor.shape() {
            Probe::add(&self.probe.rejected, 1);
            return (tensor, state);
        }
        let weights = Weights::take(tensor);
        // Weights of another type or place are read only where the method does.
        let own = if needs_x && weights.as_vector().is_none() { weights.to_vector() } else { Vector::new() };
        let x = if needs_x { weights.as_vector().unwrap_or(&own) } else { &own };
        let Ok((ordinal, mut cluster)) = self.resume(state, &shape, x.as_slice()) else {
            Probe::add(&self.probe.rejected, 1);
            return (weights.into_tensor(), None);
        };
        match self.decide(lr, &weights, grad, &mut cluster, x) {
            Some(decided) => {
                let weights = match decided.sum() {
                    // One parameter is one unit.
                    Some((a, message)) => message.payloads.iter().fold(weights, |x, payload| x.plus(a, payload)),
                    None => weights.changed(decided.change().whole()),
                };
                decided.recycle();
                Probe::add(&self.probe.steps, 1);
                Probe::add(&self.probe.rounds, u64::from(ordinal == 0));
                self.ordinals.fetch_max(ordinal + 1, Relaxed);
                (weights.into_tensor(), Some(SoloState::Live(ordinal, cluster)))
            }
            None => {
                Probe::add(&self.probe.rejected, 1);
                // A parameter that has no state yet stays without, so that its ordinal is not used up.
                (weights.into_tensor(), (!fresh).then(|| SoloState::Live(ordinal, cluster)))
            }
        }
    }

    fn to_device<const D: usize>(state: SoloState, _: &Device) -> SoloState {
        state // host memory serves every device
    }
}
