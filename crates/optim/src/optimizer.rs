//! One worker: error feedback as a Burn [`Optimizer`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use backburn_compress::{AnyCompressor, Feedback, Layout, Scope};
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, OptimizerRecord, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorData};

use crate::cluster::{Cluster, Given};
use crate::snapshot::Snapshot;
use crate::{Algorithm, AnyAlgorithm, Buf, EfSgd, SetupError, Takes};

/// EF-SGD as a Burn optimizer: momentum and weight decay as in [`EfSgd`], one error buffer a
/// parameter.
///
/// ```
/// # use backburn_compress::ScaledSign;
/// # use backburn_optim::EfSgdConfig;
/// let optim = EfSgdConfig::new(ScaledSign).with_momentum(0.9).with_weight_decay(5e-4).init()?;
/// # Ok::<(), backburn_optim::SetupError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EfSgdConfig {
    compressor: Feedback,
    momentum: f64,
    weight_decay: f64,
    outside: bool,
    dense_below: usize,
    seed: u64,
    probe: Arc<Probe>,
}

impl EfSgdConfig {
    /// EF-SGD around this compressor, without momentum or weight decay.
    pub fn new(compressor: impl Into<Feedback>) -> Self {
        Self {
            compressor: compressor.into(),
            momentum: 0.0,
            weight_decay: 0.0,
            outside: false,
            dense_below: 0,
            seed: 0,
            probe: Arc::default(),
        }
    }

    /// β ∈ [0, 1).
    pub fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// λ ≥ 0, added to the gradient before momentum.
    pub fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// Keeps the step size outside of the error, with residuals rescaled as it changes.
    pub fn with_step_outside(self) -> Self {
        Self { outside: true, ..self }
    }

    /// Parameters of fewer coordinates are not compressed.
    pub fn with_dense_below(self, dense_below: usize) -> Self {
        Self { dense_below, ..self }
    }

    /// The seed of the compressor's random streams.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Counters that the optimizer will keep up to date while it runs.
    pub fn probe(&self) -> Arc<Probe> {
        self.probe.clone()
    }

    /// The optimizer of one parameter, for parameter groups.
    pub fn build(self) -> Result<Solo, SetupError> {
        let method = EfSgd::new(self.momentum, self.weight_decay)?;
        let method = if self.outside { method.with_step_outside() } else { method };
        let solo = Solo::new(method, self.compressor)?;
        Ok(Solo { dense_below: self.dense_below, seed: self.seed, probe: self.probe, ..solo })
    }

    /// The optimizer of a module, for custom loops and for `Learner`.
    pub fn init(self) -> Result<ModuleOptimizer, SetupError> {
        Ok(self.build()?.into())
    }
}

/// What an optimizer has done, readable while it runs: `step` can return no error.
#[derive(Debug, Default)]
pub struct Probe {
    bytes_up: AtomicU64,
    steps: AtomicU64,
    rejected: AtomicU64,
    unreadable: AtomicU64,
}

impl Probe {
    /// Bytes that this worker would have sent, from the encoded messages, a header a parameter.
    pub fn bytes_up(&self) -> u64 {
        self.bytes_up.load(Relaxed)
    }

    /// Steps of single parameters that were taken.
    pub fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    /// Steps of single parameters that were refused, with tensor and state left as they were: a
    /// gradient that is not finite, or a step size that is not.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }

    /// States from a record that did not fit and were started anew.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Relaxed)
    }
}

