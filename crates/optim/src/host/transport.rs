//! Bytes between processes.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Why bytes did not get from one process to another; keeps its source.
#[derive(Clone, Debug)]
pub struct TransportError(Arc<dyn Error + Send + Sync>);

impl TransportError {
    /// What went wrong: any error, or a sentence.
    pub fn new(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(why.into().into())
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the transport between processes failed: {}", self.0)
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Two of one text are one.
impl PartialEq for TransportError {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

/// Carries bytes between the processes of a run: MPI, sockets, channels. All processes call the same
/// operations in the same order, as with MPI's collectives; [`Encoded`](crate::Encoded) sends messages over it.
///
/// Over MPI, `exchange` is `MPI_Allgather` of the lengths and `MPI_Allgatherv` of the bytes (or the like with
/// neighbours alone), and `all` an `MPI_Allreduce` with a logical and. A process by itself:
///
/// ```
/// use backburn_optim::{Transport, TransportError};
///
/// struct Alone;
///
/// impl Transport for Alone {
///     fn rank(&self) -> usize { 0 }
///     fn size(&self) -> usize { 1 }
///     fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
///         match from {
///             [] => Ok(vec![]),
///             [0] => Ok(vec![message.to_vec()]),
///             other => Err(TransportError::new(format!("there are no ranks {other:?}"))),
///         }
///     }
///     fn all(&mut self, yes: bool) -> Result<bool, TransportError> { Ok(yes) }
/// }
///
/// assert_eq!(Alone.exchange(b"hello", &[0])?, [b"hello"]);
/// # Ok::<(), TransportError>(())
/// ```
pub trait Transport {
    /// This process, 0 … size − 1.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Sends `message` to every process that listens to this one, and gives what `from` sent, in that order:
    /// this process's own bytes where it is among them. Who listens to whom is symmetric, so that sending to
    /// `from` does; sending to everybody does too.
    ///
    /// # Errors
    /// Where bytes were lost. Whatever comes back is checked: the transport need not.
    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError>;

    /// Sends every process a message of its own, and gives what each has sent to this one, in their order; what this one
    /// says to itself comes back. Unless it is written for a transport, all hear everything and take their own.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange), and where there is not one message a process.
    fn all_to_all(&mut self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TransportError> {
        let (rank, size) = (self.rank(), self.size());
        if messages.len() != size {
            return Err(TransportError::new(format!("{} messages for {size} processes", messages.len())));
        }
        let mut bytes: Vec<u8> = messages.iter().flat_map(|message| (message.len() as u64).to_le_bytes()).collect();
        messages.iter().for_each(|message| bytes.extend_from_slice(message));
        let all: Vec<usize> = (0..size).collect();
        let heard = self.exchange(&bytes, &all)?;
        let own = |(from, bytes): (usize, Vec<u8>)| {
            let cut = || TransportError::new(format!("what rank {from} says is cut off"));
            let (lengths, rest) = bytes.split_at_checked(8 * size).ok_or_else(cut)?;
            let lengths: Vec<usize> =
                lengths.as_chunks().0.iter().map(|len| u64::from_le_bytes(*len) as usize).collect();
            let start = lengths[..rank].iter().try_fold(0usize, |sum, len| sum.checked_add(*len)).ok_or_else(cut)?;
            let end = start.checked_add(lengths[rank]).ok_or_else(cut)?;
            Ok(rest.get(start..end).ok_or_else(cut)?.to_vec())
        };
        heard.into_iter().enumerate().map(own).collect()
    }

    /// Whether all processes say yes.
    ///
    /// # Errors
    /// Where not all could be asked.
    fn all(&mut self, yes: bool) -> Result<bool, TransportError>;

    /// The sum of all processes' numbers, added up in whatever order is fastest, the same in all of them; `None` from a
    /// transport that does not add.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange), and where lengths differ.
    fn sum(&mut self, numbers: Vec<f32>) -> Result<Option<Vec<f32>>, TransportError> {
        drop(numbers);
        Ok(None)
    }

    /// How many processes share a machine, where that is known, the same on every machine, and these are ranks in a row.
    fn machine(&self) -> Option<NonZeroUsize> {
        None
    }

    /// The vote that begins a step, in which a transport may refuse to wait for whoever is slow: whether all that voted in
    /// time say yes, and the ranks that did not. Until the next such vote, or until all [rejoin](Self::rejoin), these hear
    /// all that is exchanged and say nothing: what they would is empty.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    fn muster(&mut self, yes: bool) -> Result<(bool, Vec<usize>), TransportError> {
        Ok((self.all(yes)?, Vec::new()))
    }

    /// Whether the [muster](Self::muster) that comes is over without this process: then it need not compute what nobody
    /// will hear.
    fn is_late(&mut self) -> bool {
        false
    }

    /// From here on all take part again, and those that are slow are waited for. All processes call it together.
    fn rejoin(&mut self) {}
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn rank(&self) -> usize {
        (**self).rank()
    }

    fn size(&self) -> usize {
        (**self).size()
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        (**self).exchange(message, from)
    }

    fn all_to_all(&mut self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TransportError> {
        (**self).all_to_all(messages)
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        (**self).all(yes)
    }

    fn sum(&mut self, numbers: Vec<f32>) -> Result<Option<Vec<f32>>, TransportError> {
        (**self).sum(numbers)
    }

    fn machine(&self) -> Option<NonZeroUsize> {
        (**self).machine()
    }

    fn muster(&mut self, yes: bool) -> Result<(bool, Vec<usize>), TransportError> {
        (**self).muster(yes)
    }

    fn is_late(&mut self) -> bool {
        (**self).is_late()
    }

    fn rejoin(&mut self) {
        (**self).rejoin();
    }
}

/// Threads of one process that hand each other bytes: for tests, and for trying a run of n processes in one.
/// One that is dropped is an error to the others, never a wait without end.
///
/// ```
/// use backburn_optim::{Threads, Transport};
///
/// let [mut a, mut b] = Threads::pair();
/// let other = std::thread::spawn(move || b.exchange(b"from one", &[0, 1]).unwrap());
/// assert_eq!(a.exchange(b"from zero", &[1]).unwrap(), [b"from one"]);
/// assert_eq!(other.join().unwrap(), [b"from zero".to_vec(), b"from one".to_vec()]);
/// ```
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    to: Vec<Sender<Parcel>>,
    from: Vec<Receiver<Parcel>>,
}

#[derive(Clone, Debug)]
enum Parcel {
    Bytes(Arc<[u8]>),
    Vote(bool),
}

impl Threads {
    /// Two.
    pub fn pair() -> [Self; 2] {
        Self::links(2).try_into().expect("two were asked for")
    }

    /// n, each to be moved into a thread of its own.
    pub fn links(n: usize) -> Vec<Self> {
        let mut ends: Vec<Self> = (0..n).map(|rank| Self { rank, to: Vec::new(), from: Vec::new() }).collect();
        for sender in 0..n {
            for receiver in 0..n {
                let (to, from) = channel();
                ends[sender].to.push(to);
                ends[receiver].from.push(from);
            }
        }
        ends
    }

    /// Gives everybody a parcel and takes everybody's, so that no link falls behind.
    fn swap(&mut self, parcel: &Parcel) -> Vec<Option<Parcel>> {
        // One that has gone is noticed where its own parcel is missing.
        self.to.iter().for_each(|to| drop(to.send(parcel.clone())));
        self.from.iter().map(|from| from.recv().ok()).collect()
    }
}

fn gone(rank: usize) -> TransportError {
    TransportError::new(format!("rank {rank} has gone"))
}

impl Transport for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        let heard = self.swap(&Parcel::Bytes(message.into()));
        let of = |rank: &usize| match heard.get(*rank) {
            Some(Some(Parcel::Bytes(bytes))) => Ok(bytes.to_vec()),
            Some(Some(Parcel::Vote(_))) => Err(TransportError::new(format!("rank {rank} votes, and others exchange"))),
            Some(None) | None => Err(gone(*rank)),
        };
        from.iter().map(of).collect()
    }

    /// From the last to the first, so that nobody takes its bits for those of one process.
    fn sum(&mut self, numbers: Vec<f32>) -> Result<Option<Vec<f32>>, TransportError> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let all: Vec<usize> = (0..self.size()).collect();
        let mut sum = vec![0.0f32; numbers.len()];
        for (rank, theirs) in self.exchange(&bytes, &all)?.iter().enumerate().rev() {
            if theirs.len() != bytes.len() {
                return Err(TransportError::new(format!("rank {rank} adds up another number of numbers")));
            }
            let theirs = theirs.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x));
            sum.iter_mut().zip(theirs).for_each(|(sum, x)| *sum += x);
        }
        Ok(Some(sum))
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        let votes = self.swap(&Parcel::Vote(yes));
        let mut all = true;
        for (rank, vote) in votes.into_iter().enumerate() {
            match vote {
                Some(Parcel::Vote(vote)) => all &= vote,
                Some(Parcel::Bytes(_)) => {
                    return Err(TransportError::new(format!("rank {rank} exchanges, and others vote")));
                }
                None => return Err(gone(rank)),
            }
        }
        Ok(all)
    }
}
