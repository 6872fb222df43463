//! The time of a step, from what was measured and a network.

use std::num::NonZeroUsize;

use backburn::network::{Links, Load, Plan, all_reduce};
use backburn_bench::cost::Cost;
use serde_json::{Value, json};

/// Where and with whom.
#[derive(Clone, Debug)]
pub struct Setting {
    pub workers: usize,
    pub links: Links,
    /// Forward and backward, in seconds.
    pub batch: f64,
    /// Workers of one machine, where these are to add up first.
    pub machine: Option<NonZeroUsize>,
    /// Workers that share this machine's cores.
    pub share: f64,
    pub coordinates: usize,
    /// Seconds of adding one vector to another here.
    pub add: f64,
}

/// How the messages of a step get to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The uncompressed vector around a ring.
    AllReduce,
    Plan(Plan),
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AllReduce => f.write_str("all-reduce"),
            Self::Plan(plan) => plan.fmt(f),
        }
    }
}

/// What a step takes, in seconds and bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `dense` has none.
    pub compressor: String,
    pub plan: How,
    /// All of it: the batch, computing for the exchange, the exchange.
    pub seconds: f64,
    /// Compressing, coding and averaging.
    pub computing: f64,
    pub exchange: f64,
    /// Of a worker's message, and of what all of them come to.
    pub up: f64,
    pub down: f64,
}

impl Row {
    /// Whether anything is left out.
    pub fn compresses(&self) -> bool {
        !["dense", "identity"].contains(&self.compressor.as_str())
    }

    /// The method whose workers send so.
    pub fn method(&self) -> &'static str {
        if self.compresses() { "ef-sgd" } else { "sgd" }
    }

    pub fn to_json(&self) -> Value {
        json!({
            "compressor": self.compressor, "plan": self.plan.to_string(), "method": self.method(),
            "seconds": self.seconds, "computing": self.computing, "exchange": self.exchange,
            "bytes_up": self.up, "bytes_down": self.down,
        })
    }
}

/// Dense and every compressor under every plan, the fastest first.
pub fn rows(costs: &[Cost], setting: &Setting) -> Vec<Row> {
    let mut plans = vec![Plan::Gather, Plan::Sharded];
    plans.extend(setting.machine.map(|machine| Plan::Hierarchical { machine }));
    let mut rows = vec![dense(setting)];
    for cost in costs {
        rows.extend(plans.iter().map(|plan| step(cost, *plan, setting)));
    }
    // Equal ones stay as they are listed.
    rows.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    rows
}

/// A step around a ring: every coordinate is added once, and applied once.
fn dense(setting: &Setting) -> Row {
    let bytes = 4.0 * setting.coordinates as f64;
    let (computing, exchange) = (2.0 * setting.add, all_reduce(bytes, setting.workers, &setting.links));
    row("dense", How::AllReduce, computing, exchange, [bytes, bytes], setting)
}

/// Beside its messages, a step takes this many short exchanges of all: whether all can go on and have heard, what they
/// report, what they owe.
const TALKS: f64 = 4.0;

fn row(name: &str, plan: How, computing: f64, exchange: f64, [up, down]: [f64; 2], setting: &Setting) -> Row {
    let computing = setting.share * computing;
    let seconds = setting.batch + computing + exchange;
    Row { compressor: name.into(), plan, seconds, computing, exchange, up, down }
}

fn step(cost: &Cost, plan: Plan, setting: &Setting) -> Row {
    let n = setting.workers as f64;
    let own = cost.compress + cost.encode;
    let [write, read] = cost.recode;
    let dense = 4.0 * setting.coordinates as f64;
    let bytes = [cost.bytes, cost.average_bytes(setting.workers)];
    // Everybody serves an nth: reads it of everybody, averages and writes it; all then read the whole, and apply it.
    let served = ((n - 1.0) * cost.decode + cost.mean_of(n)) / n;
    let computing = match plan {
        Plan::Gather => own + (n - 1.0) * cost.decode + cost.mean_of(n),
        Plan::Sharded => own + served + write / n + read + setting.add,
        Plan::Hierarchical { machine } => {
            let machines = n / machine.get() as f64;
            let added = 2.0 * setting.add * (machine.get() - 1) as f64;
            added + own + (machines - 1.0).max(0.0) * cost.decode + cost.mean_of(machines)
        }
    };
    let load = Load::even(setting.workers, bytes[0], bytes[1], dense);
    let talks = TALKS * (0..setting.workers).map(|w| setting.links.of(w).latency()).fold(0.0, f64::max);
    row(&cost.compressor, How::Plan(plan), computing, talks + load.seconds(plan, &setting.links), bytes, setting)
}

