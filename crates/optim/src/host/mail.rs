//! Who exchanges the messages of a round.

use std::ops::Range;

use backburn_compress::{Layout, Message, message_bytes};

use crate::host::{RoundError, SetupError, Traffic, TransportError};

/// What all processes of a run must have in common, compared at the start.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// The model; its fingerprint is compared.
    pub layout: &'a Layout,
    /// The method with its arguments.
    pub method: String,
    /// The compressor with its arguments.
    pub compressor: String,
    /// The seed of all random streams.
    pub seed: u64,
    /// x_0; a hash of it is compared.
    pub x: &'a [f32],
    /// Why this process cannot take part, where it cannot: the others are told.
    pub refused: Option<String>,
}

/// Which workers a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    /// This process's workers.
    pub own: Range<usize>,
    /// n, over all processes.
    pub workers: usize,
}

/// When a message is sent: messages of another time are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// t, the steps taken so far.
    pub step: u64,
    /// The message round within the step.
    pub round: u32,
}

/// What one worker sends in one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// What it says.
    pub message: Message,
    /// The message's bytes on the wire.
    pub bytes: u64,
    /// The units of which it says nothing, since it had no gradient there; ascending.
    pub silent: Vec<u32>,
    /// Of one from another process: no number in it is larger.
    pub(crate) bound: f64,
}

impl Letter {
    /// A message, weighed.
    pub fn new(message: Message, silent: Vec<u32>) -> Self {
        Self { bytes: message_bytes(&message), message, silent, bound: 0.0 }
    }
}

/// What has come of a round's letters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// A place a worker of all n: `None` where it is absent, or its letter lost. Where there is a mean, letters need not
    /// hold their messages.
    pub letters: Vec<Option<Letter>>,
    /// The mean of the messages, place by place, where it was taken on the way.
    pub mean: Option<Message>,
}

impl From<Vec<Option<Letter>>> for Heard {
    fn from(letters: Vec<Option<Letter>>) -> Self {
        Self { letters, mean: None }
    }
}

/// Exchanges the messages of a round, and asks whether all can go on. All processes call the same operations
/// in the same order; what a mail may lose, delay or send while others still compute is its own affair.
///
/// A mail in which a worker has fallen silent, around another:
///
/// ```
/// use backburn_optim::{At, InProcess, Letter, Mail, RoundError, Seats, SetupError, Terms, TransportError};
///
/// struct Without(usize, InProcess);
///
/// impl Mail for Without {
///     fn meet(&mut self, terms: &Terms<'_>) -> Result<Seats, SetupError> { self.1.meet(terms) }
///     fn post(&mut self, at: At, worker: usize, letter: Letter) {
///         if worker != self.0 {
///             self.1.post(at, worker, letter);
///         }
///     }
///     fn collect(&mut self, at: At, from: &[usize]) -> Result<Vec<Option<Letter>>, RoundError> {
///         self.1.collect(at, from)
///     }
/// }
///
/// # use backburn_compress::{Layout, Vector};
/// # use backburn_optim::{Ask, Cluster, Reply};
/// let mail = Without(1, InProcess::new(2));
/// let mut x = Vector::zeros(2);
/// let mut cluster = Cluster::over("sgd".parse()?, "identity".parse()?, Layout::flat(2)?, 7, x.as_slice(), mail)?;
/// let decided = cluster.round(1.0, &x, &mut |_, _: &Ask| Ok(Reply::gradient(vec![1.0, 1.0])))?;
/// decided.apply(&mut x);
/// assert_eq!(x.as_slice(), [-0.5, -0.5]); // an absent worker counts as zero, never as a smaller n
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Mail {
    /// Compares what all processes must have in common, and says which workers this one has. Called once.
    ///
    /// # Errors
    /// [`SetupError::Differs`] where processes differ, on all of them; [`SetupError::Transport`].
    fn meet(&mut self, terms: &Terms<'_>) -> Result<Seats, SetupError>;

    /// Takes one of this process's workers' letter for this round; called in the order of the workers, and not
    /// for absent ones. A mail may send it at once, while others are still at work.
    fn post(&mut self, at: At, worker: usize, letter: Letter);

    /// The letters of this round, a place a worker of all n: `None` where a worker is absent, its letter lost,
    /// or it is not among those that this process listens to, `from`.
    ///
    /// # Errors
    /// Where the exchange failed, or brought what is not understood.
    fn collect(&mut self, at: At, from: &[usize]) -> Result<Vec<Option<Letter>>, RoundError>;

    /// As [`collect`](Self::collect) from all workers, for a method that [hears only the
    /// mean](crate::Algorithm::hears_mean): a mail may have it taken on the way, place by place as
    /// [`mean_of_place`](backburn_compress::mean_of_place) does, in the order of the workers, so that the bits stay.
    ///
    /// # Errors
    /// As there.
    fn collect_mean(&mut self, at: At, all: &[usize]) -> Result<Heard, RoundError> {
        Ok(self.collect(at, all)?.into())
    }

    /// What a step has sent in all, and the bytes of the uncompressed vector; the same in all processes. A mail may
    /// choose by it how the next step's messages travel.
    fn sent(&mut self, traffic: &Traffic, dense: f64) {
        let _ = (traffic, dense);
    }

    /// Whether all processes say yes.
    ///
    /// # Errors
    /// Where not all could be asked.
    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        Ok(yes)
    }

    /// The vote that begins a step: whether all say yes, and the workers that are not waited for and so are absent from it.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    fn muster(&mut self, yes: bool) -> Result<(bool, Vec<usize>), TransportError> {
        Ok((self.all(yes)?, Vec::new()))
    }

    /// Whether the step that comes has begun without this process.
    fn is_late(&mut self) -> bool {
        false
    }

    /// Called once some process has said no: the rank of the first that did, and why; `own` is this one's
    /// reason, where it is one of them.
    fn cause(&mut self, own: Option<&str>) -> Option<(usize, String)> {
        let _ = own;
        None
    }
}

