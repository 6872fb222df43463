//! One of n processes.

use std::sync::Arc;

use backburn_compress::{
    AnyCompressor, Compressor, Layout, Message, WireError, decode_message, encode_message, message_bytes,
};

use crate::cluster::{Decided, Reply, check, check_x, down_bytes};
use crate::erased::Slot;
use crate::{AnyAlgorithm, Ask, Buf, Cx, Move, Next, RoundError, Seen, SetupError, Traffic};

/// Carries bytes between ranks: MPI, sockets, channels.
pub trait Transport {
    /// This process, 0 … size − 1.
    fn rank(&self) -> usize;
    /// n.
    fn size(&self) -> usize;
    /// Sends `message` to every rank that listens to this one and gives what `from` sent, in that
    /// order, this rank's own included where it is among them.
    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, String>;
    /// Whether all ranks say yes.
    fn all(&mut self, yes: bool) -> Result<bool, String>;
}

/// One of n processes, running the very code that [`Cluster`](crate::Cluster) runs, and giving the
/// same bits.
pub struct Rank {
    algorithm: AnyAlgorithm,
    compressor: Arc<dyn Compressor>,
    layout: Layout,
    seed: u64,
    step: u64,
    rank: usize,
    size: usize,
    local: Slot,
    shared: Slot,
    node: Option<Buf>,
}

impl Rank {
    /// This process's worker, starting at `x`, which must be the same in all processes.
    pub fn new(
        algorithm: AnyAlgorithm,
        compressor: AnyCompressor,
        layout: Layout,
        seed: u64,
        x: &[f32],
        transport: &impl Transport,
    ) -> Result<Self, SetupError> {
        let (rank, size) = (transport.rank(), transport.size());
        if size == 0 {
            return Err(SetupError::NoWorkers);
        }
        let compressor = algorithm.0.take(compressor)?;
        let cx =
            Cx { layout: &layout, compressor: &*compressor, workers: size, rank, seed, step: 0, round: 0, lr: 0.0, x };
        let (local, shared) = (algorithm.0.new_local(&cx), algorithm.0.new_shared(&cx));
        let node = algorithm.is_gossip().then(|| x.to_vec());
        Ok(Self { algorithm, compressor, layout, seed, step: 0, rank, size, local, shared, node })
    }

    /// This node's own x, under gossip.
    pub fn node(&self) -> Option<&Buf> {
        self.node.as_ref()
    }

    /// One step, as [`Cluster::round`](crate::Cluster::round); all ranks must call it together.
    /// Where one rank cannot go on, all get an error and nothing counts as applied.
    pub fn round(
        &mut self,
        lr: f64,
        x: &[f32],
        mut host: impl FnMut(&Ask) -> Result<Reply, RoundError>,
        transport: &mut impl Transport,
    ) -> Result<Decided, RoundError> {
        let algorithm = self.algorithm.0.clone();
        let mut traffic = Traffic::new(self.size);
        let seen = self.serve(&self.local, lr, x, &[], &mut host);
        // Nothing is written until all ranks have a finite gradient.
        let seen = agree(seen, transport, 0, self.rank)?;
        // Taken out rather than copied: they are as long as the model.
        let mut local = std::mem::replace(&mut self.local, Slot::empty());
        let mut message = algorithm.begin(&mut local, &self.shared, seen, &self.cx(lr, x, 0));
        let mut said: Vec<Message> = Vec::new();
        let peers = algorithm.peers(self.rank, self.size);
        let outcome = loop {
            let round = traffic.rounds;
            let heard = self.hear(&message, &peers, transport);
            let heard = match agree(heard, transport, round, self.rank) {
                Ok(heard) => heard,
                Err(error) => break Err(error),
            };
            traffic.rounds += 1;
            for (peer, (_, bytes)) in peers.iter().zip(&heard) {
                traffic.up[*peer] += bytes;
                if *peer != self.rank {
                    traffic.gathered[self.rank] += bytes;
                }
            }
            let inbox: Vec<Option<&Message>> = heard.iter().map(|(m, _)| Some(m)).collect();
            match algorithm.reduce(&self.shared, &said, &inbox, &self.cx(lr, x, round)) {
                Next::Done(mut decision) => {
                    self.count_down(down_bytes(&decision, &self.layout), &mut traffic);
                    let mut shared = std::mem::replace(&mut self.shared, Slot::empty());
                    let cx = self.cx(lr, x, round);
                    let own = algorithm.commit(&mut local, &shared, Some(&decision), &cx);
                    algorithm.advance(&mut shared, &said, &inbox, &mut decision, &cx);
                    self.shared = shared;
                    if own.is_some() {
                        self.node = own;
                    }
                    break Ok(decision.moved);
                }
                Next::Round(m) => {
                    self.count_down(message_bytes(&m), &mut traffic);
                    said.push(m);
                    let seen = self.serve(&local, lr, x, &said, &mut host);
                    match agree(seen, transport, round + 1, self.rank) {
                        Ok(seen) => {
                            let cx = self.cx(lr, x, round + 1);
                            message = algorithm.answer(&mut local, &self.shared, seen, &said, &cx);
                        }
                        Err(error) => break Err(error),
                    }
                }
            }
        };
        if outcome.is_err() {
            algorithm.commit(&mut local, &self.shared, None, &self.cx(lr, x, 0));
        } else {
            self.step += 1;
        }
        self.local = local;
        let moved: Move = outcome?;
        Ok(Decided { moved, traffic })
    }