/// The size below which a tensor takes less time as it is: compressing it costs more than its bytes do on the links.
/// From the cost of tensors of some sizes, ascending, compressed and not.
pub fn dense_below(compressed: &[(usize, Cost)], plain: &[(usize, Cost)], plan: Plan, setting: &Setting) -> usize {
    // What one tensor more or less makes of a step: the way through the network is there anyhow.
    let seconds = |cost: &Cost| {
        let way = Cost { bytes: 0.0, averages: [0.0; 3], ..cost.clone() };
        step(cost, plan, setting).seconds - step(&way, plan, setting).exchange
    };
    let pays = |i: &usize| seconds(&compressed[*i].1) < seconds(&plain[*i].1);
    // The first from which on it always pays.
    let first = (0..compressed.len()).rev().take_while(pays).last().unwrap_or(compressed.len());
    match (first, compressed.get(first)) {
        (0, _) => 0,
        (_, Some((size, _))) => *size,
        (_, None) => compressed.last().map_or(0, |(size, _)| size + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(compressor: &str, coordinates: usize, bytes: f64, compress: f64) -> Cost {
        let averages = [1.0, 2.0, 4.0].map(|n| (n * bytes).min(4.0 * coordinates as f64));
        let (encode, decode, mean, recode) = (compress / 10.0, compress / 10.0, [1e-3, 1e-3], [1e-3, 1e-3]);
        Cost { compressor: compressor.into(), coordinates, bytes, compress, encode, decode, mean, recode, averages }
    }

    fn setting(link: &str, workers: usize) -> Setting {
        let links = link.parse().unwrap();
        let machine = NonZeroUsize::new(2);
        Setting { workers, links, batch: 0.05, machine, share: 1.0, coordinates: 1_000_000, add: 1e-3 }
    }

    fn costs() -> [Cost; 3] {
        let d = 1_000_000;
        [cost("identity", d, 4e6, 1e-3), cost("topk:0.01", d, 5e4, 4e-3), cost("sign:scaled", d, 1.25e5, 2e-3)]
    }

    #[test]
    fn rows_are_sorted_and_complete() {
        for n in [2, 8, 10_000] {
            let rows = rows(&costs(), &setting("100Mbit,1ms", n));
            assert_eq!(rows.len(), 1 + 3 * 3);
            assert!(rows.windows(2).all(|w| w[0].seconds <= w[1].seconds));
            for row in &rows {
                assert!((row.seconds - (0.05 + row.computing + row.exchange)).abs() < 1e-9, "{row:?}");
            }
        }
    }

    /// On a slow link compressing wins by far, on a fast one dense does: the verdict is a matter of the network.
    #[test]
    fn the_best_flips_with_the_bandwidth() {
        let best = |link: &str| rows(&costs(), &setting(link, 8)).remove(0);
        assert!(best("10Mbit,1ms").compresses());
        assert!(!best("400Gbit,1us").compresses());
    }

    /// By hand: 8 workers, gathered; sharing the cores makes computing longer, and nothing else.
    #[test]
    fn a_step_is_what_a_hand_finds() {
        let one = step(&costs()[1], Plan::Gather, &setting("100Mbit,1ms", 8));
        let computing = 4e-3 + 0.4e-3 + 7.0 * 0.4e-3 + 1e-3 + 7.0 * 1e-3;
        assert!((one.computing - computing).abs() < 1e-12, "{one:?}");
        assert!((one.exchange - (5e-3 + 7.0 * 5e4 * 8.0 / 1e8)).abs() < 1e-12, "{one:?}");
        let shared = Setting { share: 4.0, ..setting("100Mbit,1ms", 8) };
        let four = step(&costs()[1], Plan::Gather, &shared);
        assert!((four.computing - 4.0 * computing).abs() < 1e-12 && four.exchange == one.exchange);
    }

    /// Gathering grows with n, shares do not: with thousands nobody gathers.
    #[test]
    fn thousands_do_not_gather() {
        let best = rows(&costs(), &setting("100Mbit,1ms", 10_000)).remove(0);
        assert_eq!(best.plan, How::Plan(Plan::Sharded), "{best:?}");
    }

    #[test]
    fn small_tensors_go_dense_where_that_is_faster() {
        let at = |overhead: f64| {
            let of = |name, bytes: fn(usize) -> f64, overhead: f64| -> Vec<(usize, Cost)> {
                let one = |d: usize| {
                    let mut cost = cost(name, d, bytes(d), overhead + 1e-9 * d as f64);
                    (cost.mean, cost.recode) = ([0.0; 2], [0.0; 2]);
                    (d, cost)
                };
                [4, 64, 1024, 16384].map(one).to_vec()
            };
            let small = of("topk:0.01", |d| 8.0 + d as f64 * 0.05, overhead);
            dense_below(&small, &of("identity", |d| 4.0 * d as f64, 0.0), Plan::Gather, &setting("100Mbit,1ms", 8))
        };
        // 7 messages of 256 bytes take 0.14 ms, of 4 kB 2.3 ms.
        assert_eq!(at(1e-9), 0, "where compressing is free everything is compressed, but for what grows by it");
        assert_eq!(at(0.3e-3), 1024);
        assert_eq!(at(10.0), 16385);
    }
}
