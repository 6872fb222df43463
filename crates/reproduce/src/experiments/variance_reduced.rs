//! ErrorCompensatedX (Tang et al. 2021): variance-reduced estimators under one-step and two-step
//! compensation.

use std::sync::Arc;

use backburn_compress::{Key, Philox, Stream};

use super::estimators::{Compensation, Estimator, LEVELS, Map, SHARES};
use crate::error::ReproduceError;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Line, Panel, Point};
use crate::loops::vector::{Descent, Length};
use crate::problems::{Problem, Quadratics, Rows, SoftmaxRegression, dot};
use crate::record::judge::{Bound, Equality};
#[cfg(test)]
use crate::record::made::{MADE_SEEDS, Made, Witness};
use crate::record::metric::SQUARED_GRADIENT;
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, mean, quantile};
use crate::words::short;

pub(super) struct VarianceReduced;

/// How a mean square of ErrorCompensatedX's errors goes on from itself, at its own unit root: they stay bounded under
/// random-k where it is below 1. With q = 1 − k/d a coordinate waits, δ_t = A + (2−α)δ_{t−1} − (1−α)δ_{t−2}, and is 0
/// otherwise; with m = E[δ²] and c = E[δ_tδ_{t−1}] that is m = q[(2−α)² + (1−α)²]m − 2q(2−α)(1−α)c and
/// c = q(2−α)m − q(1−α)c, up to what A brings.
fn growth(alpha: f64, kept: f64) -> f64 {
    let (q, a, b) = (1.0 - kept, 2.0 - alpha, 1.0 - alpha);
    q * (a * a + b * b - 2.0 * q * a * a * b / (1.0 + q * b))
}

/// Curves over time, and of them the panel a group each.
const ALPHA: f64 = 0.1;
const KEPT: f64 = 0.6;
const LOGISTIC: GroupName = GroupName::new("full-batch logistic regression");
const RATE: GroupName = GroupName::new("quadratics with noise");
/// α of the map.
const ALPHAS: [f64; 6] = [0.05, 0.1, 0.2, 0.35, 0.5, 0.8];
/// [`growth`] between these is left open: there the second moment is finite and its noise is not.
const STABLE: f64 = 0.95;
const UNSTABLE: f64 = 1.05;
/// How much larger ErrorCompensatedX's level may be than one-step's where its errors stay bounded.
const BOUNDED: f64 = 10.0;
/// Of these every cell is claimed.
const CLAIMED_ALPHAS: [f64; 3] = [0.05, 0.1, 0.2];
const CLAIMED_SHARES: [f64; 2] = [0.8, 0.6];
/// α and k/d against the uncompressed run, on logistic regression.
const LOGISTIC_ALPHAS: [f64; 5] = [0.1, 0.2, 0.35, 0.5, 0.8];
const LOGISTIC_SHARES: [f64; 3] = [0.6, 0.3, 0.1];
/// T of the rate, under γ ~ 1/√T.
const LENGTHS: [u64; 3] = [500, 2000, 8000];
const NOISE: f32 = 0.5;
const RATE_ALPHA: f64 = 0.2;
const WORKERS: usize = 4;
const D: usize = 80;
const GAMMA: f64 = 0.1;
/// Of logistic regression: about 1/L, half of the largest eigenvalue of the rows' second moments being 0.87.
const LOGISTIC_GAMMA: f64 = 1.0;
const ROWS: usize = 400;
const FEATURES: usize = 40;
const LAMBDA: f64 = 1e-3;
/// The part of a run that is judged.
const LATE: f64 = 0.25;
const SOURCE: &str = "Tang et al. 2021, ErrorCompensatedX, abstract";

/// A row of cells.
fn row(estimator: Estimator, alpha: f64) -> CurveName {
    match estimator {
        Estimator::Root => CurveName::new(estimator.name()),
        _ => format!("{}, alpha {alpha}", estimator.name()).into(),
    }
}

fn timed(estimator: Estimator, compensation: Compensation) -> CurveName {
    format!("{}, {}", estimator.name(), compensation.name()).into()
}

