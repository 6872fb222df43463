//! Bytes, counted from the messages themselves.

use serde::{Deserialize, Serialize};

/// What one step sent, in bytes of encoded messages, headers included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Each worker's own messages; 0 where it was absent.
    pub up: Vec<u64>,
    /// To each worker from a server: the encoded aggregates. Under gossip the neighbours' messages.
    pub down: Vec<u64>,
    /// To each worker without a server: the others' messages (all-gather). Under gossip the
    /// neighbours' alone.
    pub gathered: Vec<u64>,
    /// Message rounds.
    pub rounds: u32,
}

impl Traffic {
    /// Nothing sent, for n workers.
    pub fn new(n: usize) -> Self {
        Self { up: vec![0; n], down: vec![0; n], gathered: vec![0; n], rounds: 0 }
    }

    /// The mean over the workers of the bytes each sent.
    pub fn up_per_worker(&self) -> f64 {
        mean(&self.up)
    }

    /// The mean over the workers of the bytes each received from a server.
    pub fn down_per_worker(&self) -> f64 {
        mean(&self.down)
    }
}

fn mean(bytes: &[u64]) -> f64 {
    bytes.iter().sum::<u64>() as f64 / bytes.len().max(1) as f64
}
