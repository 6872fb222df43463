//! Mails and transports on which things go wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use backburn_optim::{
    At, InProcess, Letter, Mail, RoundError, Seats, SetupError, Terms, Threads, Transport, TransportError,
};

/// Loses what it is told to, by message round and worker.
#[derive(Clone, Debug)]
pub struct LossyMail {
    inner: InProcess,
    pub lost: BTreeSet<(u32, usize)>,
}

impl LossyMail {
    pub fn new(workers: usize) -> Self {
        Self { inner: InProcess::new(workers), lost: BTreeSet::new() }
    }
}

impl Mail for LossyMail {
    fn meet(&mut self, terms: &Terms<'_>) -> Result<Seats, SetupError> {
        self.inner.meet(terms)
    }

    fn post(&mut self, at: At, worker: usize, letter: Letter) {
        if !self.lost.contains(&(at.round, worker)) {
            self.inner.post(at, worker, letter);
        }
    }

    fn collect(&mut self, at: At, from: &[usize]) -> Result<Vec<Option<Letter>>, RoundError> {
        self.inner.collect(at, from)
    }
}

/// What becomes of the bytes that a rank receives.
#[derive(Clone, Debug, PartialEq)]
pub enum Trick {
    None,
    /// Fewer or more messages than peers.
    Truncate(usize),
    Repeat,
    /// What this peer sent in the exchange before.
    Stale(usize),
    /// One peer's bytes as another's.
    Swap(usize, usize),
    /// A bit of this peer's bytes, counted from the end.
    Flip(usize, usize),
    /// Noise instead of this peer's bytes.
    Noise(usize),
    /// The link fails for good.
    Dead,
    /// Every exchange takes as long.
    Slow(Duration),
}

/// Threads with a slow link, or one that tampers with the k-th exchange.
pub struct Tampered {
    inner: Threads,
    trick: Trick,
    at: usize,
    exchanges: usize,
    before: Vec<Vec<u8>>,
}

impl Tampered {
    pub fn new(inner: Threads, trick: Trick, at: usize) -> Self {
        Self { inner, trick, at, exchanges: 0, before: Vec::new() }
    }
}

impl Transport for Tampered {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        if let Trick::Slow(delay) = self.trick {
            std::thread::sleep(delay);
        }
        let now = self.exchanges;
        self.exchanges += 1;
        if self.trick == Trick::Dead && now >= self.at {
            return Err(TransportError::new(std::io::Error::other("the cable is cut")));
        }
        let mut heard = self.inner.exchange(message, from)?;
        let before = std::mem::replace(&mut self.before, heard.clone());
        if now == self.at {
            match &self.trick {
                Trick::None | Trick::Dead | Trick::Slow(_) => {}
                Trick::Truncate(count) => heard.truncate(*count),
                Trick::Repeat => heard.push(heard[0].clone()),
                Trick::Stale(peer) => heard[*peer].clone_from(&before[*peer]),
                Trick::Swap(a, b) => heard.swap(*a, *b),
                Trick::Flip(peer, place) => {
                    let len = heard[*peer].len();
                    heard[*peer][len - 1 - place] ^= 0x10;
                }
                Trick::Noise(peer) => heard[*peer] = (0..99).collect(),
            }
        }
        Ok(heard)
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        if self.trick == Trick::Dead && self.exchanges > self.at {
            return Err(TransportError::new(std::io::Error::other("the cable is cut")));
        }
        self.inner.all(yes)
    }
}