/// ln of a cell's level under ErrorCompensatedX over that under one-step compensation, seed by seed.
fn advantage(results: &Results, map: Map, estimator: Estimator, alpha: f64, strength: f64) -> Option<Seeds> {
    let level =
        |compensation: Compensation| at(results, map.group(), row(estimator, alpha), compensation.level(), strength);
    level(Compensation::Two)?.with(&level(Compensation::One)?, |two, one| (two / one).ln())
}

/// Of each seed the value at x.
fn at(results: &Results, group: GroupName, curve: CurveName, metric: Metric, x: f64) -> Option<Seeds> {
    let series = results.series(group, curve, metric);
    let of = |(seed, points): &(u64, Vec<(f64, f64)>)| Some((*seed, points.iter().find(|p| p.0 == x)?.1));
    (!series.is_empty()).then(|| series.iter().map(of).collect::<Option<Seeds>>())?
}

/// The share of cells in which ErrorCompensatedX stays nearer to the uncompressed run, seed by seed.
fn nearer(results: &Results, estimator: Estimator) -> Option<Seeds> {
    let cells = LOGISTIC_ALPHAS.iter().flat_map(|alpha| LOGISTIC_SHARES.map(|kept| (*alpha, kept)));
    let mut won: Option<Seeds> = None;
    for (alpha, kept) in cells {
        let apart =
            |compensation: Compensation| at(results, LOGISTIC, row(estimator, alpha), compensation.apart(), kept);
        let cell =
            apart(Compensation::Two)?.with(&apart(Compensation::One)?, |two, one| f64::from(u8::from(two < one)))?;
        won = Some(match won {
            Some(won) => won.with(&cell, |a, b| a + b)?,
            None => cell,
        });
    }
    let count = (LOGISTIC_ALPHAS.len() * LOGISTIC_SHARES.len()) as f64;
    won.map(|won| won.map(|won| won / count))
}

/// The exponent of T between the ends of a curve, seed by seed.
fn exponent(results: &Results, compensation: Compensation, estimator: Estimator) -> Option<Seeds> {
    let level = |steps: u64| at(results, RATE, timed(estimator, compensation), SQUARED_GRADIENT, steps as f64);
    let (first, last) = (LENGTHS[0], LENGTHS[LENGTHS.len() - 1]);
    Some(level(last)?.over(&level(first)?)?.map(|ratio| ratio.ln() / (last as f64 / first as f64).ln()))
}

fn quadratics(seed: u64, deviation: f32) -> Quadratics {
    let mut random = Philox::new(Key { stream: Stream::VARIANCE_REDUCED, ..Key::new(seed) }.draw());
    Quadratics::new(WORKERS, D, deviation, &mut random)
}

/// Two classes of normal rows by a linear rule with noise, of which a worker has all of one class, or nearly: what a
/// worker has to say does not vanish at the solution, so neither do compression errors. Every gradient is of all rows.
struct FullBatch(SoftmaxRegression);

impl FullBatch {
    fn new(seed: u64) -> Self {
        let mut random = Philox::new(Key { stream: Stream::VARIANCE_REDUCED, ..Key::new(seed) }.draw());
        let mut normal = || random.normal();
        let solution: Vec<f32> = (0..FEATURES).map(|_| normal()).collect();
        let rows: Vec<Vec<f32>> = (0..ROWS).map(|_| (0..FEATURES).map(|_| normal()).collect()).collect();
        let sides = rows.iter().map(|a| dot(a, &solution) as f32 + normal());
        let labels: Arc<Vec<u8>> = Arc::new(sides.map(|side| u8::from(side > 0.0)).collect());
        let mut order: Vec<usize> = (0..ROWS).collect();
        order.sort_by_key(|row| labels[*row]);
        let shards = Arc::new(order.chunks(ROWS / WORKERS).map(<[usize]>::to_vec).collect());
        let rows = Rows::Dense(Arc::new(rows.concat()), FEATURES);
        Self(SoftmaxRegression::new(rows, labels, 2, shards, 1, LAMBDA))
    }
}

