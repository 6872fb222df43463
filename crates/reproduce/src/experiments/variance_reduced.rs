//! ErrorCompensatedX (Tang et al. 2021): variance-reduced estimators under one-step and two-step
//! compensation.

use std::sync::Arc;

use backburn_compress::{Key, Philox, Stream};

use backburn_train::session::Session;

use crate::error::ReproduceError;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Line, Panel, Point};
use crate::loops::vector::{Length, simulate};
use crate::problems::{Rows, Simulation, SoftmaxRegression};
use crate::record::metric::SQUARED_GRADIENT;
use crate::record::{Claim, Curve, Metric, Recorder, Results, is_due, mean};
use crate::words::short;

pub(super) struct VarianceReduced;

const APART: Metric = Metric::new("distance to uncompressed");
const ESTIMATORS: [(&str, &str); 4] =
    [("momentum", "momentum"), ("STORM", "storm"), ("ROOT-SGD", "root"), ("IGT", "igt")];
const NONE: &str = "uncompressed";
const ONE: &str = "one-step";
const TWO: &str = "ErrorCompensatedX";
const COMPENSATIONS: [&str; 3] = [NONE, ONE, TWO];
/// α of the curves.
const ALPHA: f64 = 0.2;
/// α of the map.
const ALPHAS: [f64; 5] = [0.1, 0.2, 0.35, 0.5, 0.8];
/// Compression of the map, top-k.
const RATIOS: [f64; 3] = [0.6, 0.3, 0.1];
const MAP: &str = "map";
const DIMENSION: usize = 40;
const ROWS: usize = 400;
const WORKERS: usize = 4;
/// Of the hundred rows of a worker: enough that compression, and not the draw of rows, decides how far a run comes.
const BATCH: usize = 64;
/// About 1/L: half of the largest eigenvalue of the rows' second moments is 0.87.
const LR: f64 = 1.0;
const LAMBDA: f64 = 1e-3;
/// The part of a run that is judged.
const LATE: f64 = 0.25;
/// A cell of the map is stable where two-step compensation ends within so many times the squared gradient norm that
/// the same estimator reaches without compression.
const STABLE: f64 = 2.0;

fn form(estimator: &str, compensation: &str, alpha: f64) -> String {
    let one = if compensation == ONE { ",one-step" } else { "" };
    match estimator {
        // ROOT-SGD has α = 1/t.
        "root" => format!("ecx:estimator=root{one}"),
        _ => format!("ecx:alpha={alpha},estimator={estimator}{one}"),
    }
}

fn map_group(ratio: f64) -> String {
    format!("{MAP}, top-k {} %", 100.0 * ratio)
}

fn map_curve(name: &str, compensation: &str, alpha: f64) -> String {
    format!("{name}, {compensation}, alpha {alpha}")
}

/// How ErrorCompensatedX and one-step compensation compare over the cells of the map.
#[derive(Debug, Default)]
struct Score {
    cells: usize,
    stable: usize,
    won: usize,
    tied: usize,
    lost: Vec<String>,
    /// ln of the ratio, cell by cell.
    ratios: Vec<f64>,
}

