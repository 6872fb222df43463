//! Workers on a Burn module.

use std::path::Path;
use std::sync::Arc;

use ::burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use ::burn::module::Module;
use ::burn::optim::GradientsParams;
use backburn_compress::{Layout, Vector};

use crate::burn::found::{Found, find};
use crate::burn::gradients::{Preparation, flatten};
use crate::burn::group_config::GroupConfig;
use crate::burn::held::Held;
use crate::burn::model_state;
use crate::burn::module_host::{Gradients, ModuleHost, Ready, Served};
use crate::burn::parked::Parked;
use crate::burn::places::Places;
use crate::burn::round::Round;
use crate::burn::step_size::{Rescale, StepSize};
use crate::checkpoint::{Snapshot, SnapshotError};
use crate::host::cluster::States;
use crate::host::{
    Cluster, Encoded, Given, Gradient, Host, InProcess, Mail, ModelError, Observation, OnLink, RoundError, SetupError,
    Traffic, Transport,
};

/// Workers on a Burn module, one error buffer each: all n in this process, or with another
/// [mail](crate::Mail) as many as this process has. Made by [`GroupConfig`].
///
/// Parameters are found by path. A model that was loaded, built or moved anew is the same model; one whose layers
/// were frozen or unfrozen too: a parameter that becomes trainable joins, one that is frozen rests, and what is owed
/// to it waits. Processes must do so at the same step.
///
/// ```
/// use backburn_compress::TopK;
/// use backburn_optim::{EfSgd, GroupConfig};
/// # use burn::{module::Module, nn::{Linear, LinearConfig}, optim::GradientsParams, tensor::{Device, Tensor}};
/// # let device = backburn_optim::device("auto")?.autodiff();
/// let mut model = LinearConfig::new(4, 2).init(&device);
/// let mut group = GroupConfig::new(EfSgd::default(), TopK::ratio(0.25)?).with_workers(3).with_seed(7).init(&model)?;
/// # let worker_grads = |model: &Linear| (0..3).map(|w| {
/// #     let x = Tensor::<2>::ones([1, 4], &device) * w as f32;
/// #     GradientsParams::from_grads(model.forward(x).sum().backward(), model)
/// # }).collect::<Vec<_>>();
/// let round = group.round(0.1, &model, worker_grads(&model))?;
/// println!("{} bytes up", round.traffic().per_worker().up);
/// model = round.apply(model);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Group<P: Mail = InProcess> {
    config: GroupConfig,
    cluster: Cluster<P>,
    places: Places,
    /// Each parameter's share of the last step size; empty where all were 1.
    share: Vec<f32>,
    /// What is owed to parameters that rest.
    parked: Parked,
    /// What the exchanges so far would have taken.
    on_link: OnLink,
}

impl GroupConfig {
    /// The group, all of whose workers live in this process, each at the model's weights.
    ///
    /// # Errors
    /// Where method, compressor, numbers and model do not go together.
    pub fn init<M: Module>(&self, model: &M) -> Result<Group, SetupError> {
        self.init_with(InProcess::new(self.workers()), model)
    }

    /// The group of which this process is one worker of as many as the transport has: nothing else changes. All
    /// processes must begin with the same weights.
    ///
    /// # Errors
    /// As [`init`](Self::init), and where processes differ or cannot be reached: then all of them get an error.
    /// Where another number of workers than 1 was asked for, it must be the transport's.
    pub fn init_over<T: Transport, M: Module>(&self, transport: T, model: &M) -> Result<Group<Encoded<T>>, SetupError> {
        let size = transport.size();
        if self.workers() != 1 && self.workers() != size {
            return Err(SetupError::Workers { asked: self.workers(), there: size });
        }
        self.init_with(Encoded::new(transport), model)
    }

    /// The group over any mail.
    ///
    /// # Errors
    /// As [`init`](Self::init).
    pub fn init_with<P: Mail, M: Module>(&self, mail: P, model: &M) -> Result<Group<P>, SetupError> {
        let found = find(model);
        let (layout, places) = self.lay_out(&found)?;
        let x = places.read(model)?;
        let links = self.links().cloned();
        let (method, compressor) = (self.method().clone(), self.compressor().clone());
        let cluster = Cluster::over(method, compressor, layout, self.seed(), x.as_slice(), mail)?;
        if let Some(warning) = cluster.warning() {
            tracing::warn!("{warning}");
        }
        // After the meeting, or the others would wait for this process.
        links.map_or(Ok(()), |links| links.check(cluster.workers()))?;
        let (share, parked, on_link) = (Vec::new(), Parked::default(), OnLink::default());
        Ok(Group { config: self.clone(), cluster, places, share, parked, on_link })
    }
}

