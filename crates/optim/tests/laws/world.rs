//! Random problems, and a host that loses what it is told to.

use std::collections::{BTreeMap, BTreeSet};

use backburn_compress::{AnyCompressor, Key, Layout, Memo, Philox, Scope, Stream};
use backburn_optim::{
    AnyAlgorithm, Ask, Cluster, Host, Move, Owner, Reply, Residual, ResizeError, Role, RoundError, SetupError,
    Snapshot, Visitor,
};

use crate::mails::LossyMail;

pub type Vector = Vec<f64>;

/// f_i(x) = ½Σ_j a_j(x_j − b_ij)², with noise on the gradients.
#[derive(Clone)]
pub struct World {
    pub layout: Layout,
    pub workers: usize,
    pub seed: u64,
    pub curvature: Vec<f32>,
    pub centres: Vec<Vec<f32>>,
    pub noise: f32,
}

impl World {
    pub fn new(seed: u64, workers: usize, curved: bool) -> Self {
        let mut random = Philox::new(Key::new(seed).draw());
        let mut shapes = Vec::new();
        for i in 0..1 + random.below(3) {
            let rank = 1 + random.below(3);
            shapes.push((format!("p{i}"), (0..rank).map(|_| 1 + random.below(6) as usize).collect()));
        }
        let scope = [Scope::Parameter, Scope::Global, Scope::Bucket(7)][random.below(3) as usize];
        let layout = Layout::new(shapes, scope, random.below(4) as usize).unwrap();
        let d = layout.len();
        let curvature = (0..d).map(|_| if curved { 0.2 + random.uniform() } else { 0.0 }).collect();
        let centres = (0..workers).map(|_| (0..d).map(|_| random.normal()).collect()).collect();
        Self { layout, workers, seed, curvature, centres, noise: 1.0 }
    }

    pub fn gradient(&self, worker: usize, x: &[f32], draw: Option<u64>) -> Vec<f32> {
        let mut random =
            draw.map(|d| Philox::new(Key { step: d, worker: Some(worker as u32), ..Key::new(self.seed) }.draw()));
        let noise = |random: &mut Option<Philox>| random.as_mut().map_or(0.0, |r| self.noise * r.normal());
        let slope = |j: usize| self.curvature[j] * (x[j] - self.centres[worker][j]);
        (0..x.len()).map(|j| slope(j) + noise(&mut random)).collect()
    }

    /// The mean of so many minibatches of step `draw`; of none the exact gradient. The first is [`gradient`](Self::gradient)'s.
    pub fn mean_gradient(&self, worker: usize, x: &[f32], draw: u64, batches: usize) -> Vec<f32> {
        let batch = |b: usize| self.gradient(worker, x, Some(draw + ((b as u64) << 32)));
        let mut mean = if batches == 0 { self.gradient(worker, x, None) } else { batch(0) };
        for b in 1..batches {
            mean.iter_mut().zip(batch(b)).for_each(|(m, g)| *m += g);
        }
        mean.iter_mut().for_each(|m| *m /= batches.max(1) as f32);
        mean
    }

    /// What a worker at `own` is answered in step `draw`.
    pub fn answer(&self, worker: usize, own: &[f32], ask: &Ask, draw: u64) -> Reply {
        match ask {
            Ask::Gradient { at, batches } => {
                let at = at.as_ref().map_or(own, |at| at.as_slice());
                Reply::gradient(self.mean_gradient(worker, at, draw, *batches))
            }
            Ask::Loss { at } => Reply::Loss(self.loss(worker, at.as_ref().map_or(own, |at| at.as_slice()))),
        }
    }

    /// The same with other parameters, each a unit.
    pub fn reshape(&mut self, shapes: Vec<(String, Vec<usize>)>) {
        self.layout = Layout::new(shapes, Scope::Parameter, 0).unwrap();
        let d = self.layout.len();
        let mut random = Philox::new(Key { stream: Stream::own(5), ..Key::new(self.seed) }.draw());
        self.curvature = (0..d).map(|_| 0.2 + random.uniform()).collect();
        self.centres = (0..self.workers).map(|_| (0..d).map(|_| random.normal()).collect()).collect();
    }

    pub fn loss(&self, worker: usize, x: &[f32]) -> f64 {
        let term = |j: usize| f64::from(self.curvature[j]) * f64::from(x[j] - self.centres[worker][j]).powi(2);
        0.5 * (0..x.len()).map(term).sum::<f64>()
    }

