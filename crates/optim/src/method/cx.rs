//! What a method knows of the round it is in.

use backburn_compress::{Compressor, Direction, Key, Layout, Memo, Message, Vector};

/// What a method knows of the round it is in.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'a> {
    /// The model's layout.
    pub layout: &'a Layout,
    /// The compressor.
    pub compressor: &'a dyn Compressor,
    /// n, the number of workers, absent ones included.
    pub workers: usize,
    /// In `reduce` and `advance`, how many of them have spoken in this round; otherwise n.
    pub present: usize,
    /// This worker, or the node that reduces.
    pub rank: usize,
    /// The run's seed.
    pub seed: u64,
    /// t, the steps taken so far.
    pub step: u64,
    /// The message round within the step.
    pub round: u32,
    /// γ_t.
    pub lr: f64,
    /// x_t; empty where the method does not [need](crate::Algorithm::needs_x) it.
    pub x: &'a Vector,
}

impl Cx<'_> {
    /// Names this worker's draws in this round.
    pub fn key(&self) -> Key {
        Key { step: self.step, worker: Some(self.rank as u32), round: self.round, ..Key::new(self.seed) }
    }

    /// Names the draws of whoever aggregates in this round, the same everywhere.
    pub fn key_down(&self) -> Key {
        Key { worker: None, direction: Direction::Down, ..self.key() }
    }

    /// C(x) unit by unit, with this worker's draws. `gain` is the unit that x stands in: γ where it is made of
    /// γg, 1 where of gradients; thresholds that are calibrated follow it.
    pub fn compress(&self, x: &Vector, gain: f64, memos: &mut [Memo]) -> Message {
        self.compress_as(&self.key(), x, gain, memos)
    }

    /// The same with the draws of whoever aggregates.
    pub fn compress_down(&self, x: &Vector, gain: f64, memos: &mut [Memo]) -> Message {
        self.compress_as(&self.key_down(), x, gain, memos)
    }

    fn compress_as(&self, key: &Key, x: &Vector, gain: f64, memos: &mut [Memo]) -> Message {
        backburn_compress::compress(self.compressor, x, gain, self.layout, key, memos)
    }

    /// What compressors remember before anything was compressed, one memo a unit.
    pub fn memos(&self) -> Vec<Memo> {
        vec![Memo::default(); self.layout.units().len()]
    }

    /// The same context in another round.
    pub fn at_round(self, round: u32) -> Self {
        Self { round, ..self }
    }
}
