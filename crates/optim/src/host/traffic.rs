//! Bytes, counted from the messages themselves.

use std::iter::Sum;
use std::ops::{AddAssign, Range};

use serde::{Deserialize, Serialize};

/// What one worker sent and received, in bytes of encoded messages, headers included: whole ones, or the mean over
/// several workers as `Bytes<f64>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes<T = u64> {
    /// Its own messages; 0 where it was absent.
    pub up: T,
    /// The encoded aggregates from a server; under gossip its neighbours' messages.
    pub down: T,
}

impl Bytes<f64> {
    /// In units of 10⁶ bytes.
    pub fn megabytes(self) -> Self {
        Self { up: self.up / 1e6, down: self.down / 1e6 }
    }
}

impl<T: AddAssign> AddAssign for Bytes<T> {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.down += other.down;
    }
}

impl<T: AddAssign + Default> Sum for Bytes<T> {
    fn sum<I: Iterator<Item = Self>>(bytes: I) -> Self {
        bytes.fold(Self::default(), |mut sum, b| {
            sum += b;
            sum
        })
    }
}

/// What one step sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Each worker's bytes, with a server. Under gossip between processes, 0 of those it does not hear.
    pub workers: Vec<Bytes>,
    /// What each worker received without a server: the others' messages (all-gather), under gossip its
    /// neighbours' alone.
    pub gathered: Vec<u64>,
    /// What each worker sent without a server: its own messages, once to everybody that hears them.
    pub sent: Vec<u64>,
    /// Whether only neighbours heard each other.
    pub gossip: bool,
    /// Message rounds.
    pub rounds: u32,
    /// Whose bytes this process knows in full.
    known: Range<usize>,
}

impl Traffic {
    /// Nothing sent by n workers, of whom the traffic of `known` will be counted in full.
    pub(crate) fn new(n: usize, known: Range<usize>, gossip: bool) -> Self {
        let (workers, gathered, sent) = (vec![Bytes::default(); n], vec![0; n], vec![0; n]);
        Self { workers, gathered, sent, gossip, rounds: 0, known }
    }

    /// What all workers sent, from what each process knows in full; `None` where they do not know of all.
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut all = parts.next()?;
        for part in parts {
            let Range { start, end } = part.known.clone();
            if start > all.known.end || end > all.workers.len().min(part.workers.len()) {
                return None;
            }
            all.workers[start..end].copy_from_slice(&part.workers[start..end]);
            all.gathered[start..end].copy_from_slice(part.gathered.get(start..end)?);
            all.sent[start..end].copy_from_slice(part.sent.get(start..end)?);
            all.known.end = all.known.end.max(end);
        }
        (all.known == (0..all.workers.len())).then_some(all)
    }

    /// The sum over the workers.
    pub fn total(&self) -> Bytes {
        self.workers.iter().copied().sum()
    }

    /// The mean over the workers.
    pub fn per_worker(&self) -> Bytes<f64> {
        Bytes { up: self.mean(|w| self.workers[w].up), down: self.mean(|w| self.workers[w].down) }
    }

    /// The mean over the workers of the bytes each received without a server.
    pub fn gathered_per_worker(&self) -> f64 {
        self.mean(|w| self.gathered[w])
    }

    /// Under gossip between processes, over those of this one.
    fn mean(&self, of: impl Fn(usize) -> u64) -> f64 {
        self.known.clone().map(of).sum::<u64>() as f64 / self.known.len().max(1) as f64
    }
}