impl Score {
    /// Of an estimator by a metric, of which less is better; `None` where rows are missing.
    fn of(results: &Results, name: &str, metric: Metric) -> Option<Self> {
        let mut score = Self::default();
        for ratio in RATIOS {
            for alpha in ALPHAS {
                let late = |compensation, metric| {
                    results.tails(&map_group(ratio), &map_curve(name, compensation, alpha), metric, 1.0)
                };
                let exact = mean(results.tails(&map_group(1.0), &map_curve(name, NONE, alpha), SQUARED_GRADIENT, 1.0))?;
                let reached = mean(late(TWO, SQUARED_GRADIENT))?;
                score.cells += 1;
                if !reached.is_finite() || reached > STABLE * exact {
                    continue;
                }
                score.stable += 1;
                // Both ran over the same rows, seed by seed.
                let logs: Vec<f64> =
                    late(TWO, metric).iter().zip(late(ONE, metric)).map(|(two, one)| (two / one).ln()).collect();
                let middle = mean(logs.iter().copied())?;
                let variance = mean(logs.iter().map(|l| (l - middle).powi(2)))?;
                let error = (variance / (logs.len().max(2) - 1) as f64).sqrt();
                match middle {
                    m if m < -2.0 * error => score.won += 1,
                    m if m > 2.0 * error => score.lost.push(format!("alpha {alpha} at {} %", 100.0 * ratio)),
                    m if m == f64::NEG_INFINITY => score.won += 1,
                    _ => score.tied += 1,
                }
                score.ratios.push(middle.clamp(-50.0, 50.0));
            }
        }
        Some(score)
    }

    /// Whether more cells are won than lost, and the figures.
    fn verdict(&self) -> (bool, String) {
        let typical = mean(self.ratios.iter().copied()).map_or("none".into(), |m| short(m.exp()));
        let lost = if self.lost.is_empty() { String::new() } else { format!(" ({})", self.lost.join("; ")) };
        let text = format!(
            "{} of {} cells are stable; {} won, {} tied, {} lost{lost}; geometric mean of the ratios {typical}",
            self.stable,
            self.cells,
            self.won,
            self.tied,
            self.lost.len()
        );
        (self.won > self.lost.len(), text)
    }
}

impl VarianceReduced {
    fn length(setup: &Setup) -> Length {
        Length { steps: setup.scale.pick(60, 2000, 10_000), points: 100 }
    }
}

