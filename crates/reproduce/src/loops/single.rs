//! One worker that trains a model on a flat vector, for the experiments that look at its gradient.

use backburn_compress::Scope;
use backburn_optim::{Cluster, Given, Gradient, Places, Snapshot, SnapshotError};
use backburn_train::data::{Cursor, Draw, Sampler};
use backburn_train::session::{Keeps, Stepped, Trains};
use burn::module::Module;

use crate::error::ReproduceError;
use crate::problems::flat::Flat;
use crate::record::Curve;

/// A model, its only worker, its data's order, and how its gradient is found.
pub(crate) struct Single<'a, M, S> {
    model: M,
    places: Places,
    flat: Flat,
    sampler: Sampler,
    /// Where the data was before the last step.
    before: Cursor,
    gradient: Looking<'a, M, S>,
    seen: Option<S>,
}

/// What a gradient is computed from.
pub(crate) struct Look<'b, M> {
    pub model: &'b M,
    pub places: &'b Places,
    pub cluster: &'b mut Cluster,
    pub draw: Draw,
    pub step: u64,
    pub lr: f64,
}

/// A gradient, the loss it is of, and what else was seen there.
pub(crate) struct Found<S> {
    pub loss: f64,
    pub gradient: Gradient,
    pub seen: S,
}

type Looking<'a, M, S> = Box<dyn FnMut(Look<'_, M>) -> Result<Found<S>, ReproduceError> + 'a>;

impl<'a, M: Module, S> Single<'a, M, S> {
    /// A worker with all of so many examples.
    pub fn new(
        model: M,
        curve: &Curve,
        scope: Scope,
        examples: usize,
        seed: u64,
        gradient: impl FnMut(Look<'_, M>) -> Result<Found<S>, ReproduceError> + 'a,
    ) -> Result<Self, ReproduceError> {
        let (layout, places) = Places::new(&model, scope, 0)?;
        let x = places.read(&model)?;
        let flat = Flat::new(curve.algorithm.parse()?, curve.compressor.parse()?, layout, 1, seed, x)?;
        let sampler = Sampler::new((0..examples).collect(), curve.batch, seed, 0)?;
        let before = sampler.cursor();
        Ok(Self { model, places, flat, sampler, before, gradient: Box::new(gradient), seen: None })
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Coordinates of the model.
    pub fn dimension(&self) -> usize {
        self.flat.x.len()
    }

    /// What the last gradient's look saw.
    pub fn seen(&self) -> Option<&S> {
        self.seen.as_ref()
    }

    fn sampler_at(&self, cursor: Cursor) -> Result<Sampler, ReproduceError> {
        Ok(Sampler::resume(self.sampler.shard().to_vec(), self.sampler.batch_size(), cursor)?)
    }
}

impl<M: Module, S> Trains for Single<'_, M, S> {
    type Error = ReproduceError;

    fn step(&mut self, step: u64, lr: f64) -> Result<Stepped, ReproduceError> {
        self.before = self.sampler.cursor();
        let draw = self.sampler.next_draw();
        let (model, places, Flat { cluster, x }) = (&self.model, &self.places, &mut self.flat);
        let Found { loss, gradient, seen } = (self.gradient)(Look { model, places, cluster, draw, step, lr })?;
        let decided = cluster.round(lr, x, &mut Given::one(gradient))?;
        decided.apply(x);
        self.model = self.places.write(self.model.clone(), x.as_slice())?;
        self.seen = Some(seen);
        Ok(Stepped { loss, bytes: decided.traffic.per_worker() })
    }

    fn is_non_finite(error: &ReproduceError) -> bool {
        matches!(error, ReproduceError::Round(error) if error.is_divergence())
    }

    fn undo(&mut self, _: u64) {
        if let Ok(sampler) = self.sampler_at(self.before) {
            self.sampler = sampler;
        }
    }
}

impl<M: Module, S> Keeps for Single<'_, M, S> {
    fn snapshot(&mut self) -> Result<Snapshot, ReproduceError> {
        let mut snapshot = self.flat.snapshot();
        let cursor = serde_json::to_string(&self.sampler.cursor()).expect("a cursor is plain numbers");
        snapshot.texts.insert("data.cursor".into(), cursor);
        Ok(snapshot)
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), ReproduceError> {
        let damaged = |why: String| SnapshotError::Damaged { name: "checkpoint".into(), why };
        let cursor: Cursor = serde_json::from_str(snapshot.text("data.cursor")?).map_err(|e| damaged(e.to_string()))?;
        let sampler = self.sampler_at(cursor)?;
        self.flat.restore(snapshot)?;
        self.model = self.places.write(self.model.clone(), self.flat.x.as_slice())?;
        self.sampler = sampler;
        Ok(())
    }
}
