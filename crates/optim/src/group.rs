//! n workers in this process, on a Burn module.

use std::path::Path;
use std::sync::Arc;

use backburn_compress::{AnyCompressor, Layout, Scope};
use burn::module::Module;
use burn::optim::GradientsParams;

use crate::cluster::{Cluster, Decided, Given, Host, Reply};
use crate::module::Places;
use crate::snapshot::{Snapshot, SnapshotError};
use crate::{Algorithm, AnyAlgorithm, Ask, Buf, Move, Observation, RoundError, SetupError, Takes, Traffic};

/// How a group will be made.
#[derive(Clone, Debug)]
pub struct GroupBuilder {
    algorithm: AnyAlgorithm,
    compressor: AnyCompressor,
    workers: usize,
    seed: u64,
    scope: Scope,
    dense_below: usize,
}

impl GroupBuilder {
    /// n, 1 where nothing is said.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// The seed of all random streams.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// What the compressor sees as one vector.
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Parameters of fewer coordinates are sent as they are.
    pub fn dense_below(self, dense_below: usize) -> Self {
        Self { dense_below, ..self }
    }

    /// The group, with every worker at the model's weights.
    pub fn init<M: Module>(self, model: &M) -> Result<Group, SetupError> {
        let (layout, places) = Places::new(model, self.scope, self.dense_below)?;
        let x = places.read(model);
        let cluster = Cluster::new(self.algorithm, self.compressor, layout, self.workers, self.seed, &x)?;
        if let Some(warning) = cluster.warning() {
            tracing::warn!("{warning}");
        }
        Ok(Group { cluster, places })
    }
}

/// n workers in this process, one error buffer a worker, on a Burn module.
///
/// ```
/// use backburn_compress::TopK;
/// use backburn_optim::{EfSgd, Group};
/// # use burn::{module::Module, nn::{Linear, LinearConfig}, optim::GradientsParams, tensor::{Device, Tensor}};
/// # let device = backburn_optim::device("auto")?.autodiff();
/// let mut model = LinearConfig::new(4, 2).init(&device);
/// let mut group = Group::new(EfSgd::new(0.9, 0.0)?, TopK::ratio(0.25)?).workers(3).seed(7).init(&model)?;
/// # let worker_grads = |model: &Linear| (0..3).map(|w| {
/// #     let x = Tensor::<2>::ones([1, 4], &device) * w as f32;
/// #     GradientsParams::from_grads(model.forward(x).sum().backward(), model)
/// # }).collect::<Vec<_>>();
/// let round = group.round(0.1, &model, worker_grads(&model))?;
/// println!("{} bytes up", round.traffic().up_per_worker());
/// model = round.apply(model);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    cluster: Cluster,
    places: Places,
}

impl Group {
    /// Begins a group of this method and a compressor that the method takes.
    // A group needs the model too, so `new` only begins to build one.
    #[allow(clippy::new_ret_no_self)]
    pub fn new<A: Algorithm>(algorithm: A, compressor: impl Into<A::Takes>) -> GroupBuilder {
        Self::any(AnyAlgorithm::new(algorithm), compressor.into().compressor().into())
    }

    /// Begins a group of a method and a compressor chosen at run time; `init` checks that they go
    /// together.
    pub fn any(algorithm: AnyAlgorithm, compressor: AnyCompressor) -> GroupBuilder {
        GroupBuilder { algorithm, compressor, workers: 1, seed: 0, scope: Scope::Parameter, dense_below: 0 }
    }

    /// One step with each worker's gradients at its own model (the common one, unless
    /// [`model_of`](Self::model_of) says otherwise), already averaged over as many minibatches as
    /// the method wants. On an error nothing has moved.
    pub fn round<M: Module>(&mut self, lr: f64, model: &M, grads: Vec<GradientsParams>) -> Result<Round, RoundError> {
        self.partial_round(lr, model, grads.into_iter().map(Some).collect())
    }

    /// As [`round`](Self::round), where `None` is an absent worker: it keeps what it owes, and the
    /// mean still divides by n.
    pub fn partial_round<M: Module>(
        &mut self,
        lr: f64,
        model: &M,
        grads: Vec<Option<GradientsParams>>,
    ) -> Result<Round, RoundError> {
        let (given, workers) = (grads.len(), self.cluster.workers());
        if given != workers {
            return Err(RoundError::Workers { given, workers });
        }
        self.adopt(model)?;
        let flat = grads.into_iter().map(|g| g.map(|g| self.places.flatten(model, g))).collect();
        self.host_round(lr, model, &mut Given(flat))
    }

