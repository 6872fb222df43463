//! One operation of all ranks: heads out and in, and the rest of long messages in chunks.

use std::sync::Arc;

use crate::calls::{Comm, Receiving, Sending};
use crate::error::MpiError;
use crate::head::{self, Operation};

pub(crate) const HEAD: i32 = 1;
const BODY: i32 = 2;

/// What has been sent and is awaited.
pub(crate) struct Exchange {
    number: u64,
    operation: Operation,
    chunk: usize,
    sending: Vec<Sending>,
    peers: Vec<Peer>,
}

/// A message as it is sent.
#[derive(Clone)]
pub(crate) struct Outgoing {
    head: Arc<[u8]>,
    rest: Arc<[u8]>,
}

impl Outgoing {
    pub fn new(number: u64, operation: Operation, message: &[u8]) -> Self {
        let head = head::write(number, operation, message).into();
        Self { head, rest: message[head::inlined(message.len())..].into() }
    }
}

/// What is awaited from one rank.
struct Peer {
    rank: usize,
    stage: Stage,
}

enum Stage {
    Head(Receiving),
    Body { len: usize, bytes: Vec<u8>, chunks: Vec<Receiving> },
    Done(Vec<u8>),
}

/// Why an exchange cannot go on.
pub(crate) enum Fault {
    Mpi(MpiError),
    /// What a rank sent does not belong here.
    Rank(usize, String),
}

impl From<MpiError> for Fault {
    fn from(error: MpiError) -> Self {
        Self::Mpi(error)
    }
}

impl Exchange {
    /// Posts all receives, from the ranks in `from`, then sends every peer its message. A message is cut into chunks of `chunk` bytes: MPI counts
    /// in 32 bits.
    pub fn begin(
        comm: &Comm,
        number: u64,
        operation: Operation,
        peers: &[(usize, Outgoing)],
        from: &[usize],
        chunk: usize,
    ) -> Result<Self, MpiError> {
        let listen =
            |rank: &usize| Ok(Peer { rank: *rank, stage: Stage::Head(comm.receive(Some(*rank), HEAD, head::MOST)?) });
        let mut exchange = Self { number, operation, chunk, sending: vec![], peers: vec![] };
        exchange.peers = from.iter().map(listen).collect::<Result<_, MpiError>>()?;
        for (rank, Outgoing { head, .. }) in peers {
            exchange.sending.push(comm.send(*rank, HEAD, head, 0..head.len())?);
        }
        let longest = peers.iter().map(|(_, outgoing)| outgoing.rest.len()).max().unwrap_or(0);
        for start in (0..longest).step_by(chunk) {
            for (rank, Outgoing { rest, .. }) in peers.iter().filter(|(_, outgoing)| start < outgoing.rest.len()) {
                exchange.sending.push(comm.send(*rank, BODY, rest, start..rest.len().min(start + chunk))?);
            }
        }
        Ok(exchange)
    }

    /// Goes on as far as it can without waiting; whether all is done.
    pub fn advance(&mut self, comm: &Comm) -> Result<bool, Fault> {
        let mut done = true;
        for peer in &mut self.peers {
            if let Stage::Head(receiving) = &mut peer.stage
                && let Some(bytes) = receiving.take()?
            {
                if head::is_past_muster(&bytes, self.number) {
                    peer.stage = Stage::Head(comm.receive(Some(peer.rank), HEAD, head::MOST)?);
                    done = false;
                    continue;
                }
                let read = head::read(&bytes, self.number, self.operation);
                let (len, first) = read.map_err(|why| Fault::Rank(peer.rank, why))?;
                let mut bytes = Vec::new();
                let room = bytes.try_reserve_exact(len);
                room.map_err(|_| Fault::Rank(peer.rank, format!("its message of {len} bytes finds no memory here")))?;
                bytes.extend_from_slice(first);
                let rest = len - first.len();
                let starts = (0..rest).step_by(self.chunk);
                let chunks = starts.map(|at| comm.receive(Some(peer.rank), BODY, self.chunk.min(rest - at)));
                peer.stage = Stage::Body { len, bytes, chunks: chunks.collect::<Result<_, _>>()? };
            }
            if let Stage::Body { len, bytes, chunks } = &mut peer.stage {
                while let Some(first) = chunks.first_mut() {
                    let Some(chunk) = first.take()? else { break };
                    bytes.extend_from_slice(&chunk);
                    chunks.remove(0);
                }
                if chunks.is_empty() {
                    if bytes.len() != *len {
                        return Err(Fault::Rank(peer.rank, "its message is cut off".into()));
                    }
                    peer.stage = Stage::Done(std::mem::take(bytes));
                }
            }
            done &= matches!(peer.stage, Stage::Done(_));
        }
        let mut left = Vec::new();
        for mut sending in self.sending.drain(..) {
            if !sending.is_done()? {
                left.push(sending);
            }
        }
        self.sending = left;
        Ok(done && self.sending.is_empty())
    }

    /// Which operation it is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What has not gone out yet, to go on by itself.
    pub fn take_sending(&mut self) -> Vec<Sending> {
        std::mem::take(&mut self.sending)
    }

    /// What has come so far.
    pub fn heard(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.peers.iter().filter_map(|peer| match &peer.stage {
            Stage::Done(bytes) => Some((peer.rank, bytes.as_slice())),
            _ => None,
        })
    }

    /// From whom something is awaited still; where nothing is, all that were sent to, who may not have taken it.
    pub fn pending(&self) -> Vec<usize> {
        let waits = |peer: &&Peer| !matches!(peer.stage, Stage::Done(_));
        let pending: Vec<usize> = self.peers.iter().filter(waits).map(|peer| peer.rank).collect();
        if pending.is_empty() { self.peers.iter().map(|peer| peer.rank).collect() } else { pending }
    }

    /// From whom nothing has come yet.
    pub fn silent(&self) -> Vec<usize> {
        self.peers.iter().filter(|peer| matches!(peer.stage, Stage::Head(_))).map(|peer| peer.rank).collect()
    }

    /// What came, in the order of the peers.
    pub fn finish(self) -> impl Iterator<Item = (usize, Vec<u8>)> {
        self.peers.into_iter().filter_map(|peer| match peer.stage {
            Stage::Done(bytes) => Some((peer.rank, bytes)),
            _ => None,
        })
    }
}
