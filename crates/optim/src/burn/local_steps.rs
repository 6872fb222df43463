//! Workers that step by themselves between two rounds, with any Burn optimizer.

use ::burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use ::burn::module::Module;
use ::burn::optim::{GradientsParams, ModuleOptimizer};
use backburn_compress::{ParameterError, Vector};

use crate::burn::found::find;
use crate::burn::gradients::{flatten, unflatten};
use crate::burn::group::Group;
use crate::burn::{batch_norm, model_state, optimizer_state};
use crate::checkpoint::{LOCAL, Snapshot, SnapshotError};
use crate::host::{Fragments, Gradient, InProcess, Mail, ModelError, RoundError, SetupError, Traffic};

/// A [`Group`] whose workers take H steps by themselves between two rounds, each on a replica of its own with a Burn
/// optimizer of its own, whose moments stay its own. A round's gradient is Δ_i = θ − θ_i, how far a worker came; the
/// group's method compresses it with feedback and moves θ, from which all go on. With
/// [`OuterSgd`](crate::OuterSgd) that is DiLoCo, SparseLoCo or MuLoCo.
///
/// H = 1 with SGD of step γ inside and an outer step of 1 is EF-SGD of step γ, to the rounding of θ − θ_i. A worker that
/// is absent from a round goes on from the new θ all the same, and adds its Δ_i to its next: it owes what it has not
/// sent. A parameter of which a worker's Δ_i is 0 counts as one without a gradient there.
///
/// With [`Fragments`] a part of the model is exchanged at a time, while workers go on computing: streaming DiLoCo.
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
    fragments: Fragments,
    /// The parameters of each fragment.
    parts: Vec<Vec<usize>>,
    /// Steps from one fragment to the next.
    spacing: u64,
    /// Steps since the last fragment counted.
    done: u64,
    /// The fragment that is next.
    next: usize,
    /// Whether θ knows of it already, and replicas do not.
    early: bool,
    /// What was sent of it.
    heard: Option<Traffic>,
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

/// Every worker's gradient at its replica, looked through.
#[derive(Debug)]
pub struct InnerGradients(Vec<GradientsParams>);

impl<M: Module, P: Mail> std::fmt::Debug for LocalSteps<M, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalSteps({} of {}, {} workers)", self.done, self.steps, self.group.workers())
    }
}

impl<M: Module, P: Mail> LocalSteps<M, P> {
    /// Rounds every `steps` steps of `inner`, of which every worker gets its own; all begin at `model`.
    ///
    /// # Errors
    /// Where `steps` is 0, the model is not the group's or has running statistics, or the group's method asks for more
    /// than one gradient a round.
    pub fn new(group: Group<P>, model: M, inner: ModuleOptimizer, steps: u64) -> Result<Self, SetupError> {
        if steps == 0 {
            return Err(ModelError::from(ParameterError::Zero("local steps")).into());
        }
        if !crate::burn::asks_one_gradient(group.cluster()) {
            return Err(SetupError::NotSolo(group.cluster().algorithm().to_string()));
        }
        group.parameters(&model)?;
        if !batch_norm::statistics(&model).is_empty() {
            return Err(SetupError::Statistics);
        }
        let workers = group.cluster().seats().map(|_| Worker::new(&model, &inner)).collect();
        let fragments = Fragments::WHOLE;
        let parts = fragments.parameters(group.layout())?;
        let (done, next, early, heard) = (0, 0, false, None);
        Ok(Self { group, model, inner, workers, steps, fragments, parts, spacing: steps, done, next, early, heard })
    }

    /// Exchanges a fragment of the model at a time, each of them every H steps.
    ///
    /// # Errors
    /// Where the model has fewer layers than fragments, these do not divide H, the delay is as long as the way from one
    /// to the next, or what is compressed as one vector lies in several.
    pub fn with_fragments(self, fragments: Fragments) -> Result<Self, SetupError> {
        let spacing = fragments.spacing(self.steps)?;
        let parts = fragments.parameters(self.group.layout())?;
        Ok(Self { fragments, parts, spacing, ..self })
    }