    pub fn start(&self, method: &str, compressor: &str) -> Result<Run, SetupError> {
        let algorithm: AnyAlgorithm = method.parse().unwrap_or_else(|e| panic!("{method}: {e}"));
        let compressor: AnyCompressor = compressor.parse().unwrap_or_else(|e| panic!("{compressor}: {e}"));
        let x = backburn_compress::Vector::zeros(self.layout.len());
        let mail = LossyMail::new(self.workers);
        let cluster = Cluster::over(algorithm, compressor, self.layout.clone(), self.seed, x.as_slice(), mail)?;
        Ok(Run { world: self.clone(), cluster, x, attempts: 0, served: Vec::new(), moved: None, bytes: 0 })
    }
}

/// What goes wrong in one attempt at a round.
#[derive(Clone, Debug, Default)]
pub struct Mishap {
    pub absent: BTreeSet<usize>,
    pub lost: BTreeSet<(u32, usize)>,
}

/// One attempt at a step.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub lr: f64,
    pub mishap: Mishap,
}

/// Step sizes with drops and zeros, absent workers and lost messages; the last attempt is whole.
pub fn schedule(seed: u64, workers: usize, gossip: bool, steps: usize) -> Vec<Attempt> {
    let mut random = Philox::new(Key { stream: Stream::own(77), ..Key::new(seed) }.draw());
    let mut base = 0.1;
    let mut attempts = Vec::new();
    for t in 0..steps {
        if random.below(5) == 0 {
            base *= 0.3;
        }
        let zero = if random.below(2) == 0 { 0.0 } else { base * 1e-14 };
        let lr = if random.below(5) == 0 && t + 1 < steps { zero } else { base };
        let mut mishap = Mishap::default();
        if t + 1 < steps {
            for w in 0..workers {
                if !gossip && random.below(5) == 0 {
                    mishap.absent.insert(w);
                }
                if random.below(8) == 0 {
                    mishap.lost.insert((random.below(3), w));
                }
            }
        }
        attempts.push(Attempt { lr, mishap });
    }
    attempts
}

/// A gradient that was served: by whom, in which attempt, with which step size, and where.
#[derive(Clone)]
pub struct Served {
    pub worker: usize,
    pub attempt: u64,
    pub lr: f64,
    pub x: Vec<f32>,
    pub gradient: Vec<f32>,
}

pub struct Run {
    pub world: World,
    pub cluster: Cluster<LossyMail>,
    pub x: backburn_compress::Vector,
    pub attempts: u64,
    pub served: Vec<Served>,
    /// Of the last step that counted: how x moved, and the bytes that workers sent.
    pub moved: Option<Move>,
    pub bytes: u64,
}

struct Serving<'a> {
    world: &'a World,
    xs: Vec<backburn_compress::Vector>,
    draw: u64,
    lr: f64,
    mishap: &'a Mishap,
    served: &'a mut Vec<Served>,
}

impl Host for Serving<'_> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        let own = self.xs[worker].as_slice();
        let reply = self.world.answer(worker, own, ask, self.draw);
        if let Reply::Gradient(g) = &reply {
            let (x, gradient) = (own.to_vec(), g.vector.as_slice().to_vec());
            self.served.push(Served { worker, attempt: self.draw, lr: self.lr, x, gradient });
        }
        Ok(reply)
    }

    fn is_present(&mut self, worker: usize) -> bool {
        !self.mishap.absent.contains(&worker)
    }
}