impl<P: Mail> Group<P> {
    /// One step with the gradients of each of this process's workers at its own model (the common one, unless
    /// [`model_of`](Self::model_of) says otherwise), already averaged over as many minibatches as the method wants.
    /// `lr` is a number, or what Burn's schedulers give for groups of parameters.
    ///
    /// A parameter without a gradient counts as absent: neither decay nor momentum moves it.
    ///
    /// # Errors
    /// Where a gradient, a step size or a result is not finite, gradients are not of this model, or a message was
    /// lost. Nothing has moved then.
    pub fn round<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: &M,
        grads: Vec<GradientsParams>,
    ) -> Result<Round, RoundError> {
        self.partial_round(lr, model, grads.into_iter().map(Some).collect())
    }

    /// As [`round`](Self::round), where `None` is an absent worker: it keeps what it owes, and the mean still
    /// divides by n.
    ///
    /// # Errors
    /// As [`round`](Self::round).
    pub fn partial_round<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: &M,
        grads: Vec<Option<GradientsParams>>,
    ) -> Result<Round, RoundError> {
        let flatten = |group: &Self, worker, grads: Option<GradientsParams>| {
            grads.map(|grads| group.flatten(model, worker, grads)).transpose()
        };
        self.round_of(lr, model, grads, flatten)
    }

    /// As [`partial_round`](Self::partial_round), with gradients that were [flattened](Self::flatten) before: at an
    /// earlier step, say.
    ///
    /// # Errors
    /// As [`round`](Self::round).
    pub fn round_flat<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: &M,
        grads: Vec<Option<Gradient>>,
    ) -> Result<Round, RoundError> {
        self.round_of(lr, model, grads, |group, worker, grads: Option<Gradient>| match grads {
            Some(Gradient { vector, .. }) if vector.len() != group.layout().len() => {
                Err(RoundError::Length { worker, given: vector.len(), expected: group.layout().len() })
            }
            grads => Ok(grads),
        })
    }

    /// A worker's gradient in the order of [`layout`](Self::layout).
    ///
    /// # Errors
    /// Where it is not one of this model.
    pub fn flatten<M: Module>(&self, model: &M, worker: usize, grads: GradientsParams) -> Result<Gradient, RoundError> {
        Ok(flatten(&self.places, model, worker, grads)?)
    }

    fn round_of<M: Module, G>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: &M,
        grads: Vec<G>,
        flatten: impl Fn(&Self, usize, G) -> Result<Option<Gradient>, RoundError>,
    ) -> Result<Round, RoundError> {
        let first = self.cluster.seats().start;
        let (given, workers) = (grads.len(), self.cluster.seats().len());
        let step = self.prepare(&lr.into(), model);
        let (mut flat, mut failed) = (Vec::new(), Vec::new());
        let step = match step {
            Ok(_) if given != workers => Err(RoundError::Workers { given, workers }),
            step => step,
        };
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                // The others are told through the driver.
                failed.extend(self.cluster.seats().map(|worker| (worker, error.clone())));
                Step::default()
            }
        };
        if failed.is_empty() {
            for (worker, grads) in self.cluster.seats().zip(grads) {
                flat.push(None);
                match flatten(self, worker, grads) {
                    Ok(None) => {}
                    Ok(Some(mut gradient)) => {
                        let x = self.cluster.node(worker).unwrap_or(&step.x);
                        step.preparation.apply(&mut gradient, x.as_slice(), self.cluster.layout());
                        flat[worker - first] = Some(gradient);
                    }
                    Err(error) => failed.push((worker, error)),
                }
            }
        }
        let places = self.places.clone();
        let held = step.held.clone();
        let mut host = Ready { given: Given::from(first, flat), failed, places: &places, model, held: &held };
        self.drive(step, &mut host)
    }

    /// One step of any method. `gradient` is called for each of this process's workers once or more a step, with
    /// the model at which the worker's gradient is wanted; within a step it must use the same minibatch for the same
    /// worker. The model after the step is returned.
    ///
    /// # Errors
    /// As [`round`](Self::round).
    pub fn step_with<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: &M,
        gradient: impl FnMut(usize, &M) -> GradientsParams,
    ) -> Result<(M, Traffic), RoundError> {
        let round = self.round_with(lr, model, &mut Gradients(gradient))?;
        let traffic = round.traffic().clone();
        Ok((round.try_apply(model.clone())?, traffic))
    }

    /// One step whose gradients and losses a host computes as the method asks for them.
    ///
    /// # Errors
    /// As [`round`](Self::round).
    pub fn round_with<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: &M,
        host: &mut impl ModuleHost<M>,
    ) -> Result<Round, RoundError> {
        let places = |group: &Self| group.places.clone();
        let step = match self.prepare(&lr.into(), model) {
            Ok(step) => step,
            Err(error) => {
                let failed = self.cluster.seats().map(|worker| (worker, error.clone())).collect();
                let places = places(self);
                let (given, held) = (Given::from(0, Vec::new()), Held::default());
                let mut host = Ready { given, failed, places: &places, model, held: &held };
                return self.drive(Step::default(), &mut host);
            }
        };
        let seats = self.cluster.seats();
        let nodes: Vec<M> = match self.cluster.algorithm().is_gossip() {
            true => seats.clone().map(|w| self.model_of(w, model)).collect(),
            false => Vec::new(),
        };
        let (places, layout) = (places(self), self.cluster.layout().clone());
        let (preparation, held) = (step.preparation.clone(), step.held.clone());
        let (places, layout, nodes, first) = (&places, &layout, &nodes[..], seats.start);
        let mut served = Served { places, preparation: &preparation, layout, model, held: &held, first, nodes, host };
        self.drive(step, &mut served)
    }

    /// The model that a worker is to compute its gradient at: under gossip its own, otherwise the common one.
    pub fn model_of<M: Module>(&self, worker: usize, model: &M) -> M {
        let own = self.cluster.node(worker).map(|x| self.places.write(model.clone(), x.as_slice()));
        own.and_then(Result::ok).unwrap_or_else(|| model.clone())
    }

    /// Measures what every worker of this process owes, at the price of a few passes over memory.
    pub fn observe(&mut self) -> Observation {
        self.cluster.observe()
    }

    /// What the exchanges since this group was made would have taken on the links that it was
    /// [given](GroupConfig::with_link), by the model of [`Load`](crate::Load).
    pub fn on_link(&self) -> Option<OnLink> {
        self.config.links().map(|_| self.on_link)
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.cluster.steps()
    }

    /// n, over all processes.
    pub fn workers(&self) -> usize {
        self.cluster.workers()
    }

    /// The layout of the parameters that are trained.
    pub fn layout(&self) -> &Arc<Layout> {
        self.cluster.layout()
    }

    /// The workers below, on flat vectors.
    pub fn cluster(&self) -> &Cluster<P> {
        &self.cluster
    }

    /// The same, to be changed.
    pub fn cluster_mut(&mut self) -> &mut Cluster<P> {
        &mut self.cluster
    }

    /// Where the model's parameters stand.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// How it was made.
    pub fn config(&self) -> &GroupConfig {
        &self.config
    }

    /// The model's trained parameters as one flat vector in the order of [`layout`](Self::layout).
    ///
    /// # Errors
    /// Where the model is another.
    pub fn parameters<M: Module>(&self, model: &M) -> Result<Vector, ModelError> {
        self.places.read(model)
    }

    /// The model with these parameters.
    ///
    /// # Errors
    /// Where the model is another, or the vector of another length.
    pub fn with_parameters<M: Module>(&self, model: M, x: &[f32]) -> Result<M, ModelError> {
        self.places.write(model, x)
    }

    /// All states of this process's workers, and the whole model, exactly: trained and frozen parameters, running
    /// statistics and whatever else it holds.
    ///
    /// # Errors
    /// Where the model is another.
    pub fn snapshot<M: Module>(&mut self, model: &M) -> Result<Snapshot, SnapshotError> {
        self.places.check(model)?;
        let mut snapshot = Snapshot::default();
        self.parked.save_into(&mut snapshot);
        self.cluster.save_into(&mut snapshot);
        model_state::save(model, &mut snapshot);
        for (p, share) in self.cluster.layout().parameters().iter().zip(&self.share) {
            snapshot.set_real(format!("{SHARE}{}", p.path), f64::from(*share));
        }
        Ok(snapshot)
    }

    /// Goes on from a snapshot, and gives the model as it was saved. With another number of workers the residuals
    /// are re-divided.
    ///
    /// # Errors
    /// Where the snapshot is of another model or method, or cannot be re-divided. Nothing has changed then.
    pub fn restore<M: Module>(&mut self, model: M, snapshot: &Snapshot) -> Result<M, SnapshotError> {
        self.places.check(&model)?;
        // Both first look, and only then change anything.
        model_state::check(&model, snapshot)?;
        let parked = Parked::load_from(snapshot, self.cluster.workers())?;
        self.cluster.load_from(snapshot)?;
        self.parked = parked;
        let share = |p: &backburn_compress::Parameter| snapshot.real(&format!("{SHARE}{}", p.path)).ok();
        let share: Vec<Option<f64>> = self.cluster.layout().parameters().iter().map(share).collect();
        let any = share.iter().any(Option::is_some);
        self.share = if any { share.iter().map(|s| s.unwrap_or(1.0) as f32).collect() } else { Vec::new() };
        model_state::load(model, snapshot)
    }

    /// Writes [`snapshot`](Self::snapshot) to a file, whole or not at all.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot), and where the file system refuses.
    pub fn save<M: Module>(&mut self, model: &M, path: &Path) -> Result<(), SnapshotError> {
        self.snapshot(model)?.save(path)
    }

    /// [`restore`](Self::restore) from a file.
    ///
    /// # Errors
    /// As [`restore`](Self::restore), and where the file cannot be read.
    pub fn load<M: Module>(&mut self, model: M, path: &Path) -> Result<M, SnapshotError> {
        self.restore(model, &Snapshot::load(path)?)
    }

    /// Finds the model's parameters and what this step does to their gradients.
    fn prepare<M: Module>(&mut self, lr: &ModuleLearningRate, model: &M) -> Result<Step, RoundError> {
        let found = find(model);
        self.adopt(model, &found)?;
        let layout = self.cluster.layout().clone();
        let size = StepSize::new(lr, &layout, &found, |path, rank| self.config.treatment(path, rank).step_size)?;
        let mut preparation = self.config.preparation(&layout);
        preparation.still = (0..size.share.len()).filter(|p| size.share[*p] == 0.0).collect();
        let open = self.cluster.algorithm().leaves_step_open();
        if !open {
            preparation.share.clone_from(&size.share);
        }
        let needs_x = self.cluster.needs_x() || preparation.needs_x();
        let x = if needs_x { self.places.read(model)? } else { Vector::new() };
        let before = if open { self.rescale(&size, &layout) } else { None };
        let share = if open { size.share } else { Vec::new() };
        let held = Held::new(&found, &share);
        Ok(Step { lr: size.lr, share, before, held, preparation, x, found })
    }

    /// Where the optimizer's step is left open, shares act on the decoded mean, and what is owed must be told when
    /// they change. What was before, where anything has changed.
    fn rescale(&mut self, size: &StepSize, layout: &Layout) -> Option<Before> {
        if size.share == self.share {
            return None;
        }
        let before = Before { states: self.cluster.states.clone(), share: self.share.clone() };
        let last = StepSize { lr: 0.0, share: std::mem::take(&mut self.share) };
        let parameters = 0..layout.parameters().len();
        // At 0 a parameter stands still, and what it owes stays in the units of the last step that moved it.
        let now: Vec<f32> =
            parameters.clone().map(|p| Some(size.share(p)).filter(|s| *s != 0.0).unwrap_or(last.share(p))).collect();
        let factors = parameters.map(|p| last.share(p) / now[p]).collect();
        self.cluster.visit(&mut Rescale { layout, factors });
        self.share = if now.iter().all(|s| *s == 1.0) { Vec::new() } else { now };
        Some(before)
    }

    fn drive(&mut self, step: Step, host: &mut dyn Host) -> Result<Round, RoundError> {
        let Step { lr, share, before, x, found, .. } = step;
        let decided = match (self.cluster.round(lr, &x, host), before) {
            (Ok(decided), _) => decided,
            (Err(error), Some(Before { states, share })) if error.is_rejected() => {
                (self.cluster.states, self.share) = (states, share);
                return Err(error);
            }
            (Err(error), _) => return Err(error),
        };
        let open = self.cluster.algorithm().leaves_step_open();
        let round = Round { decided, open, share, places: self.places.clone(), found };
        if let Some(links) = self.config.links() {
            self.on_link += OnLink::of(&round.load(), links);
        }
        Ok(round)
    }

    /// Follows the model where parameters have become trainable or been frozen.
    fn adopt<M: Module>(&mut self, model: &M, found: &[Found]) -> Result<(), RoundError> {
        self.places.check_found(found)?;
        let (layout, places) = self.config.lay_out(found)?;
        if layout.fingerprint() == self.cluster.layout().fingerprint() {
            return Ok(());
        }
        let x = places.read(model)?;
        self.parked.relay(&mut self.cluster, layout, x.as_slice()).map_err(RoundError::host)?;
        self.share = Vec::new();
        self.places = places;
        Ok(())
    }
}

/// The prefix of a share in a snapshot.
const SHARE: &str = "group.share/";

/// What a change of shares has changed, for a round that is rejected.
struct Before {
    states: States,
    share: Vec<f32>,
}

/// One step, before the workers begin.
#[derive(Default)]
struct Step {
    lr: f64,
    share: Vec<f32>,
    before: Option<Before>,
    held: Held,
    preparation: Preparation,
    x: Vector,
    found: Vec<Found>,
}