impl Experiment for VarianceReduced {
    fn about(&self) -> About {
        About {
            name: "variance-reduced",
            title: "ErrorCompensatedX against one-step compensation for momentum, STORM, ROOT-SGD and IGT",
            source: "Tang et al. 2021, ErrorCompensatedX (abstract); figures of its experiments",
            claims: &[
                "ErrorCompensatedX beats one-step compensation for STORM and IGT where it is stable",
                "there it comes near to no compression",
            ],
            time: ["4 min", "1 h"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let mut curves = Vec::new();
        for (name, estimator) in ESTIMATORS {
            for compensation in COMPENSATIONS {
                let compressor = if compensation == NONE { "identity" } else { "topk:0.6" };
                let algorithm = form(estimator, compensation, ALPHA);
                let curve = Curve::new(name, compensation, &algorithm, compressor, LR);
                curves.push(Curve { workers: WORKERS, batch: BATCH, ..curve });
            }
        }
        for (name, estimator) in ESTIMATORS.into_iter().filter(|(_, e)| *e != "root") {
            for alpha in ALPHAS {
                let mut add = |ratio: f64, compensation: &str, compressor: &str| {
                    let algorithm = form(estimator, compensation, alpha);
                    let curve = map_curve(name, compensation, alpha);
                    let curve = Curve::new(map_group(ratio), &curve, &algorithm, compressor, LR);
                    curves.push(Curve { workers: WORKERS, batch: BATCH, setting: alpha, ..curve });
                };
                add(1.0, NONE, "identity");
                for ratio in RATIOS {
                    [ONE, TWO].into_iter().for_each(|c| add(ratio, c, &format!("topk:{ratio}")));
                }
            }
        }
        curves
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 5, 20)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("steps", Self::length(setup).steps.to_string()),
            (
                "f",
                format!(
                    "two-class softmax regression, {ROWS} normal rows of {DIMENSION} on {WORKERS} workers, labels of a \
                     linear rule with noise, workers' rows by class; plus {LAMBDA} sum x^2/(1 + x^2)"
                ),
            ),
            ("batch", format!("{BATCH} rows of a worker's {}, with replacement", ROWS / WORKERS)),
            ("map", format!("alpha {ALPHAS:?}, top-k {RATIOS:?}")),
            ("alpha of the curves", format!("{ALPHA}; 1/t for ROOT-SGD")),
            ("compressor", "top-k 60 %; of the map as its panels say".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["Only the abstract is at hand: problem, sizes and step sizes are this project's.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let mut random = Philox::new(Key { stream: Stream::VARIANCE_REDUCED, ..Key::new(seed) }.draw());
        let mut normal = || random.normal();
        let solution: Vec<f32> = (0..DIMENSION).map(|_| normal()).collect();
        let rows: Vec<Vec<f32>> = (0..ROWS).map(|_| (0..DIMENSION).map(|_| normal()).collect()).collect();
        let sides = rows.iter().map(|a| crate::problems::dot(a, &solution) as f32 + normal());
        let labels: Arc<Vec<u8>> = Arc::new(sides.map(|side| u8::from(side > 0.0)).collect());
        // One class a worker, or nearly: what a worker has to say does not vanish at the minimum, so neither do
        // compression errors.
        let mut order: Vec<usize> = (0..ROWS).collect();
        order.sort_by_key(|row| labels[*row]);
        let shards = Arc::new(order.chunks(ROWS / WORKERS).map(<[usize]>::to_vec).collect());
        let rows = Rows::Dense(Arc::new(rows.concat()), DIMENSION);
        let problem = SoftmaxRegression::new(rows, labels, 2, shards, curve.batch, LAMBDA);
        let start = vec![0.0; 2 * DIMENSION];
        let Length { steps, points } = Self::length(setup);
        let mapped = curve.group.starts_with(MAP);
        // The same minibatches without compression, side by side.
        let (algorithm, identity) = (curve.algorithm.parse()?, "identity".parse()?);
        let lr = curve.lr;
        let exact = Simulation::new(algorithm, identity, &problem, WORKERS, seed, start.clone())?;
        let mut exact = Session::new(exact, move |_: u64, _: u64| lr, steps);
        let mut failed = None;
        // Both move together, so the loop looks at every step and records at some.
        let length = Length { steps, points: steps };
        simulate(
            curve,
            &problem,
            seed,
            start,
            length,
            move |_| lr,
            SQUARED_GRADIENT,
            out,
            |simulation, step, out| {
                // What is far from compression is not needed twice.
                if step > 0.0 && curve.compressor != "identity" {
                    failed = failed.take().or(exact.step().err());
                }
                // Of the map only the end is judged.
                if !is_due(step as u64, steps, points) || (mapped && step <= (1.0 - LATE) * steps as f64) {
                    return;
                }
                out.record(SQUARED_GRADIENT, step, simulation.squared_gradient());
                if curve.compressor != "identity" {
                    let apart = simulation.x().iter().zip(exact.trains().x()).map(|(x, y)| f64::from(x - y).powi(2));
                    out.record(APART, step, apart.sum::<f64>().sqrt());
                }
            },
        )?;
        failed.map_or(Ok(()), Err)
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let late = |name: &str, compensation: &str| results.tail(name, compensation, SQUARED_GRADIENT, LATE);
        let source = "Tang et al. 2021, ErrorCompensatedX, abstract";
        let over = |claim: String, name: &str, metric: Metric| {
            let required = format!(
                "more cells won than lost: {metric} over the last quarter, ErrorCompensatedX over one-step, seed by seed, \
                 in every cell of alpha and compression where ErrorCompensatedX ends within {STABLE} times the squared \
                 gradient norm without compression; a mean of ln within two standard errors of 0 is a tie"
            );
            Claim::judge(&claim, source, &required, || Score::of(results, name, metric).map(|score| score.verdict()))
        };
        let beats = |name: &str| {
            over(
                format!("ErrorCompensatedX beats one-step compensation for {name}, in its stable region"),
                name,
                SQUARED_GRADIENT,
            )
        };
        let nearer = |name: &str| {
            let claim =
                format!("ErrorCompensatedX stays nearer than one-step compensation to no compression, for {name}");
            over(claim, name, APART)
        };
        vec![
            beats("STORM"),
            beats("IGT"),
            nearer("STORM"),
            nearer("IGT"),
            Claim::judge(
                "ErrorCompensatedX reaches what no compression reaches",
                source,
                "squared gradient norm over the last quarter at most twice that without compression, for STORM and IGT (alpha 0.2, top-k 60 %)",
                || {
                    let mut found = Vec::new();
                    for name in ["STORM", "IGT"] {
                        found.push((name, late(name, TWO)? / late(name, NONE)?));
                    }
                    let text = found.iter().map(|(n, r)| format!("{n} {}", short(*r))).collect::<Vec<_>>().join(", ");
                    Some((found.iter().all(|f| f.1 <= 2.0), text))
                },
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let y = || Axis::log("squared gradient norm");
        let curves = ESTIMATORS
            .iter()
            .map(|(name, _)| Panel::of(results, name, SQUARED_GRADIENT, Axis::linear("iteration"), y()));
        let apart = ["STORM", "IGT"].map(|name| {
            let mut panel = Panel::of(results, name, APART, Axis::linear("iteration"), Axis::log(APART));
            panel.lines.retain(|line| line.label != NONE);
            panel.titled(format!("{name}: distance to the uncompressed run"))
        });
        let maps = RATIOS.iter().map(|ratio| {
            let group = map_group(*ratio);
            let mut lines = Vec::new();
            for (name, _) in ESTIMATORS.iter().filter(|(_, e)| *e != "root") {
                for compensation in [ONE, TWO] {
                    let point = |alpha: f64| {
                        let of = results.tails(&group, &map_curve(name, compensation, alpha), SQUARED_GRADIENT, 1.0);
                        let [low, high] = [0.1, 0.9].map(|q| crate::record::quantile(&of, q));
                        Some(Point { x: alpha, mean: crate::record::mean(of)?, low: low?, high: high? })
                    };
                    let points: Vec<Point> = ALPHAS.into_iter().filter_map(point).collect();
                    lines.push(Line { label: format!("{name}, {compensation}"), points, marked: true });
                }
            }
            let x = Axis::linear("alpha (a missing point has diverged)");
            Panel { title: format!("stability, top-k {} %", 100.0 * ratio), x, y: y(), lines }
        });
        Figure::new(2, curves.chain(apart).chain(maps).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table = Table::new("Squared gradient norm over the last quarter", &["estimator", NONE, ONE, TWO]);
        for (name, _) in ESTIMATORS {
            let cell = |compensation| late_cell(results, name, compensation);
            table.rows.push(std::iter::once(name.into()).chain(COMPENSATIONS.into_iter().map(cell)).collect());
        }
        let head: Vec<String> = ALPHAS.iter().map(|a| format!("alpha {a}")).collect();
        let head: Vec<&str> =
            ["compression", "estimator", "compensation"].into_iter().chain(head.iter().map(String::as_str)).collect();
        let mut map = Table::new("Stability: squared gradient norm over the last quarter", &head);
        for ratio in RATIOS {
            for (name, _) in ESTIMATORS.iter().filter(|(_, e)| *e != "root") {
                for compensation in [ONE, TWO] {
                    let cell = |alpha: &f64| {
                        let curve = map_curve(name, compensation, *alpha);
                        results.average(&map_group(ratio), &curve, SQUARED_GRADIENT).map_or("–".into(), short)
                    };
                    let head = [format!("top-k {} %", 100.0 * ratio), (*name).into(), compensation.into()];
                    map.rows.push(head.into_iter().chain(ALPHAS.iter().map(cell)).collect());
                }
            }
        }
        vec![table, map]
    }
}

fn late_cell(results: &Results, name: &str, compensation: &str) -> String {
    results.tail(name, compensation, SQUARED_GRADIENT, LATE).map_or("–".into(), short)
}
