//! Names of random draws.

use crate::random::Stream;

/// Which way the message travels for which a draw is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a worker.
    #[default]
    Up,
    /// From the server, or from whoever aggregates.
    Down,
}

/// The name of one draw: every draw of the project is a pure function of such a key and a
/// counter, so that runs repeat, resume and agree between machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The run's seed.
    pub seed: u64,
    /// The step of training.
    pub step: u64,
    /// The unit's key, see [`Unit::key`](crate::Unit::key).
    pub unit: u64,
    /// The worker, or `None` where all workers must draw the same.
    pub worker: Option<u32>,
    /// The direction of the message.
    pub direction: Direction,
    /// The message round within the step, and the repetition within a message.
    pub round: u32,
    /// What the draw is for.
    pub stream: Stream,
}

impl Key {
    /// The key of step 0 of a run with this seed; other fields are set with struct update syntax.
    pub fn new(seed: u64) -> Self {
        Self { seed, step: 0, unit: 0, worker: None, direction: Direction::Up, round: 0, stream: Stream::COMPRESSOR }
    }

    /// The same key for the given unit.
    pub fn unit(self, unit: u64) -> Self {
        Self { unit, ..self }
    }

    /// The same key for the given round.
    pub fn round(self, round: u32) -> Self {
        Self { round, ..self }
    }

    /// The same key for the given stream.
    pub fn stream(self, stream: Stream) -> Self {
        Self { stream, ..self }
    }

    /// The same key with one draw for all workers.
    pub fn shared(self) -> Self {
        Self { worker: None, ..self }
    }

    /// All fields mixed into the 64 bits that seed a [`Philox`](crate::random::Philox) stream.
    ///
    /// The mixing is part of the format: random-k sends this number instead of its indices.
    pub fn draw(&self) -> u64 {
        let worker = self.worker.map_or(0, |w| u64::from(w) + 1);
        let direction = u64::from(self.direction == Direction::Down);
        let place = u64::from(self.round) << 32 | u64::from(self.stream.number());
        [self.step, self.unit, worker << 1 | direction, place]
            .into_iter()
            .fold(mix(self.seed), |h, field| mix(h ^ field.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) after its golden-ratio increment.
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// FNV-1a over the bytes, finished by [`mix`]: the key of a parameter's path.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let h = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    mix(h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_changes_the_draw() {
        let base = Key::new(1);
        let others = [
            Key { seed: 2, ..base },
            Key { step: 1, ..base },
            Key { unit: 1, ..base },
            Key { worker: Some(0), ..base },
            Key { worker: Some(1), ..base },
            Key { direction: Direction::Down, ..base },
            Key { round: 1, ..base },
            Key { stream: Stream::VALUES, ..base },
        ];
        let mut draws: Vec<u64> = others.iter().chain([&base]).map(Key::draw).collect();
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 9);
    }

    #[test]
    fn draws_are_stable() {
        // Checkpoints and messages of earlier versions rely on these.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf); // SplitMix64's published first output
    }
}