    /// A step of every worker of this process at its replica, and with the H-th (of P fragments, with every H/P-th) a
    /// round: then what was sent. The inner step size is the optimizer's, the outer one the round's. After a round that
    /// failed, the next call tries it again and steps no further.
    ///
    /// # Errors
    /// Where a gradient is not finite or not of this model, before any worker has stepped; or as [`Group::round`], when
    /// all have.
    pub fn step(
        &mut self,
        inner_lr: impl Into<ModuleLearningRate>,
        outer_lr: f64,
        mut gradient: impl FnMut(usize, &M) -> GradientsParams + Send,
    ) -> Result<Option<Traffic>, RoundError> {
        if !self.is_due() {
            let gradients = self.gradients(outer_lr, |worker, replica| Ok(gradient(worker, replica)))?;
            self.take(inner_lr, gradients);
        }
        self.arrive(outer_lr)
    }

    /// The first part of a [`step`](Self::step): every worker's gradient at its replica. Where a fragment has been formed
    /// it is exchanged meanwhile, while a thread of its own computes them.
    ///
    /// # Errors
    /// Where a gradient cannot be had, is not finite or not of this model; or as [`Group::round`].
    pub fn gradients(
        &mut self,
        outer_lr: f64,
        mut gradient: impl FnMut(usize, &M) -> Result<GradientsParams, RoundError> + Send,
    ) -> Result<InnerGradients, RoundError> {
        if !self.is_formed() {
            return self.compute(gradient);
        }
        let seats = self.group.cluster().seats();
        let replicas: Vec<(usize, M)> = seats.zip(self.workers.iter().map(|own| own.replica.clone())).collect();
        let computing = move || {
            let own = replicas.into_iter().map(|(worker, replica)| gradient(worker, &replica));
            own.collect::<Result<Vec<_>, RoundError>>()
        };
        let (gradients, sent) = std::thread::scope(|scope| {
            let computing = scope.spawn(computing);
            let sent = self.send(outer_lr, |_| true);
            (computing.join(), sent)
        });
        sent?;
        let gradients = gradients.map_err(|_| RoundError::host("the thread that computes gradients has panicked"))?;
        self.looked_through(gradients?)
    }

    /// The second: every worker steps.
    pub fn take(&mut self, lr: impl Into<ModuleLearningRate>, gradients: InnerGradients) {
        let lr = lr.into();
        for (own, gradients) in self.workers.iter_mut().zip(gradients.0) {
            own.replica = own.optim.step(lr.clone(), own.replica.clone(), gradients);
        }
        self.done += 1;
    }

    /// The last: where that was the last step before a round, the round, unless it has been meanwhile; workers go on from
    /// what it came to.
    ///
    /// # Errors
    /// As [`Group::round`].
    pub fn arrive(&mut self, outer_lr: f64) -> Result<Option<Traffic>, RoundError> {
        if self.is_due() { self.exchange(outer_lr).map(Some) } else { Ok(None) }
    }

    /// A step of every worker of this process at its replica, and no round.
    ///
    /// # Errors
    /// Where a gradient cannot be had, is not finite or not of this model; no worker has stepped then.
    pub fn inner_step(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        gradient: impl FnMut(usize, &M) -> Result<GradientsParams, RoundError>,
    ) -> Result<(), RoundError> {
        let gradients = self.compute(gradient)?;
        self.take(lr, gradients);
        Ok(())
    }

    fn compute(
        &self,
        mut gradient: impl FnMut(usize, &M) -> Result<GradientsParams, RoundError>,
    ) -> Result<InnerGradients, RoundError> {
        let seats = self.group.cluster().seats();
        let own = seats.zip(&self.workers).map(|(worker, own)| gradient(worker, &own.replica));
        self.looked_through(own.collect::<Result<_, _>>()?)
    }

