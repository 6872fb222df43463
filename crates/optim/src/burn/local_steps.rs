//! Workers that step by themselves between two rounds, with any Burn optimizer.

use ::burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use ::burn::module::Module;
use ::burn::optim::{GradientsParams, ModuleOptimizer};
use backburn_compress::{ParameterError, Vector};

use crate::burn::batch_norm;
use crate::burn::found::find;
use crate::burn::gradients::{flatten, unflatten};
use crate::burn::group::Group;
use crate::burn::{model_state, optimizer_state};
use crate::{Gradient, InProcess, Mail, RoundError, SetupError, Snapshot, SnapshotError, Traffic};

/// A [`Group`] whose workers take H steps by themselves between two rounds, each on a replica of its own with a Burn
/// optimizer of its own, whose moments stay its own. A round's gradient is Δ_i = θ − θ_i, how far a worker came; the
/// group's method compresses it with feedback and moves θ, from which all go on. With
/// [`OuterSgd`](crate::OuterSgd) that is DiLoCo, SparseLoCo or MuLoCo.
///
/// H = 1 with SGD of step γ inside and an outer step of 1 is EF-SGD of step γ, to the rounding of θ − θ_i. A worker that
/// is absent from a round goes on from the new θ all the same, and adds its Δ_i to its next: it owes what it has not
/// sent. A parameter of which a worker's Δ_i is 0 counts as one without a gradient there.
///
/// ```
/// use backburn_compress::TopK;
/// use backburn_optim::{GroupConfig, LocalSteps, OuterSgd};
/// # use burn::{module::Module, nn::{Linear, LinearConfig}, optim::{AdamWConfig, GradientsParams}, tensor::Tensor};
/// # let device = backburn_optim::device("auto")?.autodiff();
/// # let model = LinearConfig::new(4, 2).init(&device);
/// let group = GroupConfig::new(OuterSgd::new().with_decay(0.95)?, TopK::ratio(0.25)?).with_workers(3).init(&model)?;
/// let mut workers = LocalSteps::new(group, model, AdamWConfig::new().init(), 30)?;
/// # let grads = |worker: usize, model: &Linear| {
/// #     let x = Tensor::<2>::ones([1, 4], &device) * worker as f32;
/// #     GradientsParams::from_grads(model.forward(x).sum().backward(), model)
/// # };
/// for _ in 0..60 {
///     if let Some(traffic) = workers.step(1e-3, 1.0, |worker, replica| grads(worker, replica))? {
///         println!("{} bytes up", traffic.per_worker().up); // twice
///     }
/// }
/// let model = workers.into_model();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LocalSteps<M: Module, P: Mail = InProcess> {
    group: Group<P>,
    /// θ.
    model: M,
    /// As it was given, without a state.
    inner: ModuleOptimizer,
    workers: Vec<Worker<M>>,
    /// H.
    steps: u64,
    /// Steps since the last round.
    done: u64,
}

#[derive(Clone)]
struct Worker<M> {
    /// θ_i.
    replica: M,
    optim: ModuleOptimizer,
    /// What it came by in rounds that it missed; empty where there is nothing.
    missed: Vector,
}

impl<M: Module> Worker<M> {
    fn new(model: &M, inner: &ModuleOptimizer) -> Self {
        Self { replica: model.clone(), optim: inner.clone(), missed: Vector::new() }
    }
}

impl<M: Module, P: Mail> std::fmt::Debug for LocalSteps<M, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalSteps({} of {}, {} workers)", self.done, self.steps, self.group.workers())
    }
}

impl<M: Module, P: Mail> LocalSteps<M, P> {
    /// Rounds every `steps` steps of `inner`, of which every worker gets its own; all begin at `model`.
    ///
    /// # Errors
    /// Where `steps` is 0, the model is not the group's, or the group's method asks for more than one gradient a round.
    pub fn new(group: Group<P>, model: M, inner: ModuleOptimizer, steps: u64) -> Result<Self, SetupError> {
        if steps == 0 {
            return Err(crate::burn::error::ModelError::from(ParameterError::Zero("local steps")).into());
        }
        if !crate::burn::asks_one_gradient(group.cluster()) {
            return Err(SetupError::NotSolo(group.cluster().algorithm().to_string()));
        }
        group.parameters(&model)?;
        let workers = group.cluster().seats().map(|_| Worker::new(&model, &inner)).collect();
        Ok(Self { group, model, inner, workers, steps, done: 0 })
    }

