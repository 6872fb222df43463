//! Machines of several processes that speak as one.

use crate::host::{Transport, TransportError};

/// Machines of so many processes each, as one process a machine to whoever uses it: the first of each speaks and hears
/// for all of it, and tells the others what it has heard. All processes of a machine must say the same, as those do that
/// have added up their gradients: the others' words are not listened to. A vote is everybody's.
///
/// ```
/// use backburn_optim::{Machines, Threads, Transport};
///
/// let heard: Vec<_> = std::thread::scope(|scope| {
///     let threads = Threads::links(4).into_iter().map(|link| {
///         let mut machine = Machines::new(link, 2);
///         scope.spawn(move || (machine.rank(), machine.exchange(&[machine.rank() as u8], &[0, 1]).unwrap()))
///     });
///     threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
/// });
/// assert_eq!(heard.iter().map(|(rank, _)| *rank).collect::<Vec<_>>(), [0, 0, 1, 1]);
/// assert!(heard.iter().all(|(_, heard)| *heard == [[0], [1]]));
/// ```
#[derive(Clone, Debug)]
pub struct Machines<T> {
    inner: T,
    processes: usize,
}

impl<T: Transport> Machines<T> {
    /// Machines of so many processes, in their order.
    ///
    /// # Panics
    /// Where these are none, or do not divide the processes of the transport.
    pub fn new(inner: T, processes: usize) -> Self {
        let size = inner.size();
        assert!(processes > 0 && size.is_multiple_of(processes), "{size} processes are no machines of {processes}");
        Self { inner, processes }
    }

    /// Whether this process is the one that speaks.
    pub fn leads(&self) -> bool {
        self.inner.rank().is_multiple_of(self.processes)
    }

    /// The processes of this machine.
    fn here(&self) -> Vec<usize> {
        let first = self.rank() * self.processes;
        (first..first + self.processes).collect()
    }

    /// What the leader of this machine has heard.
    fn tell(&mut self, heard: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, TransportError> {
        let mut bytes = Vec::new();
        for message in &heard {
            bytes.extend_from_slice(&(message.len() as u64).to_le_bytes());
            bytes.extend_from_slice(message);
        }
        let (leads, here) = (self.leads(), self.here());
        let told = self.inner.exchange(&bytes, &here)?;
        if leads {
            return Ok(heard);
        }
        let cut = || TransportError::new(format!("what rank {} tells its machine is cut off", here[0]));
        let mut rest = told.first().ok_or_else(cut)?.as_slice();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let (len, after) = rest.split_first_chunk().ok_or_else(cut)?;
            let (message, after) = after.split_at_checked(u64::from_le_bytes(*len) as usize).ok_or_else(cut)?;
            messages.push(message.to_vec());
            rest = after;
        }
        Ok(messages)
    }
}

impl<T: Transport> Transport for Machines<T> {
    fn rank(&self) -> usize {
        self.inner.rank() / self.processes
    }

    fn size(&self) -> usize {
        self.inner.size() / self.processes
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        let heard = if self.leads() {
            let from: Vec<usize> = from.iter().map(|machine| machine * self.processes).collect();
            self.inner.exchange(message, &from)?
        } else {
            self.inner.exchange(&[], &[])?
        };
        self.tell(heard)
    }

    fn all_to_all(&mut self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TransportError> {
        if messages.len() != self.size() {
            return Err(TransportError::new(format!("{} messages for {} machines", messages.len(), self.size())));
        }
        let mut all = vec![Vec::new(); self.inner.size()];
        if self.leads() {
            messages.iter().enumerate().for_each(|(machine, own)| all[machine * self.processes].clone_from(own));
        }
        let heard = self.inner.all_to_all(&all)?.into_iter().step_by(self.processes).collect();
        self.tell(heard)
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        self.inner.all(yes)
    }
}
