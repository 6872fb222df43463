//! ErrorCompensatedX (Tang et al. 2021): variance-reduced estimators under one-step and two-step
//! compensation.

use std::sync::Arc;

use backburn_compress::{Key, Philox};

use super::vector::{Length, record_bytes, simulate};
use crate::problems::{Rows, Simulation, SoftmaxRegression};
use crate::reproduce::figure::{Axis, Figure, Line, Panel, Point};
use crate::reproduce::{
    About, Claim, Curve, Experiment, Recorder, ReproduceError, Results, Setup, Table, is_due, short,
};

pub(super) struct VarianceReduced;

const NORM: &str = "squared gradient norm";
const APART: &str = "distance to uncompressed";
const ESTIMATORS: [(&str, &str); 4] =
    [("momentum", "momentum"), ("STORM", "storm"), ("ROOT-SGD", "root"), ("IGT", "igt")];
const NONE: &str = "uncompressed";
const ONE: &str = "one-step";
const TWO: &str = "ErrorCompensatedX";
const COMPENSATIONS: [&str; 3] = [NONE, ONE, TWO];
/// α of the curves: within the region where two-step compensation is stable.
const ALPHA: f64 = 0.2;
/// α of the map.
const ALPHAS: [f64; 5] = [0.1, 0.2, 0.35, 0.5, 0.8];
/// Compression of the map, top-k.
const RATIOS: [f64; 3] = [0.6, 0.3, 0.1];
const MAP: &str = "map";
const DIMENSION: usize = 40;
const ROWS: usize = 400;
const WORKERS: usize = 4;
const BATCH: usize = 4;
const LR: f64 = 0.4;

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
            time: ["1 min", "10 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let mut curves = Vec::new();
        for (name, estimator) in ESTIMATORS {
            for compensation in COMPENSATIONS {
                let compressor = if compensation == NONE { "identity" } else { "topk:0.6" };
                let algorithm = form(estimator, compensation, ALPHA);
                curves.push(Curve { workers: WORKERS, ..Curve::new(name, compensation, &algorithm, compressor, LR) });
            }
        }
        for ratio in RATIOS {
            for (name, estimator) in ESTIMATORS.into_iter().filter(|(_, e)| *e != "root") {
                for compensation in [ONE, TWO] {
                    for alpha in ALPHAS {
                        let curve = format!("{name}, {compensation}, alpha {alpha}");
                        let (algorithm, compressor) = (form(estimator, compensation, alpha), format!("topk:{ratio}"));
                        curves.push(Curve {
                            workers: WORKERS,
                            setting: alpha,
                            ..Curve::new(map_group(ratio), &curve, &algorithm, &compressor, LR)
                        });
                    }
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
                    "least squares, {ROWS} normal rows of {DIMENSION}, noisy targets, batch 1 on {WORKERS} workers"
                ),
            ),
            ("alpha of the curves", format!("{ALPHA}; 1/t for ROOT-SGD")),
            ("compressor", "top-k 60 %; of the map as its panels say".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["Only the abstract is at hand: problem, sizes and step sizes are this project's.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let mut random = Philox::new(Key { stream: 0xecc5, ..Key::new(seed) }.draw());
        let mut normal = || random.normal();
        let solution: Vec<f32> = (0..DIMENSION).map(|_| normal()).collect();
        let rows: Vec<Vec<f32>> = (0..ROWS).map(|_| (0..DIMENSION).map(|_| normal()).collect()).collect();
        let sides = rows.iter().map(|a| crate::problems::dot(a, &solution) as f32 + normal());
        let labels = Arc::new(sides.map(|side| u8::from(side > 0.0)).collect());
        let shards = Arc::new((0..WORKERS).map(|w| (w..ROWS).step_by(WORKERS).collect()).collect());
        let rows = Rows::Dense(Arc::new(rows.concat()), DIMENSION);
        let problem = SoftmaxRegression::new(rows, labels, 2, shards, BATCH, 1e-3);
        let start = vec![0.0; 2 * DIMENSION];
        let Length { steps, points } = Self::length(setup);
        let mapped = curve.group.starts_with(MAP);
        // The same minibatches without compression, side by side.
        let (algorithm, identity) = (curve.algorithm.parse()?, "identity".parse()?);
        let mut exact = Simulation::new(algorithm, identity, &problem, WORKERS, seed, start.clone())?;
        let mut failed = None;
        // Both move together, so the loop looks at every step and records at some.
        let length = Length { steps, points: steps };
        simulate(
            curve,
            &problem,
            seed,
            start,
            length,
            |_| curve.lr,
            NORM,
            out,
            |simulation, step, out| {
                if step > 0.0 && !mapped {
                    failed = failed.take().or(exact.step(curve.lr).err());
                }
                // Of the map only the end is shown.
                if !is_due(step as u64, steps, points) || (mapped && step < 0.9 * steps as f64) {
                    return;
                }
                out.record(NORM, step, simulation.squared_gradient());
                if !mapped {
                    let apart = simulation.x().iter().zip(exact.x()).map(|(x, y)| f64::from(x - y).powi(2));
                    out.record(APART, step, apart.sum::<f64>().sqrt());
                    record_bytes(simulation, step, out);
                }
            },
        )?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let late = |name: &str, compensation: &str| results.tail(name, compensation, NORM, 0.25);
        let source = "Tang et al. 2021, ErrorCompensatedX, abstract";
        let beats = |name: &'static str| {
            Claim::judge(
                &format!("ErrorCompensatedX beats one-step compensation for {name}, in its stable region"),
                source,
                "squared gradient norm over the last quarter, ErrorCompensatedX over one-step, below 0.9 (alpha 0.2, top-k 60 %)",
                || {
                    let (two, one) = (late(name, TWO)?, late(name, ONE)?);
                    let text = format!("{} and {}, ratio {}", short(two), short(one), short(two / one));
                    Some((two < 0.9 * one, text))
                },
            )
        };
        let nearer = |name: &'static str| {
            Claim::judge(
                &format!(
                    "ErrorCompensatedX leaves less of the compression error than one-step compensation for {name}"
                ),
                source,
                "distance to the uncompressed run on the same minibatches, mean over the last quarter, ErrorCompensatedX over one-step, below 0.9",
                || {
                    let of = |compensation: &str| results.tail(name, compensation, APART, 0.25);
                    let (two, one) = (of(TWO)?, of(ONE)?);
                    Some((two < 0.9 * one, format!("{} and {}, ratio {}", short(two), short(one), short(two / one))))
                },
            )
        };
        vec![
            beats("STORM"),
            beats("IGT"),
            nearer("STORM"),
            nearer("IGT"),
            Claim::judge(
                "ErrorCompensatedX reaches what no compression reaches",
                source,
                "squared gradient norm over the last quarter at most twice that without compression, for STORM and IGT",
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
        let curves = ESTIMATORS.iter().map(|(name, _)| Panel::of(results, name, NORM, Axis::linear("iteration"), y()));
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
                        let of = results.tails(&group, &format!("{name}, {compensation}, alpha {alpha}"), NORM, 1.0);
                        let [low, high] = [0.1, 0.9].map(|q| crate::reproduce::quantile(&of, q));
                        Some(Point { x: alpha, mean: crate::reproduce::mean(of)?, low: low?, high: high? })
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
        let mut map = Table::new("Stability: squared gradient norm over the last tenth", &head);
        for ratio in RATIOS {
            for (name, _) in ESTIMATORS.iter().filter(|(_, e)| *e != "root") {
                for compensation in [ONE, TWO] {
                    let cell = |alpha: &f64| {
                        let curve = format!("{name}, {compensation}, alpha {alpha}");
                        results.average(&map_group(ratio), &curve, NORM).map_or("–".into(), short)
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
    results.tail(name, compensation, NORM, 0.25).map_or("–".into(), short)
}
