//! What is said.

use std::fmt;

use backburn::train::run::Table;
use serde_json::{Value, json};

use super::predict::{How, Row, Setting};
use super::target::Target;

/// How much faster compressing must be before it is advised: what was measured is not known better.
const WORTH: f64 = 1.05;

/// All that was found.
pub struct Advice<'a> {
    target: &'a Target,
    setting: &'a Setting,
    rows: Vec<Row>,
    /// Tensors of fewer coordinates are better sent as they are.
    dense_below: usize,
    /// Seconds that measuring took.
    measured: f64,
    /// Compressors that there was no time for.
    late: Vec<String>,
}

impl<'a> Advice<'a> {
    /// Of rows that begin with the fastest, and hold one that compresses and one that does not.
    pub fn new(target: &'a Target, setting: &'a Setting, rows: Vec<Row>, dense_below: usize, measured: f64) -> Self {
        Self { target, setting, rows, dense_below, measured, late: Vec::new() }
    }

    /// For these compressors there was no time.
    pub fn with_late(self, late: Vec<String>) -> Self {
        Self { late, ..self }
    }

    fn best(&self, compresses: bool) -> &Row {
        self.rows.iter().find(|row| row.compresses() == compresses).expect("both are among the rows")
    }

    /// Dense over compressed.
    fn speedup(&self) -> f64 {
        self.best(false).seconds / self.best(true).seconds
    }

    fn compress(&self) -> bool {
        self.speedup() >= WORTH
    }

    fn threads() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// How many tensors are smaller, and their share of all coordinates.
    fn small(&self) -> (usize, f64) {
        let sizes = self.target.tensors.iter().map(|(_, shape)| shape.iter().product::<usize>());
        let small: Vec<usize> = sizes.filter(|size| *size < self.dense_below).collect();
        (small.len(), small.iter().sum::<usize>() as f64 / self.setting.coordinates as f64)
    }

    fn verdict(&self) -> String {
        let (dense, best) = (self.best(false), self.best(true));
        if self.compress() {
            return format!(
                "compress: {} under {}, {}: {} a step, {:.1} × faster than dense ({} by {})",
                best.compressor,
                best.method(),
                best.plan,
                time(best.seconds),
                self.speedup(),
                time(dense.seconds),
                by(dense),
            );
        }
        format!(
            "do not compress here: dense takes {} a step by {}, of which {} are the network; the best compressor, {} ({}), takes {}",
            time(dense.seconds),
            by(dense),
            time(dense.exchange),
            best.compressor,
            best.plan,
            time(best.seconds),
        )
    }

    pub fn to_json(&self) -> Value {
        let chosen = self.best(self.compress());
        let (tensors, share) = self.small();
        json!({
            "model": self.target.name,
            "tensors": self.target.tensors.len(),
            "coordinates": self.setting.coordinates,
            "workers": self.setting.workers,
            "link": self.setting.links.to_string(),
            "batch_seconds": self.target.batch,
            "batch_measured": self.target.timed,
            "measured_for_seconds": self.measured,
            "threads": Self::threads(),
            "share": self.setting.share,
            "not_measured": self.late,
            "advice": {
                "compress": self.compress(),
                "compressor": chosen.compressor,
                "method": chosen.method(),
                "plan": chosen.plan.to_string(),
                "seconds": chosen.seconds,
                "dense_seconds": self.best(false).seconds,
                "speedup": self.speedup(),
                "dense_below": self.dense_below,
                "dense_tensors": tensors,
                "dense_share": share,
                "says": self.verdict(),
            },
            "rows": self.rows.iter().map(Row::to_json).collect::<Value>(),
        })
    }
}

/// How a dense step is best done.
fn by(dense: &Row) -> String {
    match dense.plan {
        How::AllReduce => "a ring all-reduce".into(),
        plan => format!("plan {plan}"),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", 1e3 * s),
        s if s >= 1e-3 => format!("{:.1} ms", 1e3 * s),
        s => format!("{:.0} µs", 1e6 * s),
    }
}

fn bytes(bytes: f64) -> String {
    match bytes {
        b if b >= 1e6 => format!("{:.2} MB", b / 1e6),
        b => format!("{:.1} kB", b / 1e3),
    }
}

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, setting, .. } = self;
        let batch = match target.batch {
            Some(batch) if target.timed => format!("a batch takes {} here", time(batch)),
            Some(batch) => format!("a batch takes {}, as given", time(batch)),
            None => "what a batch takes is not known (--batch-time) and not counted".into(),
        };
        let (tensors, d) = (target.tensors.len(), setting.coordinates);
        writeln!(f, "{}: {tensors} tensors, {d} coordinates; {batch}", target.name)?;
        let shared = if setting.share > 1.0 { format!(", shared by {} workers", setting.share) } else { String::new() };
        writeln!(f, "{} workers, each at {}", setting.workers, setting.links)?;
        writeln!(
            f,
            "measured for {:.1} s on {} threads of this machine{shared}, normal gradients\n",
            self.measured,
            Self::threads()
        )?;

        let mut plans: Vec<How> = Vec::new();
        self.rows.iter().filter(|r| r.plan != How::AllReduce).for_each(|r| {
            if !plans.contains(&r.plan) {
                plans.push(r.plan);
            }
        });
        plans.sort_by_key(|plan| plan.to_string());
        let headings = ["compressor", "step", "of it network", "computing", "up", "down"].map(String::from);
        let mut table = Table::new(headings.into_iter().chain(plans.iter().map(ToString::to_string)));
        let mut seen: Vec<&str> = Vec::new();
        for row in &self.rows {
            if seen.contains(&row.compressor.as_str()) {
                continue;
            }
            seen.push(&row.compressor);
            let under = |plan: &How| {
                let row = self.rows.iter().find(|r| r.compressor == row.compressor && r.plan == *plan);
                row.map_or("".into(), |row| time(row.seconds))
            };
            let name = if row.plan == How::AllReduce { "dense, all-reduce".into() } else { row.compressor.clone() };
            let own = [time(row.seconds), time(row.exchange), time(row.computing), bytes(row.up), bytes(row.down)];
            table.row(std::iter::once(name).chain(own).chain(plans.iter().map(under)));
        }
        writeln!(f, "{table}")?;
        if !self.late.is_empty() {
            writeln!(f, "not measured for lack of time (--seconds): {}\n", self.late.join(", "))?;
        }
        writeln!(f, "{}", self.verdict())?;
        writeln!(f, "A step against a step: how many a training needs with each is not in it.")?;
        let (tensors, share) = self.small();
        if self.compress() && tensors > 0 {
            let (below, percent) = (self.dense_below, 100.0 * share);
            writeln!(
                f,
                "send dense: tensors of fewer than {below} coordinates (--dense-below {below}), {tensors} of {} and {percent:.2} % of all",
                target.tensors.len()
            )?;
        }
        Ok(())
    }
}
