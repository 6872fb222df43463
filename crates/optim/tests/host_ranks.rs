//! Law 9: n workers in one process and n ranks that exchange bytes give the same bits.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};

use backburn_compress::{AnyCompressor, Layout, Philox, Scope};
use backburn_optim::{AnyAlgorithm, Ask, Buf, Cluster, Move, Rank, Reply, RoundError, Traffic, Transport};

const N: usize = 5;
const STEPS: usize = 6;

/// Ranks as threads, messages as bytes through channels.
struct Channels {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
    votes: Arc<Mutex<Vec<bool>>>,
    barrier: Arc<Barrier>,
}

impl Channels {
    fn ring() -> Vec<Self> {
        let mut to: Vec<Vec<Sender<_>>> = (0..N).map(|_| Vec::new()).collect();
        let mut from: Vec<Vec<Receiver<_>>> = (0..N).map(|_| Vec::new()).collect();
        for sender in to.iter_mut() {
            for receiver in from.iter_mut() {
                let (s, r) = channel();
                sender.push(s);
                receiver.push(r);
            }
        }
        let (votes, barrier) = (Arc::new(Mutex::new(vec![true; N])), Arc::new(Barrier::new(N)));
        let ends = to.into_iter().zip(from).enumerate();
        ends.map(|(rank, (to, from))| Self { rank, to, from, votes: votes.clone(), barrier: barrier.clone() }).collect()
    }
}

impl Transport for Channels {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        N
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, String> {
        // Everybody hears everybody; who is no peer is not listened to.
        self.to.iter().for_each(|to| to.send(message.to_vec()).expect("the other thread lives"));
        let heard: Vec<Vec<u8>> = self.from.iter().map(|from| from.recv().expect("the other thread lives")).collect();
        Ok(from.iter().map(|peer| heard[*peer].clone()).collect())
    }

    fn all(&mut self, yes: bool) -> Result<bool, String> {
        self.votes.lock().unwrap()[self.rank] = yes;
        self.barrier.wait();
        let all = self.votes.lock().unwrap().iter().all(|v| *v);
        self.barrier.wait();
        Ok(all)
    }
}

fn layout() -> Layout {
    let shapes = vec![("a".to_string(), vec![4, 6]), ("b".to_string(), vec![7]), ("c".to_string(), vec![3, 2, 2])];
    Layout::new(shapes, Scope::Parameter, 0).unwrap()
}

/// A gradient that depends on where it is taken, who takes it and when: ½‖x − c‖² and noise.
fn gradient(worker: usize, step: usize, x: &[f32]) -> Buf {
    let mut noise = Philox::new((step * N + worker) as u64);
    x.iter().map(|x| x + 0.3 * worker as f32 + noise.normal()).collect()
}

fn answer(worker: usize, step: usize, ask: &Ask, x: &[f32]) -> Result<Reply, RoundError> {
    Ok(match ask {
        Ask::Gradient { at, .. } => Reply::Gradient(gradient(worker, step, at.as_deref().unwrap_or(x))),
        Ask::Loss { at } => {
            let at = at.as_deref().unwrap_or(x);
            Reply::Loss(at.iter().map(|x| 0.5 * f64::from(*x) * f64::from(*x)).sum())
        }
    })
}

fn apply(moved: &Move, lr: f64, x: &mut [f32], layout: &Layout) {
    match moved {
        Move::Direction(d) => backburn_compress::decode_into(d, -lr as f32, x, layout),
        Move::Update(u) => backburn_compress::decode_into(u, -1.0, x, layout),
        Move::Jump(y) => x.copy_from_slice(y),
        Move::Own => {}
    }
}

fn lr(step: usize) -> f64 {
    [0.1, 0.1, 0.0, 0.05, 0.05, 0.05][step]
}

/// What a worker has sent, received and gathered.
type Bytes = [u64; 3];

fn bytes(traffic: &Traffic, worker: usize, sum: &mut Bytes) {
    let step = [traffic.up[worker], traffic.down[worker], traffic.gathered[worker]];
    sum.iter_mut().zip(step).for_each(|(sum, step)| *sum += step);
}

fn together(algorithm: &AnyAlgorithm, compressor: &AnyCompressor) -> (Vec<Buf>, Vec<Bytes>) {
    let mut x = vec![0.5; layout().len()];
    let mut cluster = Cluster::new(algorithm.clone(), compressor.clone(), layout(), N, 9, &x).unwrap();
    let mut sums = vec![[0; 3]; N];
    for step in 0..STEPS {
        let (common, before) = (x.clone(), cluster.clone());
        let mut host = |worker: usize, ask: &Ask| answer(worker, step, ask, before.node(worker).unwrap_or(&common));
        let decided = cluster.round(lr(step), &common, &mut host).unwrap();
        sums.iter_mut().enumerate().for_each(|(w, sum)| bytes(&decided.traffic, w, sum));
        apply(&decided.moved, lr(step), &mut x, &layout());
    }
    ((0..N).map(|w| cluster.node(w).cloned().unwrap_or_else(|| x.clone())).collect(), sums)
}