    /// One step of any method. `gradient` is called for each worker once or more a step, with the
    /// model at which the worker's gradient is wanted; within a step it must use the same
    /// minibatch for the same worker. The model after the step is returned.
    pub fn step_with<M: Module>(
        &mut self,
        lr: f64,
        model: &M,
        gradient: impl FnMut(usize, &M) -> GradientsParams,
    ) -> Result<(M, Traffic), RoundError> {
        let round = self.round_with(lr, model, &mut Gradients(gradient))?;
        let traffic = round.traffic().clone();
        Ok((round.apply(model.clone()), traffic))
    }

    /// One step whose gradients and losses a host computes as the method asks for them.
    pub fn round_with<M: Module>(
        &mut self,
        lr: f64,
        model: &M,
        host: &mut impl ModuleHost<M>,
    ) -> Result<Round, RoundError> {
        self.adopt(model)?;
        let nodes: Vec<M> = if self.cluster.algorithm().is_gossip() {
            (0..self.cluster.workers()).map(|w| self.model_of(w, model)).collect()
        } else {
            Vec::new()
        };
        let mut served = Served { places: self.places.clone(), model, nodes: &nodes, host };
        self.host_round(lr, model, &mut served)
    }

    /// The model that a worker is to compute its gradient at: under gossip its own, otherwise the
    /// common one.
    pub fn model_of<M: Module>(&self, worker: usize, model: &M) -> M {
        match self.cluster.node(worker) {
            Some(x) => self.places.write(model.clone(), x),
            None => model.clone(),
        }
    }

    /// Measures what every worker owes, at the price of a few passes over memory.
    pub fn observe(&mut self) -> Observation {
        self.cluster.observe()
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.cluster.steps()
    }

    /// n.
    pub fn workers(&self) -> usize {
        self.cluster.workers()
    }

    /// The model's layout.
    pub fn layout(&self) -> &Arc<Layout> {
        self.cluster.layout()
    }

    /// The workers below, on flat vectors.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The model's parameters as one flat vector in the order of [`layout`](Self::layout).
    pub fn parameters<M: Module>(&self, model: &M) -> Buf {
        self.places.read(model)
    }

    /// The model with these parameters.
    pub fn with_parameters<M: Module>(&self, model: M, x: &[f32]) -> M {
        self.places.write(model, x)
    }

    /// All states and the model's weights, exactly.
    pub fn snapshot<M: Module>(&mut self, model: &M) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let x = self.places.read(model);
        for p in self.cluster.layout().parameters() {
            snapshot.vectors.insert(format!("model/{}", p.path), x[p.range.clone()].to_vec());
        }
        self.cluster.save_into(&mut snapshot);
        snapshot
    }

    /// Goes on from a snapshot, and gives the model with its weights. With another number of
    /// workers the residuals are re-divided. On an error nothing has changed.
    pub fn restore<M: Module>(&mut self, model: M, snapshot: &Snapshot) -> Result<M, SnapshotError> {
        let mut x = vec![0.0; self.cluster.layout().len()];
        for p in self.cluster.layout().parameters() {
            let saved = snapshot.vector(&format!("model/{}", p.path))?;
            if saved.len() != p.range.len() {
                let (found, expected) = (saved.len().to_string(), p.range.len().to_string());
                return Err(SnapshotError::Other { what: "a parameter of length", found, expected });
            }
            x[p.range.clone()].copy_from_slice(saved);
        }
        let places = Places::of(&model, self.cluster.layout()).ok_or_else(|| SnapshotError::Other {
            what: "a model",
            found: "laid out otherwise".into(),
            expected: format!("{} parameters", self.cluster.layout().parameters().len()),
        })?;
        self.cluster.load_from(snapshot)?;
        self.places = places;
        Ok(self.places.write(model, &x))
    }

    /// Writes [`snapshot`](Self::snapshot) to a file, whole or not at all.
    pub fn save<M: Module>(&mut self, model: &M, path: &Path) -> Result<(), SnapshotError> {
        self.snapshot(model).save(path)
    }

    /// [`restore`](Self::restore) from a file.
    pub fn load<M: Module>(&mut self, model: M, path: &Path) -> Result<M, SnapshotError> {
        self.restore(model, &Snapshot::load(path)?)
    }

    fn host_round<M: Module>(&mut self, lr: f64, model: &M, host: &mut dyn Host) -> Result<Round, RoundError> {
        let x = if self.cluster.needs_x() { self.places.read(model) } else { Buf::new() };
        let Decided { moved, traffic } = self.cluster.round(lr, &x, host)?;
        let open = self.cluster.algorithm().leaves_step_open();
        let mean = matches!(moved, Move::Own).then(|| {
            let mut x = vec![0.0; self.cluster.layout().len()];
            self.cluster.apply(&moved, lr, &mut x);
            x
        });
        let layout = self.cluster.layout().clone();
        Ok(Round { moved, traffic, lr, open, mean, layout, places: self.places.clone() })
    }

    /// A model loaded or moved anew has other `ParamId`s or devices: find its parameters by path.
    fn adopt<M: Module>(&mut self, model: &M) -> Result<(), RoundError> {
        if !self.places.fit(model) {
            let found = Places::of(model, self.cluster.layout());
            self.places = found.ok_or_else(|| RoundError::Host("the model is not the one that this group was made for: paths or shapes of its trainable parameters differ".into()))?;
        }
        Ok(())
    }
}