/// Any method of one worker that asks only for the gradient at hand, as a Burn optimizer, a
/// parameter at a time.
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
    pub fn new<A: Algorithm>(algorithm: A, compressor: impl Into<A::Takes>) -> Result<Self, SetupError> {
        Self::any(AnyAlgorithm::new(algorithm), compressor.into().compressor().into())
    }

    /// A method and a compressor chosen at run time.
    pub fn any(algorithm: AnyAlgorithm, compressor: AnyCompressor) -> Result<Self, SetupError> {
        if algorithm.asks_elsewhere() || algorithm.is_gossip() {
            return Err(SetupError::NotSolo(algorithm.to_string()));
        }
        // Checks that they go together, and knows what to warn of.
        let trial = Cluster::new(algorithm.clone(), compressor.clone(), Layout::flat(1)?, 1, 0, &[0.0])?;
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

    /// Counters that the optimizer keeps up to date.
    pub fn probe(&self) -> Arc<Probe> {
        self.probe.clone()
    }

    /// The optimizer of a module.
    pub fn init(self) -> ModuleOptimizer {
        self.into()
    }

    fn start(&self, ordinal: u64, shape: Vec<usize>, x: &[f32]) -> Result<Cluster, SetupError> {
        // The ordinal stands for the path, which an optimizer of one tensor does not see.
        let layout = Layout::new(vec![(format!("parameter {ordinal}"), shape)], Scope::Parameter, self.dense_below)?;
        Cluster::new(self.algorithm.clone(), self.compressor.clone(), layout, 1, self.seed, x)
    }

    fn resume(&self, state: SoloState, shape: Vec<usize>, x: &[f32]) -> Result<(u64, Cluster), SetupError> {
        match state {
            SoloState::Live(ordinal, cluster) if cluster.layout().parameters()[0].shape == shape => {
                Ok((ordinal, *cluster))
            }
            SoloState::Live(ordinal, _) => Ok((ordinal, self.start(ordinal, shape, x)?)),
            SoloState::Stored(snapshot) => {
                let ordinal = snapshot.number("ordinal").unwrap_or_default();
                let mut cluster = self.start(ordinal, shape, x)?;
                if cluster.load_from(&snapshot).is_err() {
                    self.probe.unreadable.fetch_add(1, Relaxed);
                }
                self.ordinals.fetch_max(ordinal + 1, Relaxed);
                Ok((ordinal, cluster))
            }
        }
    }

    /// The tensor after the step, and whether it was taken.
    fn try_step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        cluster: &mut Cluster,
        x: &[f32],
    ) -> (Tensor<D>, bool) {
        let g: Buf = into_buf(grad.into_data());
        let Ok(decided) = cluster.round(lr, x, &mut Given(vec![Some(g)])) else {
            return (tensor, false);
        };
        self.probe.bytes_up.fetch_add(decided.traffic.up[0], Relaxed);
        let mut d = vec![0.0; cluster.layout().len()];
        let (device, shape) = (tensor.device(), tensor.shape());
        let step = |d: Buf| Tensor::<D>::from_data(TensorData::new(d, shape.clone()), &device);
        use crate::Move;
        let tensor = match &decided.moved {
            Move::Direction(message) | Move::Update(message) => {
                backburn_compress::decode_into(message, 1.0, &mut d, cluster.layout());
                let d = step(d);
                tensor - if matches!(decided.moved, Move::Update(_)) { d } else { d.mul_scalar(lr) }
            }
            Move::Jump(y) => step(y.clone()),
            Move::Own => tensor,
        };
        (tensor, true)
    }
}

fn into_buf(data: TensorData) -> Buf {
    match data.try_into_vec::<f32>() {
        Ok(values) => values,
        Err(error) => unreachable!("gradients are converted to f32 first: {error:?}"),
    }
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

/// The state's bytes as one tensor of u8: the derive fails outside burn-optim, and a state's own
/// pieces are the algorithm's business.
impl RecordState for SoloState {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        let bytes = self.to_snapshot().to_bytes();
        let len = bytes.len();
        out.push_tensor(prefix, "backburn", TensorData::new(bytes, [len]));
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, _: &Device) -> Option<Self> {
        let data = source.take_tensor(prefix, "backburn")?;
        let snapshot = Snapshot::from_bytes(&data.try_into_vec::<u8>().ok()?, prefix).ok()?;
        Some(Self::Stored(Box::new(snapshot)))
    }
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
        let data = tensor.to_data();
        let x: Buf =
            if self.algorithm.0.needs_x() || state.is_none() { data.iter::<f32>().collect() } else { Buf::new() };
        let fresh = state.is_none();
        let started = match state {
            Some(state) => self.resume(state, shape, &x),
            None => {
                let ordinal = self.ordinals.load(Relaxed);
                self.start(ordinal, shape, &x).map(|cluster| (ordinal, cluster))
            }
        };
        let Ok((ordinal, mut cluster)) = started else {
            self.probe.rejected.fetch_add(1, Relaxed);
            return (tensor, None);
        };
        let grad = grad.cast(burn::tensor::FloatDType::F32);
        match self.try_step(lr, tensor, grad, &mut cluster, &x) {
            (tensor, true) => {
                self.probe.steps.fetch_add(1, Relaxed);
                self.ordinals.fetch_max(ordinal + 1, Relaxed);
                (tensor, Some(SoloState::Live(ordinal, Box::new(cluster))))
            }
            (tensor, false) => {
                self.probe.rejected.fetch_add(1, Relaxed);
                // A parameter that has no state yet stays without, so that its ordinal is not used up.
                (tensor, (!fresh).then(|| SoloState::Live(ordinal, Box::new(cluster))))
            }
        }
    }

    fn to_device<const D: usize>(state: SoloState, _: &Device) -> SoloState {
        state // host memory serves every device
    }
}

/// Why an optimizer's record was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Burn could not read the file.
    #[error("cannot read the optimizer record `{0}`: {1}")]
    Record(String, String),
    /// Some states could not be rebuilt; Burn alone would have dropped them silently.
    #[error("{lost} of {saved} parameter states in `{file}` could not be read")]
    Lost {
        /// The file.
        file: String,
        /// States that were not rebuilt.
        lost: usize,
        /// States in the file.
        saved: usize,
    },
}

/// Loads an optimizer's record and checks that no parameter's state was lost on the way, which
/// Burn's own loading does not tell.
pub fn load_optimizer(optim: ModuleOptimizer, path: &Path) -> Result<ModuleOptimizer, LoadError> {
    let file = path.display().to_string();
    let record = OptimizerRecord::load(path).map_err(|e| LoadError::Record(file.clone(), format!("{e:?}")))?;
    let saved = record.len();
    let optim = optim.load_record(record);
    let kept = optim.to_record().len();
    if kept < saved { Err(LoadError::Lost { file, lost: saved - kept, saved }) } else { Ok(optim) }
}