    /// Gradients of the trained parameters alone, all finite.
    fn looked_through(&self, gradients: Vec<GradientsParams>) -> Result<InnerGradients, RoundError> {
        let first = self.group.cluster().seats().start;
        let mut all = Vec::with_capacity(self.workers.len());
        for (i, (own, gradients)) in self.workers.iter().zip(gradients).enumerate() {
            let flat = flatten(self.group.places(), &own.replica, first + i, gradients)?;
            self.check(first + i, &flat)?;
            let paths = self.group.layout().parameters();
            let mut found = find(&own.replica);
            found.retain(|f| !flat.missing.iter().any(|p| paths[*p].path == f.path));
            all.push(unflatten(self.group.places(), &found, flat.vector.as_slice()));
        }
        Ok(InnerGradients(all))
    }

    /// Refuses a gradient that is not finite.
    fn check(&self, worker: usize, g: &Gradient) -> Result<(), RoundError> {
        let Some(at) = g.vector.first_non_finite() else { return Ok(()) };
        let p = self.group.layout().parameter_at(at).expect("the coordinate lies within the layout");
        let (path, coordinate, value) = (p.path.clone(), at - p.range.start, g.vector.as_slice()[at]);
        Err(RoundError::NonFinite { step: self.group.steps(), worker, path, coordinate, value })
    }

