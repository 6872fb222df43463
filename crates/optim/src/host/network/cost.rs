//! Seconds of a step's exchange under each plan.

use super::link::Link;
use super::links::Links;
use super::plan::Plan;
use crate::host::Traffic;

/// What a step asks of the network, in bytes of encoded messages.
///
/// ```
/// use backburn_optim::{Link, Load, Plan};
///
/// let links = "100Mbit,20ms".parse::<Link>()?.into();
/// let step = Load::even(4, 300e3, 1200e3, 23e6);
/// assert_eq!(step.seconds(Plan::Gather, &links), 0.02 + 3.0 * 300e3 * 8.0 / 100e6);
/// assert_eq!(step.seconds(Plan::Sharded, &links), 2.0 * 0.02 + 0.75 * (300e3 + 1200e3) * 8.0 / 100e6);
/// # Ok::<(), backburn_optim::LinkError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Each worker's own messages.
    up: Vec<f64>,
    /// What each sends where everybody hears everybody (under gossip, its neighbours), and what it hears.
    gathered: Vec<(f64, f64)>,
    /// The aggregate of all workers' messages.
    down: f64,
    /// Everything as it is, without compression.
    dense: f64,
    /// Message rounds.
    rounds: f64,
    /// Whether only neighbours hear each other, so that there is no aggregate.
    gossip: bool,
}

/// What joins the workers of one machine: its memory. An assumption, and a generous one.
fn inside() -> Link {
    Link::new(80e9).and_then(|link| link.with_latency(2e-6)).expect("both are positive")
}

impl Load {
    /// n workers with messages of one length, the length of their aggregate, and that of the uncompressed vector; one
    /// message round.
    pub fn even(workers: usize, up: f64, down: f64, dense: f64) -> Self {
        let others = workers.saturating_sub(1) as f64 * up;
        let (up, gathered) = (vec![up; workers], vec![(others, others); workers]);
        Self { up, gathered, down, dense, rounds: 1.0, gossip: false }
    }

    /// What a step has sent, of a model of so many bytes.
    pub fn of(traffic: &Traffic, dense: f64) -> Self {
        let up = traffic.workers.iter().map(|b| b.up as f64).collect();
        let gathered = traffic.sent.iter().zip(&traffic.gathered).map(|(o, i)| (*o as f64, *i as f64)).collect();
        // With a server all hear the same; where a rank does not know, it says less.
        let down = traffic.workers.iter().map(|b| b.down as f64).fold(0.0, f64::max);
        Self { up, gathered, down, dense, rounds: f64::from(traffic.rounds), gossip: traffic.gossip }
    }

    /// With so many bytes more in every message: batch statistics, say.
    pub fn with_beside(mut self, bytes: f64) -> Self {
        let others = self.up.len().saturating_sub(1) as f64;
        self.up.iter_mut().for_each(|up| *up += bytes);
        self.gathered.iter_mut().for_each(|(out, into)| {
            *out += others * bytes;
            *into += others * bytes;
        });
        self.down += bytes;
        self.dense += bytes;
        self
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.up.len()
    }

    /// Bytes of the uncompressed vector.
    pub fn dense(&self) -> f64 {
        self.dense
    }

    /// Whether a plan can carry it: under gossip there is no aggregate that somebody could serve.
    pub fn can(&self, plan: Plan) -> bool {
        !self.gossip || plan == Plan::Gather
    }

    /// Seconds of the exchange under a plan.
    pub fn seconds(&self, plan: Plan, links: &Links) -> f64 {
        let n = self.up.len() as f64;
        if self.up.len() < 2 {
            return 0.0;
        }
        match plan {
            Plan::Gather => links.slowest(self.gathered.iter().copied(), self.rounds),
            // Two phases: to whoever serves a share, which hears an nth of everybody's; and back from it.
            Plan::Sharded => {
                let total: f64 = self.up.iter().sum();
                let slices = self.up.iter().map(|up| ((n - 1.0) / n * up, (total - up) / n));
                let share = (n - 1.0) / n * self.down;
                links.slowest(slices, self.rounds) + links.slowest(self.up.iter().map(|_| (share, share)), self.rounds)
            }
            Plan::Hierarchical { machine } => {
                let size = machine.get().min(self.up.len());
                let machines: Vec<&[f64]> = self.up.chunks(size).collect();
                let messages: Vec<f64> = machines.iter().map(|m| m.iter().sum::<f64>() / m.len() as f64).collect();
                let total: f64 = messages.iter().sum();
                let others = (messages.len() - 1) as f64;
                // A machine's link is that of its first worker.
                let between = messages.iter().enumerate().map(|(i, own)| {
                    links.of(i * size).seconds(others * own, total - own, if others > 0.0 { self.rounds } else { 0.0 })
                });
                // All gradients to one, and the mean from it to all.
                let within = (size - 1) as f64 * self.dense;
                let within = if size > 1 { 2.0 * inside().seconds(within, within, self.rounds) } else { 0.0 };
                within + between.fold(0.0, f64::max)
            }
        }
    }

    /// The cheaper of gathering and serving shares.
    pub fn cheapest(&self, links: &Links) -> (Plan, f64) {
        let of = |plan| (plan, self.seconds(plan, links));
        let (gather, sharded) = (of(Plan::Gather), of(Plan::Sharded));
        if self.can(Plan::Sharded) && sharded.1 < gather.1 { sharded } else { gather }
    }
}

/// Seconds of a dense all-reduce of so many bytes around a ring, in 2(n − 1) hops of an nth each: what training without
/// compression takes. Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of workstations* (2009),
/// <https://doi.org/10.1016/j.jpdc.2008.09.002>.
pub fn all_reduce(bytes: f64, workers: usize, links: &Links) -> f64 {
    if workers < 2 {
        return 0.0;
    }
    let n = workers as f64;
    let hops = 2.0 * (n - 1.0);
    hops * links.slowest((0..workers).map(|_| (bytes / n, bytes / n)), 1.0)
}
