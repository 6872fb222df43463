//! Messages that the network adds up on the way, where their numbers add up and somebody asks for it.

use backburn_compress::Message;

use crate::host::encoded::Encoded;
use crate::host::envelope::{Sealed, open_sum, seal_sum};
use crate::host::mail::{At, Heard, Letter};
use crate::host::{MailError, RoundError, Transport, careful};

/// What this process adds to the sum.
struct Addends {
    key: u64,
    bound: f64,
    numbers: Vec<f32>,
    like: Message,
}

impl Addends {
    /// Where all its workers speak of all units in numbers that add up.
    fn of(posted: &[Option<Letter>]) -> Option<Self> {
        let mut all: Option<Self> = None;
        for letter in posted {
            let message = &letter.as_ref().filter(|letter| letter.silent.is_empty())?.message;
            let (key, numbers) = (message.addends_key()?, message.addends()?);
            let bound = message.payloads.iter().map(|payload| careful::bound_of(payload)).fold(0.0, f64::max);
            match &mut all {
                None => all = Some(Self { key: key.max(1), bound, numbers, like: message.clone() }),
                Some(all) if all.key == key.max(1) => {
                    all.bound = all.bound.max(bound);
                    all.numbers.iter_mut().zip(numbers).for_each(|(sum, x)| *sum += x);
                }
                Some(_) => return None,
            }
        }
        all
    }
}

impl<T: Transport> Encoded<T> {
    /// Hears of everybody all but the numbers, has the network add these up, and makes their mean a message; `None` where
    /// somebody's do not add up, or the network does not add: then all gather.
    pub(super) fn collect_sum(&mut self, at: At) -> Result<Option<Heard>, RoundError> {
        let processes = self.met.processes.clone();
        let own = Addends::of(&self.posted);
        let (key, bound) = own.as_ref().map_or((0, 0.0), |own| (own.key, own.bound));
        let sealed = seal_sum(self.rank, at, &processes[self.rank], &self.posted, key, bound);
        let everybody: Vec<usize> = (0..processes.len()).collect();
        let heard = self.exchange(&sealed, &everybody)?;
        self.complete(&heard, processes.len())?;
        let workers = processes.last().map_or(0, |process| process.end);
        let mut letters: Vec<Option<Letter>> = vec![None; workers];
        let mut adds = true;
        for (rank, bytes) in heard.iter().enumerate() {
            let wrong = |source| RoundError::Mail { rank, source };
            let opened = open_sum(bytes, rank, at, &processes[rank], self.met.paths.len()).map_err(wrong)?;
            let (theirs, bound, sealed) = opened;
            adds &= theirs != 0;
            if key != 0 && theirs != 0 && theirs != key {
                return Err(wrong(MailError::Draw { path: self.met.path(0) }));
            }
            if !bound.is_finite() {
                return Err(wrong(MailError::NonFinite { path: self.met.path(0) }));
            }
            let letter = |sealed: Sealed<'_>| Letter {
                message: Message::new(),
                bytes: sealed.whole,
                silent: sealed.silent,
                bound,
            };
            for (worker, sealed) in processes[rank].clone().zip(sealed) {
                letters[worker] = sealed.map(letter);
            }
        }
        let Some(Addends { numbers, like, .. }) = own.filter(|_| adds) else { return Ok(None) };
        let bytes = 4 * numbers.len() as u64;
        let Some(mut sum) = self.transport.sum(numbers)? else { return Ok(None) };
        // As around a ring; what the network makes of it is its own affair.
        let (n, others) = (processes.len() as u64, processes.len() as u64 - 1);
        self.bytes.up += 2 * bytes * others / n;
        self.bytes.down += 2 * bytes * others / n;
        let over = workers as f32;
        sum.iter_mut().for_each(|x| *x /= over);
        let wrong = |source| RoundError::Mail { rank: self.rank, source };
        let mean =
            like.with_addends(&sum).ok_or(wrong(MailError::Envelope("the network's sum is of another length")))?;
        if let Some(place) = mean.payloads.iter().position(|payload| !payload.is_finite()) {
            return Err(wrong(MailError::NonFinite { path: self.met.path(place) }));
        }
        let first = processes[self.rank].start;
        for (i, posted) in std::mem::replace(&mut self.posted, vec![None; self.seats]).into_iter().enumerate() {
            letters[first + i] = posted;
        }
        Ok(Some(Heard { letters, mean: Some(mean) }))
    }
}