impl Problem for FullBatch {
    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn gradient(&self, worker: usize, x: &[f32], _: &mut Philox, g: &mut [f32]) {
        self.0.exact(worker, x, g);
    }

    fn exact(&self, worker: usize, x: &[f32], g: &mut [f32]) {
        self.0.exact(worker, x, g);
    }

    fn loss(&self, worker: usize, x: &[f32]) -> f64 {
        self.0.loss(worker, x)
    }
}

/// One run's level, and its late iterates.
struct Cell {
    level: f64,
    path: Vec<Vec<f32>>,
}

impl Cell {
    /// Runs a cell; nothing is recorded.
    fn run(
        curve: &Curve,
        problem: &dyn Problem,
        seed: u64,
        steps: u64,
        out: &mut Recorder,
    ) -> Result<Self, ReproduceError> {
        let length = Length { steps, points: 100 };
        let (mut sum, mut path) = (0.0, Vec::new());
        let start = vec![0.0; problem.dimension()];
        let mut ended = false;
        Descent::new(curve, problem, seed, start, length, DIVERGED).run(out, |simulation, step, _| {
            if step > (1.0 - LATE) * steps as f64 {
                sum += simulation.squared_gradient();
                path.push(simulation.x().to_vec());
            }
            ended |= step as u64 == steps;
        })?;
        let level = if ended { sum / path.len() as f64 } else { f64::INFINITY };
        // A level that has overflown is no level.
        Ok(Self { level: if level.is_nan() { f64::INFINITY } else { level }, path })
    }

    /// The mean distance of the late iterates.
    fn apart(&self, other: &Self) -> f64 {
        let distance =
            |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        match self.path.len() == other.path.len() {
            true => mean(self.path.iter().zip(&other.path).map(distance)).unwrap_or(f64::INFINITY),
            false => f64::INFINITY,
        }
    }
}

/// Marks where a cell diverged.
const DIVERGED: Metric = Metric::new("diverged");

impl VarianceReduced {
    fn length(setup: &Setup) -> Length {
        Length { steps: setup.scale.pick(60, 2000, 10_000), points: 100 }
    }

    fn logistic_steps(setup: &Setup) -> u64 {
        setup.scale.pick(20, 800, 4000)
    }

    /// A row of cells: without compression, then each share under both compensations.
    fn cells(curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let estimator =
            Estimator::ALL.into_iter().find(|e| curve.name == row(*e, curve.setting)).unwrap_or(Estimator::Root);
        let (quadratic, logistic);
        let map = Map::ALL.into_iter().find(|map| map.group() == curve.group);
        let (problem, steps, shares): (&dyn Problem, u64, &[f64]) = if let Some(map) = map {
            quadratic = quadratics(seed, 0.0);
            (&quadratic, Self::length(setup).steps, map.strengths())
        } else {
            logistic = FullBatch::new(seed);
            (&logistic, Self::logistic_steps(setup), &LOGISTIC_SHARES)
        };
        let of = |compensation: Compensation, kept: f64| Curve {
            algorithm: estimator.form(compensation, curve.setting),
            compressor: compensation.compressor(map.unwrap_or(Map::TopK), kept),
            ..curve.clone()
        };
        let count = (2 * shares.len() + 1) as f64;
        out.part(0.0, 1.0 / count);
        let exact = Cell::run(&of(Compensation::Uncompressed, 1.0), problem, seed, steps, out)?;
        out.record(Compensation::Uncompressed.level(), 1.0, exact.level);
        let mut begun = 1.0;
        for kept in shares {
            for compensation in [Compensation::One, Compensation::Two] {
                out.part(begun / count, (begun + 1.0) / count);
                begun += 1.0;
                let cell = Cell::run(&of(compensation, *kept), problem, seed, steps, out)?;
                out.record(compensation.level(), *kept, cell.level);
                if curve.group == LOGISTIC {
                    out.record(compensation.apart(), *kept, cell.apart(&exact));
                }
            }
        }
        Ok(())
    }
}