impl Run {
    /// Attempts a step; whether it counted.
    pub fn attempt(&mut self, attempt: &Attempt) -> bool {
        let xs = (0..self.world.workers).map(|w| self.cluster.node(w).unwrap_or(&self.x).clone()).collect();
        let mut host = Serving {
            world: &self.world,
            xs,
            draw: self.attempts,
            lr: attempt.lr,
            mishap: &attempt.mishap,
            served: &mut self.served,
        };
        self.attempts += 1;
        self.cluster.mail_mut().lost.clone_from(&attempt.mishap.lost);
        match self.cluster.round(attempt.lr, &self.x, &mut host) {
            Ok(decided) => {
                let n = self.world.workers;
                assert!(decided.traffic.workers.len() == n && decided.traffic.gathered.len() == n);
                decided.apply(&mut self.x);
                self.bytes = decided.traffic.workers.iter().map(|w| w.up).sum();
                if matches!(decided.moved, Move::Own) {
                    self.x.clone_from(self.cluster.node(0).unwrap());
                }
                self.moved = Some(decided.moved);
                true
            }
            Err(error) if !error.is_rejected() => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Goes on with another number of workers.
    pub fn resize(&mut self, workers: usize) -> Result<(), ResizeError> {
        let mut snapshot = Snapshot::default();
        self.cluster.save_into(&mut snapshot);
        self.cluster = self.cluster.seated(LossyMail::new(workers), &snapshot)?;
        Ok(())
    }

    pub fn follow(&mut self, attempts: &[Attempt]) {
        attempts.iter().for_each(|a| {
            self.attempt(a);
        });
    }

    pub fn whole(&mut self, lr: f64) {
        assert!(self.attempt(&Attempt { lr, mishap: Mishap::default() }));
    }

    /// Every vector and number of the states by owner and name.
    pub fn states(&mut self) -> States {
        let mut states = States {
            owner: Owner::Shared,
            d: self.x.len(),
            vectors: BTreeMap::new(),
            numbers: BTreeMap::new(),
            owed: Vec::new(),
        };
        self.cluster.visit(&mut states);
        states
    }
}

pub struct States {
    owner: Owner,
    d: usize,
    vectors: BTreeMap<String, Vec<f32>>,
    pub numbers: BTreeMap<String, f64>,
    /// What is owed, and by whom.
    pub owed: Vec<Owed>,
}

/// What somebody owes: e, and for a lazy residual p and what of it counts as applied.
pub struct Owed {
    pub owner: Owner,
    pub e: Vector,
    pub p: Vector,
    pub applied: Vector,
}

impl States {
    /// An empty vector is zero.
    pub fn vector(&self, name: &str) -> Vector {
        let x = self.vectors.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.vectors.keys()));
        if x.is_empty() { vec![0.0; self.d] } else { x.iter().map(|x| f64::from(*x)).collect() }
    }

    pub fn mean(&self, workers: usize, name: &str, scale: impl Fn(usize) -> f64) -> Vector {
        let mut mean = vec![0.0; self.d];
        for w in 0..workers {
            let x = self.vector(&format!("worker.{w}.{name}"));
            mean.iter_mut().zip(x).for_each(|(m, x)| *m += scale(w) * x / workers as f64);
        }
        mean
    }
}

impl Visitor for States {
    fn enter(&mut self, owner: Owner) {
        self.owner = owner;
    }
    fn vector(&mut self, name: &str, role: Role, x: &mut backburn_compress::Vector) {
        if role == Role::Residual {
            let e = wide(x.as_slice());
            self.owed.push(Owed { owner: self.owner, p: e.clone(), e, applied: vec![0.0; self.d] });
        }
        self.vectors.insert(format!("{}{name}", self.owner), x.as_slice().to_vec());
    }
    fn scalar(&mut self, name: &str, x: &mut f64) {
        self.numbers.insert(format!("{}{name}", self.owner), *x);
    }
    fn count(&mut self, name: &str, x: &mut u64) {
        self.numbers.insert(format!("{}{name}", self.owner), *x as f64);
    }
    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}
    // Looked at as it is, so that looking changes nothing.
    fn residual(&mut self, name: &str, residual: &mut Residual, layout: &Layout) {
        let (mut e, mut applied) = (residual.corrected().clone(), backburn_compress::Vector::zeros(self.d));
        if let Some(message) = residual.applied() {
            e.add_decoded(-1.0, message, layout);
            applied.add_decoded(1.0, message, layout);
        }
        let p = wide(residual.corrected().as_slice());
        self.owed.push(Owed { owner: self.owner, e: wide(e.as_slice()), p, applied: wide(applied.as_slice()) });
        self.vectors.insert(format!("{}{name}", self.owner), e.into_vec());
    }
}

/// ‖a − b‖∞ ≤ tolerance·(1 + max(‖a‖∞, ‖b‖∞)).
pub fn close(a: &[f64], b: &[f64], tolerance: f64, what: &str) {
    let most = a.iter().chain(b).fold(1.0f64, |m, x| m.max(x.abs()));
    for (j, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + most), "{what}: coordinate {j}: {a} against {b}, scale {most}");
    }
}

pub fn wide(x: &[f32]) -> Vector {
    x.iter().map(|x| f64::from(*x)).collect()
}

pub fn methods() -> Vec<String> {
    AnyAlgorithm::table().iter().flat_map(|e| e.examples).map(|e| e.to_string()).collect()
}

pub fn compressors() -> Vec<String> {
    AnyCompressor::table().iter().flat_map(|e| e.examples).map(|e| e.to_string()).collect()
}
