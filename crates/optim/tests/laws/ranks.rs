//! Law 9: n processes give the bits of n workers in one.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};

use backburn_optim::{Ask, Move, Rank, Reply, Transport};

use crate::world::*;

/// Threads that hand each other bytes.
struct Link {
    rank: usize,
    board: Arc<Mutex<Vec<Vec<u8>>>>,
    votes: Arc<Mutex<Vec<bool>>>,
    barrier: Arc<Barrier>,
}

impl Transport for Link {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.board.lock().unwrap().len()
    }
    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, String> {
        self.board.lock().unwrap()[self.rank] = message.to_vec();
        self.barrier.wait();
        let heard = from.iter().map(|f| self.board.lock().unwrap()[*f].clone()).collect();
        self.barrier.wait();
        Ok(heard)
    }
    fn all(&mut self, yes: bool) -> Result<bool, String> {
        self.votes.lock().unwrap()[self.rank] = yes;
        self.barrier.wait();
        let all = self.votes.lock().unwrap().iter().all(|v| *v);
        self.barrier.wait();
        Ok(all)
    }
}

fn as_ranks(world: &World, method: &str, compressor: &str, steps: u64) -> Vec<Vec<f32>> {
    let n = world.workers;
    let board = Arc::new(Mutex::new(vec![Vec::new(); n]));
    let (votes, barrier) = (Arc::new(Mutex::new(vec![true; n])), Arc::new(Barrier::new(n)));
    type Results = (Sender<(usize, Vec<f32>)>, Receiver<(usize, Vec<f32>)>);
    let (send, receive): Results = channel();
    std::thread::scope(|scope| {
        for rank in 0..n {
            let mut link = Link { rank, board: board.clone(), votes: votes.clone(), barrier: barrier.clone() };
            let send = send.clone();
            scope.spawn(move || {
                let mut x = vec![0.0; world.layout.len()];
                let (method, compressor) = (method.parse().unwrap(), compressor.parse().unwrap());
                let mut own = Rank::new(method, compressor, world.layout.clone(), world.seed, &x, &link).unwrap();
                for t in 0..steps {
                    let here = own.node().unwrap_or(&x).clone();
                    let host = |ask: &Ask| {
                        Ok(match ask {
                            Ask::Gradient { at, batches } => {
                                let draw = (*batches > 0).then_some(t);
                                Reply::Gradient(world.gradient(rank, at.as_ref().unwrap_or(&here), draw))
                            }
                            Ask::Loss { at } => Reply::Loss(world.loss(rank, at.as_ref().unwrap_or(&here))),
                        })
                    };
                    let decided = own.round(0.1, &x, host, &mut link).unwrap();
                    match &decided.moved {
                        Move::Direction(m) => backburn_compress::decode_into(m, -0.1, &mut x, &world.layout),
                        Move::Update(m) => backburn_compress::decode_into(m, -1.0, &mut x, &world.layout),
                        Move::Jump(y) => x.clone_from(y),
                        Move::Own => {}
                    }
                }
                send.send((rank, own.node().unwrap_or(&x).clone())).unwrap();
            });
        }
    });
    drop(send);
    let mut results: Vec<(usize, Vec<f32>)> = receive.iter().collect();
    results.sort_by_key(|(rank, _)| *rank);
    results.into_iter().map(|(_, x)| x).collect()
}

#[test]
fn law_9_ranks_and_cluster_agree_bit_for_bit() {
    for (seed, method) in methods().iter().enumerate() {
        for compressor in compressors() {
            let world = World::new(seed as u64, 3, true);
            let Ok(mut run) = world.start(method, &compressor) else { continue };
            (0..6).for_each(|_| run.whole(0.1));
            for (rank, x) in as_ranks(&world, method, &compressor, 6).iter().enumerate() {
                let here = run.cluster.node(rank).unwrap_or(&run.x);
                let same = here.iter().zip(x).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{method}/{compressor}, rank {rank}: {here:?} against {x:?}");
            }
        }
    }
}
