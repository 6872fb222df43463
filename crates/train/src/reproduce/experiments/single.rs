//! The loop of the experiments that look at a model's gradient: one worker, on a flat vector.

use std::time::Instant;

use backburn_compress::Scope;
use backburn_optim::module::Places;
use backburn_optim::{Buf, Cluster, Given, RoundError, Snapshot};
use burn::module::Module;
use burn::optim::GradientsParams;

use super::cifar::{CHECKPOINT, DOWN, Ending, UP};
use super::sums::Sums;
use crate::data::{Cursor, Draw, Sampler};
use crate::reproduce::{Curve, Recorder, ReproduceError};

/// A model, its only worker, its data's order, and what was added up.
pub(super) struct Single<M> {
    pub model: M,
    pub places: Places,
    pub cluster: Cluster,
    pub sums: Sums,
    x: Buf,
    sampler: Sampler,
    step: u64,
}

impl<M: Module> Single<M> {
    /// A worker with all of so many examples.
    pub fn new(model: M, curve: &Curve, scope: Scope, examples: usize, seed: u64) -> Result<Self, ReproduceError> {
        let (layout, places) = Places::new(&model, scope, 0)?;
        let x = places.read(&model);
        let cluster = Cluster::new(curve.algorithm.parse()?, curve.compressor.parse()?, layout, 1, seed, &x)?;
        let sampler = Sampler::new((0..examples).collect(), curve.batch, seed, 0)?;
        Ok(Self { model, places, cluster, sums: Sums::default(), x, sampler, step: 0 })
    }

    /// The next examples.
    pub fn draw(&mut self) -> Draw {
        self.sampler.next_draw()
    }

    /// The gradient as a flat vector.
    pub fn flatten(&self, grads: GradientsParams) -> Buf {
        self.places.flatten(&self.model, grads)
    }

    /// Moves the model by what is sent of a gradient.
    pub fn follow(&mut self, lr: f64, g: Buf) -> Result<Ending, ReproduceError> {
        let decided = match self.cluster.round(lr, &self.x, &mut Given(vec![Some(g)])) {
            Ok(decided) => decided,
            Err(RoundError::NonFinite { .. }) => return Ok(Ending::Diverged),
            Err(error) => return Err(error.into()),
        };
        self.sums.add(UP, decided.traffic.up_per_worker() / 1e6);
        self.sums.add(DOWN, decided.traffic.down_per_worker() / 1e6);
        self.cluster.apply(&decided.moved, lr, &mut self.x);
        self.model = self.places.write(self.model.clone(), &self.x);
        Ok(Ending::Whole)
    }

    /// Records what was sent so far.
    pub fn record_bytes(&self, x: f64, out: &mut Recorder<'_>) {
        [UP, DOWN].iter().for_each(|name| out.record(name, x, self.sums.get(name).unwrap_or(0.0)));
    }

    /// Runs `body` for each step, from the checkpoint where there is one, until it says that the curve
    /// has diverged. Gives the number of steps that were taken.
    pub fn run(
        &mut self,
        steps: u64,
        out: &mut Recorder<'_>,
        mut body: impl FnMut(&mut Self, u64, &mut Recorder<'_>) -> Result<Ending, ReproduceError>,
    ) -> Result<u64, ReproduceError> {
        if let Some(snapshot) = out.load("checkpoint")? {
            self.restore(&snapshot)?;
        }
        let mut saved = Instant::now();
        while self.step < steps {
            if let Err(stopped) = out.tick(self.step, steps) {
                out.save("checkpoint", self.snapshot())?;
                return Err(stopped);
            }
            if body(self, self.step, out)? == Ending::Diverged {
                break;
            }
            self.step += 1;
            if saved.elapsed() > CHECKPOINT {
                out.save("checkpoint", self.snapshot())?;
                saved = Instant::now();
            }
        }
        Ok(self.step)
    }

    fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.cluster.save_into(&mut snapshot);
        self.sums.save_into(&mut snapshot);
        snapshot.vectors.insert("x".into(), self.x.clone());
        snapshot.numbers.insert("step".into(), self.step);
        let cursor = serde_json::to_string(&self.sampler.cursor()).expect("a cursor is plain numbers");
        snapshot.texts.insert("data.cursor".into(), cursor);
        snapshot
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), ReproduceError> {
        let damaged = |why: String| backburn_optim::SnapshotError::Damaged { name: "checkpoint".into(), why };
        let x = snapshot.vector("x")?;
        if x.len() != self.x.len() {
            return Err(damaged(format!("it has {} coordinates, the model {}", x.len(), self.x.len())).into());
        }
        let cursor: Cursor = serde_json::from_str(snapshot.text("data.cursor")?).map_err(|e| damaged(e.to_string()))?;
        self.sampler = Sampler::resume(self.sampler.shard().to_vec(), self.sampler.batch_size(), cursor)?;
        self.cluster.load_from(snapshot)?;
        self.x = x.to_vec();
        self.model = self.places.write(self.model.clone(), &self.x);
        self.sums = Sums::load_from(snapshot);
        self.step = snapshot.number("step")?;
        Ok(())
    }
}
