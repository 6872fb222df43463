//! Random problems, and a host that loses what it is told to.

use std::collections::{BTreeMap, BTreeSet};

use backburn_compress::{AnyCompressor, Key, Layout, Memo, Philox, Scope};
use backburn_optim::{AnyAlgorithm, Ask, Cluster, Fate, Host, Move, Reply, Role, RoundError, SetupError, Visitor};

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

    pub fn loss(&self, worker: usize, x: &[f32]) -> f64 {
        let term = |j: usize| f64::from(self.curvature[j]) * f64::from(x[j] - self.centres[worker][j]).powi(2);
        0.5 * (0..x.len()).map(term).sum::<f64>()
    }

    pub fn start(&self, method: &str, compressor: &str) -> Result<Run, SetupError> {
        let algorithm: AnyAlgorithm = method.parse().unwrap_or_else(|e| panic!("{method}: {e}"));
        let compressor: AnyCompressor = compressor.parse().unwrap_or_else(|e| panic!("{compressor}: {e}"));
        let x = vec![0.0; self.layout.len()];
        let cluster = Cluster::new(algorithm, compressor, self.layout.clone(), self.workers, self.seed, &x)?;
        Ok(Run { world: self.clone(), cluster, x, attempts: 0, served: Vec::new() })
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
    let mut random = Philox::new(Key { stream: 77, ..Key::new(seed) }.draw());
    let mut base = 0.1;
    let mut attempts = Vec::new();
    for t in 0..steps {
        if random.below(5) == 0 {
            base *= 0.3;
        }
        let lr = if random.below(6) == 0 && t + 1 < steps { 0.0 } else { base };
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

/// A gradient that was served: by whom, in which attempt, with which step size.
#[derive(Clone)]
pub struct Served {
    pub worker: usize,
    pub lr: f64,
    pub gradient: Vec<f32>,
}

pub struct Run {
    pub world: World,
    pub cluster: Cluster,
    pub x: Vec<f32>,
    pub attempts: u64,
    pub served: Vec<Served>,
}

struct Serving<'a> {
    world: &'a World,
    xs: Vec<Vec<f32>>,
    draw: u64,
    lr: f64,
    mishap: &'a Mishap,
    served: &'a mut Vec<Served>,
}

impl Host for Serving<'_> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        let own = &self.xs[worker];
        Ok(match ask {
            Ask::Gradient { at, batches } => {
                let draw = (*batches > 0).then_some(self.draw);
                let gradient = self.world.gradient(worker, at.as_ref().unwrap_or(own), draw);
                self.served.push(Served { worker, lr: self.lr, gradient: gradient.clone() });
                Reply::Gradient(gradient)
            }
            Ask::Loss { at } => Reply::Loss(self.world.loss(worker, at.as_ref().unwrap_or(own))),
        })
    }

    fn is_present(&mut self, worker: usize) -> bool {
        !self.mishap.absent.contains(&worker)
    }

    fn carry(&mut self, round: u32, worker: usize) -> Fate {
        if self.mishap.lost.contains(&(round, worker)) { Fate::Lost } else { Fate::Delivered }
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
        match self.cluster.round(attempt.lr, &self.x, &mut host) {
            Ok(decided) => {
                let n = self.world.workers;
                assert!(decided.traffic.up.len() == n && decided.traffic.down.len() == n);
                self.cluster.apply(&decided.moved, attempt.lr, &mut self.x);
                if matches!(decided.moved, Move::Own) {
                    self.x.clone_from(self.cluster.node(0).unwrap());
                }
                true
            }
            Err(RoundError::Failed { .. }) => false,
            Err(error) => panic!("{error}"),
        }
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
        let mut states =
            States { owner: String::new(), d: self.x.len(), vectors: BTreeMap::new(), numbers: BTreeMap::new() };
        self.cluster.visit(&mut states);
        states
    }
}

pub struct States {
    owner: String,
    d: usize,
    vectors: BTreeMap<String, Vec<f32>>,
    pub numbers: BTreeMap<String, f64>,
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
    fn enter(&mut self, owner: &str) {
        self.owner = owner.into();
    }
    fn vector(&mut self, name: &str, _: Role, x: &mut Vec<f32>) {
        self.vectors.insert(format!("{}{name}", self.owner), x.clone());
    }
    fn scalar(&mut self, name: &str, x: &mut f64) {
        self.numbers.insert(format!("{}{name}", self.owner), *x);
    }
    fn count(&mut self, name: &str, x: &mut u64) {
        self.numbers.insert(format!("{}{name}", self.owner), *x as f64);
    }
    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}
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
