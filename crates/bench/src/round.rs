//! The rows of `backburn bench round`: what a group's step costs in time and memory, as workers and coordinates grow.

use std::fs;
use std::time::Instant;

use backburn_compress::{AnyCompressor, Layout, LayoutError, Scope, Vector, release_memory};
use backburn_optim::{AnyAlgorithm, Cluster, Given, RoundError, SetupError};
use backburn_train::run::{Estimate, MemoryLimit};
use serde::Serialize;

use crate::compress::{median, normal};

/// The compressors that are measured unless others are asked for.
pub const COMPRESSORS: &[&str] = &["topk:0.01", "sign:scaled"];
/// Workers, unless others are asked for.
pub const WORKERS: &[usize] = &[1, 4, 16, 64, 256];
/// Coordinates, unless others are asked for.
pub const COORDINATES: &[usize] = &[1_000_000, 10_000_000, 100_000_000];

/// Of a tensor of the model, at most.
const TENSOR: usize = 1_000_000;
const LR: f64 = 1e-3;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// The method.
    pub algorithm: AnyAlgorithm,
    /// Compressors.
    pub compressors: Vec<AnyCompressor>,
    /// Numbers of workers.
    pub workers: Vec<usize>,
    /// Numbers of coordinates.
    pub coordinates: Vec<usize>,
    /// Timed rounds of each, after two to warm up.
    pub samples: usize,
    /// What needs more is not begun.
    pub memory: MemoryLimit,
}

impl Default for Options {
    fn default() -> Self {
        let parse = |text: &&str| text.parse().expect("the list holds textual forms");
        Self {
            algorithm: "ef-sgd".parse().expect("a method"),
            compressors: COMPRESSORS.iter().map(parse).collect(),
            workers: WORKERS.to_vec(),
            coordinates: COORDINATES.to_vec(),
            samples: 5,
            memory: MemoryLimit::default(),
        }
    }
}

/// So many workers on so many coordinates.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The compressor's textual form.
    pub compressor: String,
    /// Coordinates.
    pub coordinates: usize,
    /// Workers, all in this process.
    pub workers: usize,
    /// What the round was stated to need, in bytes.
    pub stated_bytes: f64,
    /// What it was.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was measured.
    Measured(Measured),
    /// It would not fit into memory: how much it needs, and how much there is.
    Refused(String),
}