impl Experiment for VarianceReduced {
    fn about(&self) -> About {
        About {
            name: "variance-reduced",
            title: "ErrorCompensatedX against one-step compensation for momentum, STORM, ROOT-SGD and IGT",
            source: "Tang et al. 2021, ErrorCompensatedX (abstract)",
            claims: &[
                "ErrorCompensatedX beats one-step compensation: wherever every coordinate is quantised, and under mild top-k",
                "under random-k it is stable inside a boundary of alpha and k/d, and diverges outside",
                "it stays near to the run without compression",
                "its rate is that of no compression",
            ],
            time: ["7 min", "1 h"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let mut curves = Vec::new();
        let mut add =
            |group: GroupName, name: CurveName, form: String, compressor: String, lr: f64, alpha: f64, cost: f64| {
                let curve = Curve::new(group, name, &form, &compressor, lr);
                curves.push(Curve { workers: WORKERS, setting: alpha, cost, ..curve });
            };
        for estimator in Estimator::ALL {
            for compensation in Compensation::ALL {
                let form = estimator.form(compensation, ALPHA);
                add(
                    GroupName::new(estimator.name()),
                    CurveName::new(compensation.name()),
                    form,
                    compensation.compressor(Map::TopK, KEPT),
                    GAMMA,
                    ALPHA,
                    1.0,
                );
                let form = estimator.form(compensation, RATE_ALPHA);
                let name = timed(estimator, compensation);
                add(RATE, name, form, compensation.compressor(Map::TopK, KEPT), GAMMA, RATE_ALPHA, 5.0);
            }
        }
        let mut row_of = |group: GroupName, map: Map, estimator: Estimator, alpha: f64, lr: f64, cost: f64| {
            let form = estimator.form(Compensation::Two, alpha);
            let compressor = Compensation::Two.compressor(map, map.strengths()[0]);
            add(group, row(estimator, alpha), form, compressor, lr, alpha, cost);
        };
        for map in Map::ALL {
            let estimators: &[Estimator] =
                if map == Map::RandomK { &[Estimator::Momentum] } else { &Estimator::WITH_ALPHA };
            let cost = 2.0 * map.strengths().len() as f64 + 1.0;
            for estimator in estimators {
                ALPHAS.into_iter().for_each(|alpha| row_of(map.group(), map, *estimator, alpha, GAMMA, cost));
            }
        }
        row_of(Map::TopK.group(), Map::TopK, Estimator::Root, 0.0, GAMMA, 9.0);
        for estimator in [Estimator::Storm, Estimator::Igt] {
            for alpha in LOGISTIC_ALPHAS {
                row_of(LOGISTIC, Map::TopK, estimator, alpha, LOGISTIC_GAMMA, 40.0);
            }
        }
        curves
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 12, 20)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            (
                "quadratics",
                format!(
                    "1/2 sum h_j (x_j - b_ij)^2, h from 0.1 to 1, b normal, d = {D}, {WORKERS} workers, exact gradients, step size {GAMMA}"
                ),
            ),
            ("steps", format!("{}; {} of logistic regression", Self::length(setup).steps, Self::logistic_steps(setup))),
            (
                "noise",
                format!(
                    "N(0, {NOISE}^2) on every coordinate for the rate; T {LENGTHS:?}, step size {GAMMA} sqrt({}/T), alpha {RATE_ALPHA}",
                    LENGTHS[0]
                ),
            ),
            (
                "logistic regression",
                format!(
                    "{ROWS} normal rows of {FEATURES}, labels of a linear rule with noise, rows dealt by class, full batch; plus {LAMBDA} sum x^2/(1 + x^2)"
                ),
            ),
            (
                "map",
                format!(
                    "alpha {ALPHAS:?}, top-k {SHARES:?}, the same random-k for momentum, QSGD of {LEVELS:?} levels; alpha {LOGISTIC_ALPHAS:?}, top-k {LOGISTIC_SHARES:?} of logistic regression"
                ),
            ),
            ("curves over time", format!("alpha {ALPHA}, 1/t for ROOT-SGD; top-k {KEPT}")),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["Only the abstract is at hand: problems, sizes and step sizes are this project's. Gradients are exact where compensation is judged: with minibatches their noise is a level that all runs share.".into(),
            "Its analysis asks for errors of bounded size. Under a quantiser they are, whatever alpha; under top-k and random-k a coordinate that waits grows by A/alpha a step instead of A, so small alpha under strong sparsification loses what compensation gains, or diverges: the last panels show where.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        match curve.group {
            group if group == LOGISTIC || Map::ALL.iter().any(|map| map.group() == group) => {
                Self::cells(curve, seed, setup, out)
            }
            RATE => {
                let problem = quadratics(seed, NOISE);
                for at in LENGTHS {
                    let steps = setup.scale.pick(at / 20, at, at);
                    let lr = GAMMA * (LENGTHS[0] as f64 / at as f64).sqrt();
                    let cell = Cell::run(&Curve { lr, ..curve.clone() }, &problem, seed, steps, out)?;
                    out.record(SQUARED_GRADIENT, at as f64, cell.level);
                }
                Ok(())
            }
            _ => {
                let problem = quadratics(seed, 0.0);
                let start = vec![0.0; D];
                Descent::new(curve, &problem, seed, start, Self::length(setup), SQUARED_GRADIENT)
                    .run(out, |simulation, step, out| out.record(SQUARED_GRADIENT, step, simulation.squared_gradient()))
            }
        }
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let wins = Bound::at_most("ln of the late squared gradient norm over one-step's, seed by seed", 0.0);
        let cell = |map: Map, estimator, (alpha, strength): (f64, f64)| {
            let label = format!("{}, {}", row(estimator, alpha), map.cell(strength));
            (label, advantage(results, map, estimator, alpha, strength))
        };
        let product = |alphas: &[f64], strengths: &[f64]| -> Vec<(f64, f64)> {
            alphas.iter().flat_map(|alpha| strengths.iter().map(|strength| (*alpha, *strength))).collect()
        };
        let mut claims = Vec::new();
        for estimator in Estimator::WITH_ALPHA {
            let name = estimator.name();
            let about = Claim::about(
                format!(
                    "Where every coordinate is quantised ErrorCompensatedX beats one-step compensation for every alpha below 1, for {name}"
                ),
                SOURCE,
            );
            let cells = product(&ALPHAS, &LEVELS);
            claims.push(about.each(&wins, cells.iter().map(|c| cell(Map::Quantised, estimator, *c))).judged());
        }
        for estimator in Estimator::WITH_ALPHA {
            let name = estimator.name();
            let about = Claim::about(
                format!("ErrorCompensatedX beats one-step compensation for {name}: alpha to 0.2, top-k 80 and 60 %"),
                SOURCE,
            );
            let cells = product(&CLAIMED_ALPHAS, &CLAIMED_SHARES);
            claims.push(about.each(&wins, cells.iter().map(|c| cell(Map::TopK, estimator, *c))).judged());
        }
        let about =
            Claim::about("ErrorCompensatedX beats one-step compensation for ROOT-SGD: top-k 80 and 60 %", SOURCE);
        let cells = CLAIMED_SHARES.map(|kept| cell(Map::TopK, Estimator::Root, (0.0, kept)));
        claims.push(about.each(&wins, cells).judged());
        let what = "ln of the late squared gradient norm over one-step's";
        let [stable, unstable] = [true, false].map(|stable| {
            let cells = product(&ALPHAS, &SHARES).into_iter().filter(move |(alpha, kept)| {
                let growth = growth(*alpha, *kept);
                if stable { growth <= STABLE } else { growth >= UNSTABLE }
            });
            cells.map(|c| cell(Map::RandomK, Estimator::Momentum, c)).collect::<Vec<_>>()
        });
        claims.push(
            Claim::about(
                format!("Under random-k ErrorCompensatedX stays bounded where the mean square of its errors must: growth to {STABLE}"),
                SOURCE,
            )
            .each(&Bound::at_most(what, BOUNDED.ln()), stable)
            .judged(),
        );
        claims.push(
            Claim::about(
                format!("Under random-k it diverges where the mean square of its errors must: growth from {UNSTABLE}"),
                SOURCE,
            )
            .each(&Bound::at_least(what, BOUNDED.ln()), unstable)
            .judged(),
        );
        for estimator in [Estimator::Storm, Estimator::Igt] {
            let name = estimator.name();
            claims.push(
                Claim::about(format!("ErrorCompensatedX stays nearer than one-step compensation to no compression, for {name}"), SOURCE)
                    .part(
                        "",
                        Bound::at_least("share of the cells of alpha and k/d on full-batch logistic regression in which its late iterates are nearer", 0.9),
                        nearer(results, estimator),
                    )
                    .judged(),
            );
        }
        for estimator in Estimator::ALL {
            let name = estimator.name();
            let difference = exponent(results, Compensation::Two, estimator).and_then(|two| {
                two.with(&exponent(results, Compensation::Uncompressed, estimator)?, |two, none| two - none)
            });
            let longest = LENGTHS[LENGTHS.len() - 1] as f64;
            let level = |compensation| at(results, RATE, timed(estimator, compensation), SQUARED_GRADIENT, longest);
            let ratio = level(Compensation::Two).and_then(|two| two.over(&level(Compensation::Uncompressed)?));
            claims.push(
                Claim::about(format!("ErrorCompensatedX has the rate of no compression, for {name}"), SOURCE)
                    .part(
                        "exponent",
                        Equality::within("exponent of T less that of no compression", -0.1, 0.1),
                        difference,
                    )
                    .part(
                        "level",
                        Equality::within("level at the largest T over that of no compression", 0.8, 1.25),
                        ratio,
                    )
                    .judged(),
            );
        }
        claims
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let level = |made: Made, map: Map, estimator, alpha, compensation: Compensation, values: [f64; 2]| {
            let of = |seed: u64| map.strengths().iter().map(|kept| (*kept, values[(seed % 2) as usize])).collect();
            let seeds = (1..=MADE_SEEDS).map(|seed| (seed, of(seed)));
            made.paths(map.group(), row(estimator, alpha), compensation.level(), seeds)
        };
        // Under random-k, of each share by how its errors must grow; with other values for those on one side.
        let random = |mut made: Made, other: Option<(bool, [f64; 2])>| {
            for alpha in ALPHAS {
                let value = |kept: f64, seed: u64| {
                    let bounded = growth(alpha, kept) < 1.0;
                    match other.filter(|(side, _)| *side == bounded) {
                        Some((_, values)) => values[(seed % 2) as usize],
                        None if bounded => 0.5,
                        None => 1e9,
                    }
                };
                let of = |seed: u64| SHARES.map(|kept| (kept, value(kept, seed))).to_vec();
                let seeds: Vec<_> = (1..=MADE_SEEDS).map(|seed| (seed, of(seed))).collect();
                let (group, name) = (Map::RandomK.group(), row(Estimator::Momentum, alpha));
                made = made.paths(group, name, Compensation::Two.level(), seeds);
                made = level(made, Map::RandomK, Estimator::Momentum, alpha, Compensation::One, [1.0; 2]);
            }
            made
        };
        let apart = |made: Made, estimator, alpha, compensation: Compensation, values: [f64; 2]| {
            let of = |seed: u64| LOGISTIC_SHARES.map(|kept| (kept, values[(seed % 2) as usize])).to_vec();
            let seeds = (1..=MADE_SEEDS).map(|seed| (seed, of(seed)));
            made.paths(LOGISTIC, row(estimator, alpha), compensation.apart(), seeds)
        };
        let rate = |made: Made, estimator, compensation: Compensation, factors: [f64; 2]| {
            let of = |seed: u64| LENGTHS.map(|t| (t as f64, factors[(seed % 2) as usize] / (t as f64).sqrt())).to_vec();
            let seeds = (1..=MADE_SEEDS).map(|seed| (seed, of(seed)));
            made.paths(RATE, timed(estimator, compensation), SQUARED_GRADIENT, seeds)
        };
        let mut made = random(Made::default(), None);
        for estimator in Estimator::ALL {
            let (alphas, maps): (&[f64], &[Map]) = match estimator {
                Estimator::Root => (&[0.0], &[Map::TopK]),
                _ => (&ALPHAS, &[Map::TopK, Map::Quantised]),
            };
            for alpha in alphas {
                for map in maps {
                    made = level(made, *map, estimator, *alpha, Compensation::One, [1.0; 2]);
                    made = level(made, *map, estimator, *alpha, Compensation::Two, [0.5; 2]);
                }
            }
            for compensation in Compensation::ALL {
                made = rate(made, estimator, compensation, [1.0; 2]);
            }
        }
        for (estimator, alpha) in
            [Estimator::Storm, Estimator::Igt].iter().flat_map(|e| LOGISTIC_ALPHAS.map(|alpha| (*e, alpha)))
        {
            made = apart(made, estimator, alpha, Compensation::One, [1.0; 2]);
            made = apart(made, estimator, alpha, Compensation::Two, [0.5; 2]);
        }
        let mut witnesses = vec![made.all_hold()];
        let mut both = |claim: &'static str, change: &dyn Fn([f64; 2]) -> Made| {
            witnesses.push(change([2.0; 2]).fails(claim));
            witnesses.push(change([2.0, 0.4]).undecided(claim));
        };
        let two = Compensation::Two;
        for (estimator, topk, quantised) in [
            (
                Estimator::Momentum,
                "ErrorCompensatedX beats one-step compensation for momentum",
                "Where every coordinate is quantised ErrorCompensatedX beats one-step compensation for every alpha below 1, for momentum",
            ),
            (
                Estimator::Storm,
                "ErrorCompensatedX beats one-step compensation for STORM",
                "Where every coordinate is quantised ErrorCompensatedX beats one-step compensation for every alpha below 1, for STORM",
            ),
            (
                Estimator::Igt,
                "ErrorCompensatedX beats one-step compensation for IGT",
                "Where every coordinate is quantised ErrorCompensatedX beats one-step compensation for every alpha below 1, for IGT",
            ),
        ] {
            both(topk, &|values| level(made.clone(), Map::TopK, estimator, 0.2, two, values));
            both(quantised, &|values| level(made.clone(), Map::Quantised, estimator, 0.8, two, values));
        }
        both("Under random-k ErrorCompensatedX stays", &|values| {
            random(made.clone(), Some((true, values.map(|v| v.powi(9)))))
        });
        both("ErrorCompensatedX beats one-step compensation for ROOT", &|values| {
            level(made.clone(), Map::TopK, Estimator::Root, 0.0, two, values)
        });
        for (estimator, claim) in [
            (
                Estimator::Storm,
                "ErrorCompensatedX stays nearer than one-step compensation to no compression, for STORM",
            ),
            (Estimator::Igt, "ErrorCompensatedX stays nearer than one-step compensation to no compression, for IGT"),
        ] {
            both(claim, &|values| apart(made.clone(), estimator, 0.2, two, values));
        }
        for (estimator, claim) in [
            (Estimator::Momentum, "ErrorCompensatedX has the rate of no compression, for momentum"),
            (Estimator::Storm, "ErrorCompensatedX has the rate of no compression, for STORM"),
            (Estimator::Igt, "ErrorCompensatedX has the rate of no compression, for IGT"),
            (Estimator::Root, "ErrorCompensatedX has the rate of no compression, for ROOT"),
        ] {
            both(claim, &|values| rate(made.clone(), estimator, two, values));
        }
        let outside = |values| random(made.clone(), Some((false, values)));
        witnesses.push(outside([0.5; 2]).fails("Under random-k it diverges"));
        witnesses.push(outside([1e-3, 1e3]).undecided("Under random-k it diverges"));
        witnesses
    }