impl<M: Mail + ?Sized> Mail for Box<M> {
    fn meet(&mut self, terms: &Terms<'_>) -> Result<Seats, SetupError> {
        (**self).meet(terms)
    }

    fn post(&mut self, at: At, worker: usize, letter: Letter) {
        (**self).post(at, worker, letter);
    }

    fn collect(&mut self, at: At, from: &[usize]) -> Result<Vec<Option<Letter>>, RoundError> {
        (**self).collect(at, from)
    }

    fn collect_mean(&mut self, at: At, all: &[usize]) -> Result<Heard, RoundError> {
        (**self).collect_mean(at, all)
    }

    fn sent(&mut self, traffic: &Traffic, dense: f64) {
        (**self).sent(traffic, dense);
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        (**self).all(yes)
    }

    fn muster(&mut self, yes: bool) -> Result<(bool, Vec<usize>), TransportError> {
        (**self).muster(yes)
    }

    fn is_late(&mut self) -> bool {
        (**self).is_late()
    }

    fn cause(&mut self, own: Option<&str>) -> Option<(usize, String)> {
        (**self).cause(own)
    }
}

/// Hands over the messages of workers that all live in this process: nothing is encoded or copied.
#[derive(Clone, Debug)]
pub struct InProcess {
    letters: Vec<Option<Letter>>,
}

impl InProcess {
    /// n workers.
    pub fn new(workers: usize) -> Self {
        Self { letters: vec![None; workers] }
    }
}

impl Mail for InProcess {
    fn meet(&mut self, _: &Terms<'_>) -> Result<Seats, SetupError> {
        let workers = self.letters.len();
        if workers == 0 { Err(SetupError::NoWorkers) } else { Ok(Seats { own: 0..workers, workers }) }
    }

    fn post(&mut self, _: At, worker: usize, letter: Letter) {
        self.letters[worker] = Some(letter);
    }

    fn collect(&mut self, _: At, _: &[usize]) -> Result<Vec<Option<Letter>>, RoundError> {
        let none = vec![None; self.letters.len()];
        Ok(std::mem::replace(&mut self.letters, none))
    }
}