/// A round, measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measured {
    /// Of a round, the median.
    pub seconds: f64,
    /// The same for each worker and coordinate.
    pub seconds_each: f64,
    /// `seconds_each` over that of the first row of this compressor.
    pub ratio: f64,
    /// By how much the process's memory grew at most, where the system says.
    pub bytes: Option<f64>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundBenchError {
    /// Method and compressor do not go together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// No layout has so many coordinates.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A round failed.
    #[error(transparent)]
    Round(#[from] RoundError),
}

/// Measures all that is asked for, and hands on each row.
///
/// # Errors
/// Where method and compressor do not go together, or a round fails.
pub fn rows(options: &Options, mut each: impl FnMut(&Row)) -> Result<(), RoundBenchError> {
    for compressor in &options.compressors {
        let mut first = None;
        for coordinates in options.coordinates.iter().copied() {
            for workers in options.workers.iter().copied() {
                let needed = Estimate::of_rounds(&options.algorithm, compressor, workers, coordinates)?;
                let outcome = match needed.check(options.memory) {
                    Err(refused) => Outcome::Refused(refused.to_string()),
                    Ok(()) => {
                        let (seconds, bytes) = measure(options, compressor, workers, coordinates)?;
                        let seconds_each = seconds / (workers as f64 * coordinates as f64);
                        let ratio = seconds_each / *first.get_or_insert(seconds_each);
                        Outcome::Measured(Measured { seconds, seconds_each, ratio, bytes })
                    }
                };
                let stated_bytes = needed.bytes();
                each(&Row { compressor: compressor.to_string(), coordinates, workers, stated_bytes, outcome });
            }
        }
    }
    Ok(())
}

fn measure(
    options: &Options,
    compressor: &AnyCompressor,
    workers: usize,
    coordinates: usize,
) -> Result<(f64, Option<f64>), RoundBenchError> {
    release_memory();
    let tensor = |i: usize| (format!("tensor {i}"), vec![TENSOR.min(coordinates - i * TENSOR)]);
    let layout = Layout::new((0..coordinates.div_ceil(TENSOR)).map(tensor).collect(), Scope::Parameter, 0)?;
    let drawn = normal(coordinates, 1);
    let before = forget_peak().and_then(|()| status("VmRSS:"));
    let mut x = Vector::zeros(coordinates);
    let mut cluster = Cluster::new(options.algorithm.clone(), compressor.clone(), layout, workers, 1, x.as_slice())?;
    let mut all = Vec::new();
    for round in 0..options.samples.max(1) + 2 {
        // Each another one, of the same kind.
        let gradient = |worker: usize| {
            let mut g = Vector::lent(coordinates);
            let turn = (worker * 7919 + round * 104_729) % coordinates;
            let (head, tail) = g.as_mut_slice().split_at_mut(coordinates - turn);
            head.copy_from_slice(&drawn.as_slice()[turn..]);
            tail.copy_from_slice(&drawn.as_slice()[..turn]);
            Some(g.into())
        };
        let mut given = Given::new((0..workers).map(gradient).collect());
        let start = Instant::now();
        let decided = cluster.round(LR, &x, &mut given)?;
        decided.apply(&mut x);
        decided.recycle();
        if round >= 2 {
            all.push(start.elapsed().as_secs_f64());
        }
    }
    let grown = before.and_then(|before| Some(status("VmHWM:")? - before));
    Ok((median(all), grown))
}

/// A line of what Linux says of this process's memory, in bytes.
fn status(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(1024.0 * line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()?)
}

/// The most memory that was in use begins anew.
fn forget_peak() -> Option<()> {
    fs::write("/proc/self/clear_refs", "5").ok()
}

/// A header, and a line a row.
pub fn render(rows: &[Row]) -> String {
    let width = rows.iter().map(|r| r.compressor.len()).max().unwrap_or(0).max("compressor".len());
    let mut text = format!(
        "{:width$}  {:>11} {:>7} {:>10} {:>14} {:>6} {:>9} {:>9}\n",
        "compressor", "coordinates", "workers", "round ms", "ns/worker·co", "ratio", "stated MB", "grown MB"
    );
    for r in rows {
        text += &format!("{:width$}  {:>11} {:>7}", r.compressor, r.coordinates, r.workers);
        text += &match &r.outcome {
            Outcome::Refused(why) => format!("  {why}\n"),
            Outcome::Measured(m) => format!(
                " {:>10.2} {:>14.3} {:>5.2}x {:>9.0} {:>9}\n",
                1e3 * m.seconds,
                1e9 * m.seconds_each,
                m.ratio,
                r.stated_bytes / 1e6,
                m.bytes.map_or("–".into(), |bytes| format!("{:.0}", bytes / 1e6)),
            ),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination gives a row, and what needs more memory than there is one that says so.
    #[test]
    fn what_fits_is_measured_and_what_does_not_is_refused_with_the_figure() {
        let (workers, coordinates) = (vec![1, 3], vec![1000, 1_200_000]);
        let memory = MemoryLimit::Bytes(30_000_000);
        let options = Options { workers, coordinates, samples: 1, memory, ..Options::default() };
        let mut all = Vec::new();
        rows(&options, |r| all.push(r.clone())).unwrap();
        assert_eq!(all.len(), 2 * 2 * 2);
        for row in &all {
            let fits = row.stated_bytes < 3e7;
            match &row.outcome {
                Outcome::Measured(m) => assert!(fits && m.seconds > 0.0 && m.seconds_each < m.seconds),
                Outcome::Refused(why) => assert!(!fits && why.contains("30 MB are there"), "{why}"),
            }
        }
        assert!(all.iter().any(|r| matches!(r.outcome, Outcome::Refused(_))));
        assert_eq!(render(&all).lines().count(), all.len() + 1);
    }
}
