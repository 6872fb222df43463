//! One worker's endless batches.

use backburn_compress::Philox;
use serde::{Deserialize, Serialize};

use super::draws::{Purpose, shuffle};

/// Where a [`Sampler`] is: all that a checkpoint has to keep of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The run's seed.
    pub seed: u64,
    /// The worker.
    pub worker: u32,
    /// Whole passes over the shard.
    pub epoch: u64,
    /// Examples drawn from this pass.
    pub offset: u64,
}

/// One batch: which examples, and the key of its augmentation
/// (for [`Images::batch`](crate::data::Images::batch)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Indices into the whole set.
    pub indices: Vec<usize>,
    /// A key no other batch of the run has.
    pub key: u64,
}

/// Why there is no such sampler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// Nothing to draw.
    #[error("worker {0} has no examples")]
    Empty(u32),
    /// A batch of nothing.
    #[error("the batch size must be at least 1")]
    NoBatch,
    /// A position beyond the shard's end.
    #[error("a sampler of {shard} examples cannot resume at {offset}: the data or the partition is another")]
    Beyond {
        /// Examples of the shard.
        shard: usize,
        /// The position.
        offset: u64,
    },
}

/// Draws batches of a fixed size from one worker's examples, endlessly.
///
/// Each pass over the shard has an order of its own, a function of seed, worker and pass. A batch
/// that reaches the end of a pass goes on in the next, so that none is short.
#[derive(Clone, Debug)]
pub struct Sampler {
    shard: Vec<usize>,
    order: Vec<usize>,
    batch: usize,
    cursor: Cursor,
}

impl Sampler {
    /// A sampler at the beginning of its first pass.
    ///
    /// # Errors
    /// Without examples, or with a batch size of 0.
    pub fn new(shard: Vec<usize>, batch: usize, seed: u64, worker: u32) -> Result<Self, SamplerError> {
        Self::resume(shard, batch, Cursor { seed, worker, epoch: 0, offset: 0 })
    }

    /// A sampler that goes on from `cursor`, with the very batches the other would have drawn.
    ///
    /// # Errors
    /// As [`new`](Self::new), and where the position is not one in this shard.
    pub fn resume(shard: Vec<usize>, batch: usize, cursor: Cursor) -> Result<Self, SamplerError> {
        if shard.is_empty() {
            return Err(SamplerError::Empty(cursor.worker));
        }
        if batch == 0 {
            return Err(SamplerError::NoBatch);
        }
        if cursor.offset >= shard.len() as u64 {
            return Err(SamplerError::Beyond { shard: shard.len(), offset: cursor.offset });
        }
        let order = order(&shard, cursor);
        Ok(Self { shard, order, batch, cursor })
    }

    /// The next batch.
    pub fn next_draw(&mut self) -> Draw {
        let first = self.cursor;
        let drawn = first.epoch.wrapping_mul(self.shard.len() as u64).wrapping_add(first.offset);
        let key = Purpose::Augment.key(first.seed, Some(first.worker), drawn);
        let mut indices = Vec::with_capacity(self.batch);
        while indices.len() < self.batch {
            let start = self.cursor.offset as usize;
            let end = self.order.len().min(start + self.batch - indices.len());
            indices.extend_from_slice(&self.order[start..end]);
            self.cursor.offset = end as u64;
            if end == self.order.len() {
                self.cursor = Cursor { epoch: self.cursor.epoch.wrapping_add(1), offset: 0, ..first };
                self.order = order(&self.shard, self.cursor);
            }
        }
        Draw { indices, key }
    }

    /// Where it is; [`resume`](Self::resume) goes on from there.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The worker's examples.
    pub fn shard(&self) -> &[usize] {
        &self.shard
    }

    /// Examples a batch.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// Passes over the shard so far, with the fraction of the current one.
    pub fn epochs(&self) -> f64 {
        self.cursor.epoch as f64 + self.cursor.offset as f64 / self.shard.len() as f64
    }
}

/// The shard in the order of this pass.
fn order(shard: &[usize], cursor: Cursor) -> Vec<usize> {
    let mut order = shard.to_vec();
    let key = Purpose::Shuffle.key(cursor.seed, Some(cursor.worker), cursor.epoch);
    shuffle(&mut order, &mut Philox::new(key));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler() -> Sampler {
        Sampler::new((100..110).collect(), 4, 7, 2).unwrap()
    }

    #[test]
    fn each_pass_covers_the_shard_in_an_order_of_its_own() {
        let mut sampler = sampler();
        let drawn: Vec<usize> = (0..5).flat_map(|_| sampler.next_draw().indices).collect();
        let (first, second) = drawn.split_at(10);
        for pass in [first, second] {
            let mut sorted = pass.to_vec();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(100..110));
        }
        assert_ne!(first, second);
        assert_eq!(sampler.cursor(), Cursor { seed: 7, worker: 2, epoch: 2, offset: 0 });
        assert_eq!(sampler.epochs(), 2.0);
    }

    #[test]
    fn resumes_exactly_at_every_batch() {
        let mut whole = sampler();
        for _ in 0..12 {
            let json = serde_json::to_string(&whole.cursor()).unwrap();
            let cursor = serde_json::from_str(&json).unwrap();
            let mut resumed = Sampler::resume((100..110).collect(), 4, cursor).unwrap();
            assert_eq!(resumed.next_draw(), whole.next_draw());
            assert_eq!(resumed.next_draw(), whole.clone().next_draw());
        }
    }

    #[test]
    fn batches_may_exceed_the_shard() {
        let mut sampler = Sampler::new(vec![1, 2, 3], 8, 7, 0).unwrap();
        let draw = sampler.next_draw();
        assert_eq!(draw.indices.len(), 8);
        assert_eq!((sampler.cursor().epoch, sampler.cursor().offset), (2, 2));
        (1..=3).for_each(|i| assert!(draw.indices.iter().filter(|j| **j == i).count() >= 2));
    }

    #[test]
    fn keys_and_orders_differ_between_batches_and_workers() {
        let mut keys = std::collections::HashSet::new();
        for worker in 0..3 {
            let mut sampler = Sampler::new((0..10).collect(), 3, 7, worker).unwrap();
            (0..40).for_each(|_| assert!(keys.insert(sampler.next_draw().key)));
        }
        let first = |worker| Sampler::new((0..10).collect(), 10, 7, worker).unwrap().next_draw().indices;
        assert_ne!(first(0), first(1));
    }

    #[test]
    fn nonsense_is_refused() {
        let at = |offset| Cursor { seed: 0, worker: 1, epoch: 0, offset };
        assert_eq!(Sampler::resume(vec![], 1, at(0)).unwrap_err(), SamplerError::Empty(1));
        assert_eq!(Sampler::resume(vec![1], 0, at(0)).unwrap_err(), SamplerError::NoBatch);
        assert!(matches!(Sampler::resume(vec![1], 1, at(1)).unwrap_err(), SamplerError::Beyond { .. }));
        // An epoch at the end of the numbers must not panic either.
        let last = Cursor { epoch: u64::MAX, ..at(0) };
        assert_eq!(Sampler::resume(vec![1], 3, last).unwrap().next_draw().indices, [1; 3]);
    }
}