    fn figure(&self, results: &Results) -> Figure {
        let y = || Axis::log("squared gradient norm");
        let curves = Estimator::ALL.map(|estimator| {
            Panel::of(results, GroupName::new(estimator.name()), SQUARED_GRADIENT, Axis::linear("iteration"), y())
        });
        let point = |map: Map, estimator, alpha: f64, strength: f64, x: f64| {
            let ratios = advantage(results, map, estimator, alpha, strength)?.map(|ln| ln.clamp(-30.0, 30.0).exp());
            let [low, high] = [0.1, 0.9].map(|q| quantile(&ratios.values(), q));
            Some(Point { x, mean: mean(ratios.values())?, low: low?, high: high? })
        };
        let ratio = || Axis::log("ratio of the late squared gradient norms");
        let maps = Estimator::WITH_ALPHA.map(|estimator| {
            let lines = [Map::TopK, Map::Quantised].into_iter().flat_map(|map| {
                map.strengths().iter().map(move |strength| Line {
                    label: map.cell(*strength).into(),
                    points: ALPHAS
                        .iter()
                        .filter_map(|alpha| point(map, estimator, *alpha, *strength, *alpha))
                        .collect(),
                    marked: true,
                })
            });
            let title = format!("{}: ErrorCompensatedX over one-step", estimator.name());
            Panel { title, x: Axis::log("alpha"), y: ratio(), lines: lines.collect() }
        });
        let lines = SHARES.map(|kept| {
            let mut points: Vec<Point> = (ALPHAS.iter())
                .filter_map(|alpha| point(Map::RandomK, Estimator::Momentum, *alpha, kept, growth(*alpha, kept)))
                .collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            Line { label: Map::RandomK.cell(kept).into(), points, marked: true }
        });
        let boundary = Panel {
            title: "random-k, momentum: ErrorCompensatedX over one-step".into(),
            x: Axis::linear("growth of the mean squared error: bounded below 1"),
            y: ratio(),
            lines: lines.into(),
        };
        let mut rate = Panel::of(results, RATE, SQUARED_GRADIENT, Axis::log("T"), y());
        rate.lines.iter_mut().for_each(|line| line.marked = true);
        let panels = curves.into_iter().chain(maps).chain([boundary, rate]);
        Figure::new(2, panels.filter(|panel| panel.lines.iter().any(|line| !line.points.is_empty())).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let told = |seeds: Option<Seeds>| seeds.map_or("–".into(), |seeds| short(seeds.mean()));
        let mut maps = Vec::new();
        for map in Map::ALL {
            let title = format!("Late squared gradient norm, {}", map.group());
            let mut table = Table::new(title, &["estimator", "compensation", "uncompressed"]);
            table.head.extend(map.strengths().iter().map(|strength| map.cell(*strength)));
            for curve in results.curves(map.group()) {
                for compensation in [Compensation::One, Compensation::Two] {
                    let exact = told(at(results, map.group(), curve, Compensation::Uncompressed.level(), 1.0));
                    let level = |s: &f64| told(at(results, map.group(), curve, compensation.level(), *s));
                    let cells = map.strengths().iter().map(level);
                    table
                        .rows
                        .push([curve.into(), compensation.name().into(), exact].into_iter().chain(cells).collect());
                }
            }
            maps.push(table);
        }
        let mut logistic = Table::new(
            "Late distance to the uncompressed run, full-batch logistic regression",
            &["estimator", "compensation"],
        );
        logistic.head.extend(LOGISTIC_SHARES.map(|kept| format!("top-k {} %", 100.0 * kept)));
        for curve in results.curves(LOGISTIC) {
            for compensation in [Compensation::One, Compensation::Two] {
                let cells = LOGISTIC_SHARES.map(|kept| told(at(results, LOGISTIC, curve, compensation.apart(), kept)));
                logistic.rows.push([curve.into(), compensation.name().into()].into_iter().chain(cells).collect());
            }
        }
        let mut rate = Table::new("Late squared gradient norm with noise", &["curve"]);
        rate.head.extend(LENGTHS.map(|steps| format!("T = {steps}")));
        for curve in results.curves(RATE) {
            let cells = LENGTHS.map(|steps| told(at(results, RATE, curve, SQUARED_GRADIENT, steps as f64)));
            rate.rows.push(std::iter::once(curve.into()).chain(cells).collect());
        }
        maps.extend([logistic, rate]);
        maps
    }
}