    /// What this rank received, as [`Cluster`](crate::Cluster) counts it: from a server, or from its neighbours.
    fn count_down(&self, bytes: u64, traffic: &mut Traffic) {
        if self.algorithm.is_gossip() {
            traffic.down[self.rank] = traffic.gathered[self.rank];
        } else {
            traffic.down[self.rank] += bytes;
        }
    }

    fn cx<'a>(&'a self, lr: f64, x: &'a [f32], round: u32) -> Cx<'a> {
        Cx {
            layout: &self.layout,
            compressor: &*self.compressor,
            workers: self.size,
            rank: self.rank,
            seed: self.seed,
            step: self.step,
            round,
            lr,
            x: self.node.as_deref().unwrap_or(x),
        }
    }

    fn serve(
        &self,
        local: &Slot,
        lr: f64,
        x: &[f32],
        said: &[Message],
        host: &mut impl FnMut(&Ask) -> Result<Reply, RoundError>,
    ) -> Result<Seen, RoundError> {
        if !(lr >= 0.0 && lr.is_finite()) {
            return Err(RoundError::StepSize(lr));
        }
        check_x(&self.algorithm, x, &self.layout)?;
        let mut seen = Seen::default();
        for ask in self.algorithm.0.ask(local, &self.shared, said, &self.cx(lr, x, said.len() as u32)) {
            seen.take_in(&ask, host(&ask)?, |g| check(g, self.rank, self.step, &self.layout))?;
        }
        Ok(seen)
    }

    /// Exchanges bytes and reads them; a message must have the shape of one's own.
    fn hear(
        &self,
        message: &Message,
        peers: &[usize],
        transport: &mut impl Transport,
    ) -> Result<Vec<(Message, u64)>, RoundError> {
        let bytes = encode_message(message);
        let limit = message.iter().map(|p| p.len() as u64).sum::<u64>();
        let read = |bytes: &Vec<u8>| -> Result<(Message, u64), WireError> {
            let heard = decode_message(bytes, limit)?;
            if heard.len() != message.len() || heard.iter().zip(message).any(|(a, b)| a.len() != b.len()) {
                return Err(WireError::Shape("another number of payloads, or payloads of other lengths".into()));
            }
            Ok((heard, bytes.len() as u64))
        };
        let heard = transport.exchange(&bytes, peers).map_err(RoundError::Transport)?;
        heard.iter().map(|b| read(b).map_err(|e| RoundError::Transport(e.to_string()))).collect()
    }
}

/// Goes on only if every rank can.
fn agree<T>(
    mine: Result<T, RoundError>,
    transport: &mut impl Transport,
    round: u32,
    worker: usize,
) -> Result<T, RoundError> {
    let all = transport.all(mine.is_ok()).map_err(RoundError::Transport)?;
    let mine = mine?;
    if all { Ok(mine) } else { Err(RoundError::Failed { round, worker }) }
}