fn apart(algorithm: &AnyAlgorithm, compressor: &AnyCompressor) -> (Vec<Buf>, Vec<Bytes>) {
    let threads: Vec<_> = Channels::ring()
        .into_iter()
        .map(|mut transport| {
            let (algorithm, compressor) = (algorithm.clone(), compressor.clone());
            std::thread::spawn(move || {
                let mut x = vec![0.5; layout().len()];
                let worker = transport.rank;
                let mut rank = Rank::new(algorithm, compressor, layout(), 9, &x, &transport).unwrap();
                let mut sum = [0; 3];
                for step in 0..STEPS {
                    let at = rank.node().cloned().unwrap_or_else(|| x.clone());
                    let host = |ask: &Ask| answer(worker, step, ask, &at);
                    let decided = rank.round(lr(step), &x, host, &mut transport).unwrap();
                    bytes(&decided.traffic, worker, &mut sum);
                    apply(&decided.moved, lr(step), &mut x, &layout());
                }
                (rank.node().cloned().unwrap_or(x), sum)
            })
        })
        .collect();
    threads.into_iter().map(|t| t.join().unwrap()).collect()
}

#[test]
fn one_process_and_n_ranks_give_the_same_bits() {
    for algorithm in AnyAlgorithm::table().iter().flat_map(|e| e.examples) {
        let algorithm: AnyAlgorithm = algorithm.parse().unwrap();
        for compressor in ["topk:0.3", "randk:0.3", "sign:scaled", "threshold:0.4"] {
            let compressor: AnyCompressor = compressor.parse().unwrap();
            let bits = |nodes: Vec<Buf>| -> Vec<Vec<u32>> {
                nodes.into_iter().map(|x| x.into_iter().map(f32::to_bits).collect()).collect()
            };
            let ((a, counted), (b, sent)) = (together(&algorithm, &compressor), apart(&algorithm, &compressor));
            assert_eq!(counted, sent, "{algorithm} {compressor}: bytes up, down, gathered");
            assert!(a[0].iter().all(|x| x.is_finite()), "{algorithm} {compressor}");
            assert_eq!(bits(a), bits(b), "{algorithm} {compressor}");
        }
    }
}

#[test]
fn a_rank_with_a_bad_gradient_stops_all_and_nothing_moves() {
    let threads: Vec<_> = Channels::ring()
        .into_iter()
        .map(|mut transport| {
            std::thread::spawn(move || {
                let x = vec![0.5; layout().len()];
                let worker = transport.rank;
                let (algorithm, compressor) = ("ef-sgd".parse().unwrap(), "topk:0.3".parse().unwrap());
                let mut rank = Rank::new(algorithm, compressor, layout(), 9, &x, &transport).unwrap();
                let mut bad = |_: &Ask| {
                    let mut g = gradient(worker, 0, &x);
                    if worker == 2 {
                        g[25] = f32::NAN;
                    }
                    Ok(Reply::Gradient(g))
                };
                let error = rank.round(0.1, &x, &mut bad, &mut transport).unwrap_err();
                // The next round is as if the bad one had never been.
                let good = |_: &Ask| Ok(Reply::Gradient(gradient(worker, 0, &x)));
                (error, rank.round(0.1, &x, good, &mut transport).unwrap().moved)
            })
        })
        .collect();
    let mut fresh = Cluster::new(
        "ef-sgd".parse().unwrap(),
        "topk:0.3".parse().unwrap(),
        layout(),
        N,
        9,
        &vec![0.5; layout().len()],
    )
    .unwrap();
    let x = vec![0.5; layout().len()];
    let mut host = |worker: usize, _: &Ask| Ok(Reply::Gradient(gradient(worker, 0, &x)));
    let expected = fresh.round(0.1, &x, &mut host).unwrap().moved;
    for (worker, thread) in threads.into_iter().enumerate() {
        let (error, moved) = thread.join().unwrap();
        match error {
            RoundError::NonFinite { path, coordinate: 1, .. } if worker == 2 => assert_eq!(path, "b"),
            RoundError::Failed { .. } if worker != 2 => {}
            other => panic!("rank {worker}: {other}"),
        }
        assert_eq!(moved, expected);
    }
}