    /// A step of every worker of this process at its replica, and with the H-th a round: then what was sent. The inner
    /// step size is the optimizer's, the outer one the round's. After a round that failed, the next call tries it again
    /// and steps no further.
    ///
    /// # Errors
    /// Where a gradient is not finite or not of this model, before any worker has stepped; or as [`Group::round`], when
    /// all have.
    pub fn step(
        &mut self,
        inner_lr: impl Into<ModuleLearningRate>,
        outer_lr: f64,
        mut gradient: impl FnMut(usize, &M) -> GradientsParams,
    ) -> Result<Option<Traffic>, RoundError> {
        if !self.is_due() {
            self.inner_step(inner_lr, |worker, replica| Ok(gradient(worker, replica)))?;
        }
        if self.is_due() { self.exchange(outer_lr).map(Some) } else { Ok(None) }
    }

    /// A step of every worker of this process at its replica, and no round.
    ///
    /// # Errors
    /// Where a gradient cannot be had, is not finite or not of this model; no worker has stepped then.
    pub fn inner_step(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        mut gradient: impl FnMut(usize, &M) -> Result<GradientsParams, RoundError>,
    ) -> Result<(), RoundError> {
        let lr = lr.into();
        let first = self.group.cluster().seats().start;
        let mut all = Vec::with_capacity(self.workers.len());
        for (i, own) in self.workers.iter().enumerate() {
            let flat = flatten(self.group.places(), &own.replica, first + i, gradient(first + i, &own.replica)?)?;
            self.check(first + i, &flat)?;
            let paths = self.group.layout().parameters();
            let mut found = find(&own.replica);
            found.retain(|f| !flat.missing.iter().any(|p| paths[*p].path == f.path));
            all.push(unflatten(self.group.places(), &found, flat.vector.as_slice()));
        }
        for (own, gradients) in self.workers.iter_mut().zip(all) {
            own.replica = own.optim.step(lr.clone(), own.replica.clone(), gradients);
        }
        self.done += 1;
        Ok(())
    }

    /// Refuses a gradient that is not finite.
    fn check(&self, worker: usize, g: &Gradient) -> Result<(), RoundError> {
        let Some(at) = g.vector.first_non_finite() else { return Ok(()) };
        let p = self.group.layout().parameter_at(at).expect("the coordinate lies within the layout");
        let (path, coordinate, value) = (p.path.clone(), at - p.range.start, g.vector.as_slice()[at]);
        Err(RoundError::NonFinite { step: self.group.steps(), worker, path, coordinate, value })
    }

    /// A round of how far workers came, whenever.
    ///
    /// # Errors
    /// As [`Group::round`]; replicas then stay as they are.
    pub fn exchange(&mut self, lr: f64) -> Result<Traffic, RoundError> {
        self.partial_exchange(lr, |_| true)
    }

