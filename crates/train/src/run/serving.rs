//! The run's side of a round: it computes what methods ask for.

use backburn_optim::{ModuleHost, RoundError};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;

use crate::data::{Draw, Examples, Sampler};
use crate::models::{Classifier, batch_norm};

/// Serves gradients and losses of one step. Within a step each worker's draws are the same,
/// however often it asks.
pub(super) struct Serving<'a> {
    examples: &'a Examples,
    shards: &'a [Vec<usize>],
    samplers: &'a mut [Sampler],
    augment: bool,
    device: &'a Device,
    /// The common batch statistics, restored before every forward pass.
    common: &'a [f32],
    /// This step's draws, made as they are asked for.
    draws: Vec<Vec<Draw>>,
    /// Each worker's mean loss of its first gradient.
    pub losses: Vec<Option<f64>>,
    /// Each worker's batch statistics after its first gradient.
    pub statistics: Vec<Option<Vec<f32>>>,
}

impl<'a> Serving<'a> {
    /// Of one step, in which nobody has drawn yet; a shard and a sampler a worker.
    pub fn new(
        examples: &'a Examples,
        shards: &'a [Vec<usize>],
        samplers: &'a mut [Sampler],
        augment: bool,
        device: &'a Device,
        common: &'a [f32],
    ) -> Self {
        let n = shards.len();
        let (draws, losses, statistics) = (vec![Vec::new(); n], vec![None; n], vec![None; n]);
        Self { examples, shards, samplers, augment, device, common, draws, losses, statistics }
    }
}

impl Serving<'_> {
    fn restored(&self, model: &Classifier) -> Result<Classifier, RoundError> {
        batch_norm::with_statistics(model.clone(), self.common).map_err(RoundError::host)
    }

    /// The mean gradient and mean loss over so many parts of equal weight.
    fn mean_gradient(&self, model: &Classifier, parts: &[(Vec<usize>, Option<u64>)]) -> (GradientsParams, f64) {
        let all: f64 = parts.iter().map(|(p, _)| p.len() as f64).sum();
        // A backward pass a part, so that no more than one part's activations are held.
        let mut total = GradientsAccumulator::new();
        let mut sum = 0.0;
        for (indices, key) in parts {
            let batch = self.examples.batch(indices, *key, self.device);
            let share = indices.len() as f64 / all;
            let loss = model.loss(batch.images, batch.targets).mul_scalar(share);
            sum += f64::from(loss.clone().into_scalar::<f32>());
            total.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
        }
        (total.grads(), sum)
    }
}

impl ModuleHost<Classifier> for Serving<'_> {
    fn gradient(&mut self, worker: usize, at: &Classifier, batches: usize) -> Result<GradientsParams, RoundError> {
        let model = self.restored(at)?;
        let key = |draw: &Draw| self.augment.then_some(draw.key);
        let parts: Vec<_> = if batches == 0 {
            self.shards[worker].chunks(self.examples.a_pass()).map(|c| (c.to_vec(), None)).collect()
        } else {
            while self.draws[worker].len() < batches {
                let draw = self.samplers[worker].next_draw();
                self.draws[worker].push(draw);
            }
            self.draws[worker][..batches].iter().map(|d| (d.indices.clone(), key(d))).collect()
        };
        let (grads, loss) = self.mean_gradient(&model, &parts);
        self.losses[worker].get_or_insert(loss);
        if !self.common.is_empty() && self.statistics[worker].is_none() {
            self.statistics[worker] = Some(batch_norm::statistics(&model));
        }
        Ok(grads)
    }

    fn loss(&mut self, worker: usize, at: &Classifier) -> Result<f64, RoundError> {
        use burn::module::Module;
        let model = self.restored(at)?.valid();
        let device = self.device.clone().inner();
        let shard = &self.shards[worker];
        let mut sum = 0.0;
        for indices in shard.chunks(self.examples.a_pass()) {
            let batch = self.examples.batch(indices, None, &device);
            let loss = model.loss(batch.images, batch.targets).into_scalar::<f32>();
            sum += f64::from(loss) * indices.len() as f64;
        }
        Ok(sum / shard.len() as f64)
    }
}