    /// A round of how far workers came in the next fragment, whenever, unless it has been; they go on from it.
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
        if !self.early {
            self.send(lr, is_present)?;
        }
        self.take_over()?;
        Ok(self.heard.take().unwrap_or_default())
    }

    /// The round of the next fragment. θ knows of it then, and replicas do not.
    fn send(&mut self, lr: f64, is_present: impl Fn(usize) -> bool) -> Result<(), RoundError> {
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
        self.heard = Some(round.traffic().clone());
        self.model = round.try_apply(self.model.clone())?;
        let ranges: Vec<_> = self.ranges().collect();
        for ((own, delta), there) in self.workers.iter_mut().zip(deltas).zip(there) {
            // At an outer step of 0 what workers came by is dropped, as a gradient is.
            let paid = there || lr == 0.0;
            match (paid, own.missed.is_empty(), self.parts.len()) {
                (true, true, _) => {}
                (true, false, 1) => own.missed = Vector::new(),
                (true, false, _) => ranges.iter().for_each(|range| own.missed.clear_range(range.clone())),
                (false, ..) => {
                    own.missed.or_zeros(delta.len());
                    ranges.iter().for_each(|range| own.missed.copy_range(range.clone(), &delta));
                }
            }
        }
        self.early = true;
        Ok(())
    }

    /// Where the next fragment's parameters stand.
    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.parts[self.next].iter().map(|p| self.group.layout().parameters()[*p].range.clone())
    }

    /// Workers go on from (1 − α)θ + αθ_i in the fragment whose round has been.
    fn take_over(&mut self) -> Result<(), RoundError> {
        let alpha = self.fragments.mix() as f32;
        if self.parts.len() == 1 && alpha == 0.0 {
            self.workers.iter_mut().for_each(|own| own.replica = self.model.clone());
        } else {
            self.mix(alpha)?;
        }
        (self.done, self.early) = (0, false);
        self.next = (self.next + 1) % self.parts.len();
        Ok(())
    }

    fn mix(&mut self, alpha: f32) -> Result<(), RoundError> {
        let theta = self.group.parameters(&self.model)?;
        let ranges: Vec<_> = self.ranges().collect();
        for own in &mut self.workers {
            let mut x = self.group.parameters(&own.replica)?;
            for range in &ranges {
                let own = &mut x.as_mut_slice()[range.clone()];
                own.iter_mut()
                    .zip(&theta.as_slice()[range.clone()])
                    .for_each(|(x, t)| *x = (1.0 - alpha) * t + alpha * *x);
            }
            own.replica = self.group.with_parameters(own.replica.clone(), x.as_slice())?;
        }
        Ok(())
    }

    /// After a round that failed: what workers came by in its fragment is dropped, and they go on from θ there.
    ///
    /// # Errors
    /// Where the model is another.
    pub fn drop_failed(&mut self) -> Result<(), RoundError> {
        if !(self.is_due() || self.is_formed()) || self.early {
            return Ok(());
        }
        self.mix(0.0)?;
        let ranges: Vec<_> = self.ranges().collect();
        for own in self.workers.iter_mut().filter(|own| !own.missed.is_empty()) {
            ranges.iter().for_each(|range| own.missed.clear_range(range.clone()));
        }
        Ok(())
    }

    /// Δ_i of the next fragment.
    fn gradient(&self, delta: &Vector) -> Gradient {
        let part = &self.parts[self.next];
        let still = |p: &backburn_compress::Parameter| delta.as_slice()[p.range.clone()].iter().all(|d| *d == 0.0);
        let silent = |(i, p): &(usize, &backburn_compress::Parameter)| {
            part.binary_search(i).is_err() || !p.range.is_empty() && still(p)
        };
        let missing = self.group.layout().parameters().iter().enumerate().filter(silent).map(|(i, _)| i).collect();
        Gradient { vector: delta.clone(), missing }
    }

    /// Whether the next step begins with a round, since that of the last steps failed.
    pub fn is_due(&self) -> bool {
        self.done >= self.spacing
    }

    /// Whether a fragment waits to be exchanged while workers step.
    fn is_formed(&self) -> bool {
        !self.early && self.fragments.delay() > 0 && self.done + self.fragments.delay() >= self.spacing
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
        snapshot.numbers.insert(NEXT.into(), self.next as u64);
        snapshot.numbers.insert(EARLY.into(), self.early.into());
        if let Some(heard) = &self.heard {
            snapshot.texts.insert(HEARD.into(), serde_json::to_string(heard).expect("numbers"));
        }
        let first = self.group.cluster().seats().start;
        for (i, own) in self.workers.iter().enumerate() {
            let prefix = format!("{LOCAL}{}.", first + i);
            if self.done > 0 || self.parts.len() > 1 {
                let x = self.group.parameters(&own.replica)?;
                snapshot.vectors.insert(format!("{prefix}x"), x.into_vec());
            }
            snapshot.vectors.insert(format!("{prefix}missed"), own.missed.as_slice().to_vec());
            optimizer_state::save(&own.optim, &own.replica, &format!("{prefix}optimizer."), &mut snapshot)?;
        }
        Ok(snapshot)
    }

    /// Goes on from a snapshot. With another number of workers, which only a snapshot of the end of a round of the whole
    /// model can be gone on with, those who join begin without moments.
    ///
    /// # Errors
    /// Where the snapshot is of another model, method or optimizer, or cannot be re-divided. Nothing has changed then.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let damaged = |name: &str, why: String| SnapshotError::Damaged { name: name.into(), why };
        let (done, next, early) =
            (snapshot.number(DONE)?, snapshot.number(NEXT)? as usize, snapshot.number(EARLY)? > 0);
        let heard = snapshot.texts.get(HEARD).map(|text| serde_json::from_str(text)).transpose();
        let heard = heard.map_err(|error| damaged(HEARD, error.to_string()))?;
        if next >= self.parts.len() {
            return Err(damaged(NEXT, format!("there are {} fragments, and {next} is none", self.parts.len())));
        }
        let saved = snapshot.number("cluster.workers")?;
        let apart = done > 0 || self.parts.len() > 1;
        if apart && saved != self.group.workers() as u64 {
            return Err(SnapshotError::Indivisible(format!("{LOCAL}0.x")));
        }
        // The group comes last: it changes nothing where it refuses.
        let group = &self.group;
        let model = model_state::load(self.model.clone(), snapshot)?;
        let mut workers = Vec::with_capacity(self.workers.len());
        for worker in group.cluster().seats() {
            let mut own = Worker::new(&model, &self.inner);
            let prefix = format!("{LOCAL}{worker}.");
            if (worker as u64) < saved {
                if apart {
                    own.replica = group.with_parameters(own.replica, snapshot.vector(&format!("{prefix}x"))?)?;
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
        (self.workers, self.done, self.next, self.early, self.heard) = (workers, done, next, early, heard);
        Ok(())
    }
}

const DONE: &str = "local.done";
const NEXT: &str = "local.fragment";
const EARLY: &str = "local.early";
const HEARD: &str = "local.heard";