    /// The same without the workers that are not there.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    pub fn partial_exchange(&mut self, lr: f64, is_present: impl Fn(usize) -> bool) -> Result<Traffic, RoundError> {
        let theta = self.group.parameters(&self.model)?;
        let first = self.group.cluster().seats().start;
        let mut deltas = Vec::with_capacity(self.workers.len());
        for own in &self.workers {
            let mut delta = self.group.parameters(&own.replica)?;
            delta.blend(-1.0, 1.0, &theta);
            if !own.missed.is_empty() {
                delta.axpy(1.0, &own.missed);
            }
            deltas.push(delta);
        }
        let there: Vec<bool> = (0..deltas.len()).map(|i| is_present(first + i)).collect();
        let flat = deltas.iter().zip(&there).map(|(delta, there)| there.then(|| self.gradient(delta))).collect();
        let round = self.group.round_flat(lr, &self.model, flat)?;
        let traffic = round.traffic().clone();
        let statistics: Vec<Vec<f32>> = self.workers.iter().map(|own| batch_norm::statistics(&own.replica)).collect();
        self.model = round.try_apply(self.model.clone())?;
        if statistics.iter().any(|own| !own.is_empty()) {
            let common = batch_norm::average(&statistics).map_err(RoundError::host)?;
            self.model = batch_norm::with_statistics(self.model.clone(), &common).map_err(RoundError::host)?;
        }
        for ((own, delta), there) in self.workers.iter_mut().zip(deltas).zip(there) {
            // At an outer step of 0 what workers came by is dropped, as a gradient is.
            own.missed = if there || lr == 0.0 { Vector::new() } else { delta };
            own.replica = self.model.clone();
        }
        self.done = 0;
        Ok(traffic)
    }

    fn gradient(&self, delta: &Vector) -> Gradient {
        let still = |p: &backburn_compress::Parameter| delta.as_slice()[p.range.clone()].iter().all(|d| *d == 0.0);
        let parameters = self.group.layout().parameters().iter().enumerate();
        let missing = parameters.filter(|(_, p)| !p.range.is_empty() && still(p)).map(|(i, _)| i).collect();
        Gradient { vector: delta.clone(), missing }
    }

    /// Whether the next step begins with a round, since that of the last H steps failed.
    pub fn is_due(&self) -> bool {
        self.done >= self.steps
    }

    /// Steps that workers have taken since the last round.
    pub fn since_round(&self) -> u64 {
        self.done
    }

    /// θ.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// θ, and nothing else.
    pub fn into_model(self) -> M {
        self.model
    }

    /// θ_i of a worker of this process.
    pub fn replica(&self, worker: usize) -> Option<&M> {
        let own = worker.checked_sub(self.group.cluster().seats().start)?;
        self.workers.get(own).map(|own| &own.replica)
    }

    /// The workers' rounds, and what they owe.
    pub fn group(&self) -> &Group<P> {
        &self.group
    }

    /// The same, to be measured.
    pub fn group_mut(&mut self) -> &mut Group<P> {
        &mut self.group
    }

    /// Everything: the group's states and θ, and every worker's replica and moments, between rounds too.
    ///
    /// # Errors
    /// As [`Group::snapshot`], and where an optimizer's state cannot be written down.
    pub fn snapshot(&mut self) -> Result<Snapshot, SnapshotError> {
        let mut snapshot = self.group.snapshot(&self.model)?;
        snapshot.numbers.insert(DONE.into(), self.done);
        let first = self.group.cluster().seats().start;
        for (i, own) in self.workers.iter().enumerate() {
            let prefix = format!("{WORKER}{}.", first + i);
            if self.done > 0 {
                let x = self.group.parameters(&own.replica)?;
                snapshot.vectors.insert(format!("{prefix}x"), x.into_vec());
                snapshot.vectors.insert(format!("{prefix}statistics"), batch_norm::statistics(&own.replica));
            }
            snapshot.vectors.insert(format!("{prefix}missed"), own.missed.as_slice().to_vec());
            optimizer_state::save(&own.optim, &own.replica, &format!("{prefix}optimizer."), &mut snapshot)?;
        }
        Ok(snapshot)
    }

    /// Goes on from a snapshot. With another number of workers, which only a snapshot of the end of a round can be gone
    /// on with, those who join begin without moments.
    ///
    /// # Errors
    /// Where the snapshot is of another model, method or optimizer, or cannot be re-divided. Nothing has changed then.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let done = snapshot.number(DONE)?;
        let saved = snapshot.number("cluster.workers")?;
        if done > 0 && saved != self.group.workers() as u64 {
            return Err(SnapshotError::Indivisible(format!("{WORKER}0.x")));
        }
        // The group comes last: it changes nothing where it refuses.
        let group = &self.group;
        let model = model_state::load(self.model.clone(), snapshot)?;
        let mut workers = Vec::with_capacity(self.workers.len());
        for worker in group.cluster().seats() {
            let mut own = Worker::new(&model, &self.inner);
            let prefix = format!("{WORKER}{worker}.");
            if (worker as u64) < saved {
                if done > 0 {
                    own.replica = group.with_parameters(own.replica, snapshot.vector(&format!("{prefix}x"))?)?;
                    let statistics = snapshot.vector(&format!("{prefix}statistics"))?;
                    let damaged = |why: String| SnapshotError::Damaged { name: format!("{prefix}statistics"), why };
                    own.replica =
                        batch_norm::with_statistics(own.replica, statistics).map_err(|e| damaged(e.to_string()))?;
                }
                let missed = snapshot.vector(&format!("{prefix}missed"))?;
                if !(missed.is_empty() || missed.len() == group.layout().len()) {
                    let (found, expected) = (missed.len(), group.layout().len());
                    return Err(SnapshotError::Length { name: format!("{prefix}missed"), found, expected });
                }
                own.missed = missed.to_vec().into();
                own.optim = optimizer_state::load(own.optim, &own.replica, &format!("{prefix}optimizer."), snapshot)?;
            }
            workers.push(own);
        }
        self.model = self.group.restore(self.model.clone(), snapshot)?;
        (self.workers, self.done) = (workers, done);
        Ok(())
    }
}

const DONE: &str = "local.done";
const WORKER: &str = "local.";