/// Computes gradients and losses of a module for methods that ask for them.
pub trait ModuleHost<M> {
    /// The worker's gradient at this model: the mean over so many minibatches, 0 for the exact one.
    /// Several calls within a step are for the same minibatch.
    fn gradient(&mut self, worker: usize, at: &M, batches: usize) -> Result<GradientsParams, RoundError>;

    /// The worker's own full objective at this model.
    fn loss(&mut self, worker: usize, at: &M) -> Result<f64, RoundError> {
        let _ = (worker, at);
        Err(RoundError::Unserved("a loss"))
    }
}

struct Gradients<F>(F);

impl<M, F: FnMut(usize, &M) -> GradientsParams> ModuleHost<M> for Gradients<F> {
    fn gradient(&mut self, worker: usize, at: &M, batches: usize) -> Result<GradientsParams, RoundError> {
        if batches == 0 {
            return Err(RoundError::Unserved("an exact gradient"));
        }
        Ok((self.0)(worker, at))
    }
}

struct Served<'a, M, H> {
    places: Places,
    model: &'a M,
    nodes: &'a [M],
    host: &'a mut H,
}

impl<M: Module, H: ModuleHost<M>> Host for Served<'_, M, H> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        let own = self.nodes.get(worker).unwrap_or(self.model);
        let place = |at: &Option<Buf>| at.as_ref().map(|at| self.places.write(own.clone(), at));
        Ok(match ask {
            Ask::Gradient { at, batches } => {
                let there = place(at);
                let there = there.as_ref().unwrap_or(own);
                let grads = self.host.gradient(worker, there, *batches)?;
                Reply::Gradient(self.places.flatten(there, grads))
            }
            Ask::Loss { at } => {
                let there = place(at);
                Reply::Loss(self.host.loss(worker, there.as_ref().unwrap_or(own))?)
            }
        })
    }
}

/// A step that has been decided and not yet applied.
#[derive(Clone, Debug)]
pub struct Round {
    moved: Move,
    traffic: Traffic,
    lr: f64,
    open: bool,
    mean: Option<Buf>,
    layout: Arc<Layout>,
    places: Places,
}

/// The method's result is a step, not a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this method owns its step (its step size lies inside the error, or each node has its own x): use `apply`, or a method that leaves the step open, such as `ef-sgd:outside`"
)]
pub struct StepIsOwned;

impl Round {
    /// What was sent, exactly.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// How x moves.
    pub fn moved(&self) -> &Move {
        &self.moved
    }

    /// The model after the step. Under gossip, the nodes' mean.
    pub fn apply<M: Module>(self, model: M) -> M {
        let decode = |message: &backburn_compress::Message| {
            let mut flat = vec![0.0; self.layout.len()];
            backburn_compress::decode_into(message, 1.0, &mut flat, &self.layout);
            flat
        };
        match &self.moved {
            Move::Direction(d) => self.places.descend(model, self.lr, &decode(d)),
            Move::Update(u) => self.places.descend(model, 1.0, &decode(u)),
            Move::Jump(y) => self.places.write(model, y),
            Move::Own => match &self.mean {
                Some(x) => self.places.write(model, x),
                None => model,
            },
        }
    }

    /// The decoded mean as gradients, for any Burn optimizer to follow instead of
    /// [`apply`](Self::apply). An error where the method owns its step.
    pub fn direction(&self) -> Result<GradientsParams, StepIsOwned> {
        match &self.moved {
            Move::Direction(d) if self.open => {
                let mut flat = vec![0.0; self.layout.len()];
                backburn_compress::decode_into(d, 1.0, &mut flat, &self.layout);
                Ok(self.places.unflatten(&flat))
            }
            _ => Err(StepIsOwned),
        }
    }
}
