//! Sahu et al. (2021): a hard threshold has less total error than top-k of as many coordinates.

use std::sync::Arc;

use backburn_compress::Scope;

use crate::error::ReproduceError;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::advance::{End, advance, save};
use crate::loops::logistic::{LAMBDA, Labelled};
use crate::loops::owed::Owed;
use crate::loops::train::{Watch, config, data, train};
use crate::loops::vector::{Descent, Length};
use crate::problems::{Problem, Rows, Slope, SoftmaxRegression, square};
use crate::record::judge::{Bound, Equality, Exact, Paired};
#[cfg(test)]
use crate::record::made::{MADE_SEEDS, Made, Witness, steady, torn};
use crate::record::metric::{MEGABYTES_UP, TEST_ACCURACY, TRAIN_LOSS};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary};
use crate::words::short;
use backburn_train::models::ModelKind;
use backburn_train::run::{RunConfig, Trainer};
use backburn_train::session::Schedule;

pub(super) struct TotalError;

const TOTAL: Metric = Metric::new("total error");
const K: Metric = Metric::new("k");
const COUNT: Metric = Metric::new("coordinates sent");
const THRESHOLD: CurveName = CurveName::new("hard threshold");
const TOP: CurveName = CurveName::new("top-k");
/// λ, on γg + e.
const LAMBDAS: [f64; 2] = [0.01, 0.03];
const SOURCE: &str = "Sahu et al. 2021, Rethinking gradient sparsification as total error minimization, abstract";

/// A vector of drift and noise under γ 1, 0.1, 0.01, divided at a half and at three quarters; or a constant γ.
const DRIFT: GroupName = GroupName::new("drift and noise");
const FALLING: CurveName = CurveName::new("falling step");
const CONSTANT: CurveName = CurveName::new("constant step");
/// Total error of the threshold over that of top-k of as many coordinates, at x = drift/noise.
const RATIO: Metric = Metric::new("total error, threshold over top-k");
/// Coordinates sent by top-k over those sent by the threshold.
const SENT: Metric = Metric::new("sent by top-k over sent by the threshold");
/// Drift over noise; the ends are pure.
const MIXTURES: [f64; 7] = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0, DRIFT_ALONE];
/// Stands for no noise at all.
const DRIFT_ALONE: f64 = 100.0;
const D: usize = 200;
/// Coordinates a step, about.
const SPENT: f64 = 10.0;
/// (mean γ)²/mean γ² of the falling step.
const THEORY: f64 = 0.5275 * 0.5275 / 0.502_525;

/// Recorded p_t of a regression.
const RECORDED: GroupName = GroupName::new("recorded p_t");
/// Σ‖p_t − C(p_t)‖² under the threshold over that of another choice of as many coordinates in all.
const OVER_TOP: Metric = Metric::new("squared errors over those of equal k");
const OVER_NORM: Metric = Metric::new("squared errors over those of k by norm");
const OVER_SWAP: Metric = Metric::new("squared errors over those of exchanged coordinates");

/// Top-k of 0.1 % of a regression's coordinates.
const FEW: GroupName = GroupName::new("top-k 0.1 %");
const SGD: CurveName = CurveName::new("uncompressed");
/// λ of the recorded run: about 1 % of the coordinates.
const RECORDED_LAMBDA: f64 = 0.05;

fn group(lambda: f64) -> GroupName {
    format!("threshold {lambda}").into()
}

/// γ at a step of a run of so many.
fn falling(step: u64, steps: u64) -> f64 {
    match (2 * step >= steps, 4 * step >= 3 * steps) {
        (_, true) => 0.01,
        (true, _) => 0.1,
        _ => 1.0,
    }
}

impl TotalError {
    fn config(curve: &Curve, seed: u64, setup: &Setup) -> Result<RunConfig, ReproduceError> {
        Ok(RunConfig {
            model: setup.scale.pick(ModelKind::ConvNet, ModelKind::ConvNet, ModelKind::ResNet18),
            scope: Scope::Global,
            subset: setup.scale.pick(256, 2000, 0),
            epochs: setup.scale.pick(4.0, 15.0, 200.0),
            // Divided by 10 at a half and at three quarters.
            schedule: Schedule { lr: curve.lr, ..Schedule::default() },
            ..config(curve, seed, setup)?
        })
    }

    fn data(setup: &Setup) -> &'static str {
        setup.scale.pick("fashion-mnist", "fashion-mnist", "cifar10")
    }

    fn steps(setup: &Setup, group: GroupName) -> u64 {
        match group {
            DRIFT => setup.scale.pick(100, 4000, 40_000),
            RECORDED => setup.scale.pick(20, 300, 3000),
            _ => setup.scale.pick(40, 6000, 60_000),
        }
    }

    /// The total error of a vector's run, and how many coordinates a step sent in the mean.
    fn vector(
        curve: &Curve,
        compressor: String,
        problem: &dyn Problem,
        seed: u64,
        setup: &Setup,
        out: &mut Recorder,
    ) -> Result<(f64, f64), ReproduceError> {
        let steps = Self::steps(setup, DRIFT);
        let at = Curve { compressor, ..curve.clone() };
        let constant = curve.name == CONSTANT;
        let (mut total, mut sent) = (0.0, 0.0);
        let mut before = vec![0.0; D];
        let length = Length { steps, points: steps };
        Descent::new(&at, problem, seed, before.clone(), length, TOTAL)
            .with_lr(move |step| if constant { 1.0 } else { falling(step, steps) })
            .run(out, |simulation, step, _| {
                if step == 0.0 {
                    return;
                }
                let mut owed = Owed::default();
                simulation.cluster().visit(&mut owed);
                total += square(owed.0.as_slice());
                sent += simulation.x().iter().zip(&before).filter(|(a, b)| a != b).count() as f64;
                before.copy_from_slice(simulation.x());
            })?;
        Ok((total, sent / steps as f64))
    }

    /// Threshold and top-k over the mixtures of drift and noise.
    fn mixtures(curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let mean = |power: i32| match curve.name == CONSTANT {
            true => 1.0,
            false => 0.5 + 0.25 * 0.1f64.powi(power) + 0.25 * 0.01f64.powi(power),
        };
        for (i, mixture) in MIXTURES.into_iter().enumerate() {
            let part = |from: f64| (i as f64 + from) / MIXTURES.len() as f64;
            let (drift, deviation) = if mixture == DRIFT_ALONE { (1.0, 0.0) } else { (mixture as f32, 1.0) };
            let problem = Slope { dimension: D, drift, deviation };
            // What sends about as many coordinates: a drift crosses λ at the rate γ drift/λ, noise at γ²/λ².
            let share = SPENT / D as f64;
            let along = f64::from(drift) * mean(1) / share;
            let across = f64::from(deviation) * (mean(2) / share).sqrt();
            let lambda = along.hypot(across);
            out.part(part(0.0), part(0.5));
            let (threshold, sent) = Self::vector(curve, format!("threshold:{lambda}"), &problem, seed, setup, out)?;
            let k = sent.round().max(1.0);
            out.part(part(0.5), part(1.0));
            let (top, _) = Self::vector(curve, format!("topk:k={k}"), &problem, seed, setup, out)?;
            // To equal counts: total error is as 1/k² of drift and as 1/k of noise, and k is whole.
            let power = (along * along * 2.0 + across * across) / (along * along + across * across);
            out.record(RATIO, mixture, threshold / (top * (k / sent).powf(power)));
            out.record(SENT, mixture, k / sent);
        }
        Ok(())
    }

    /// Softmax regression on the images: in training, and on those for tests.
    fn regressions(setup: &Setup) -> Result<[SoftmaxRegression; 2], ReproduceError> {
        let split = setup.images("mnist")?;
        let train = Labelled::images(setup, "mnist")?;
        let pool = setup.scale.pick(4, 2, 1);
        let all = |n: usize| Arc::new(vec![(0..n).collect::<Vec<usize>>()]);
        let rows = Rows::of_images(&split.test, pool);
        let labels = Arc::new(split.test.labels().to_vec());
        let count = labels.len();
        Ok([
            SoftmaxRegression::new(
                train.rows.clone(),
                train.labels.clone(),
                train.classes,
                all(train.labels.len()),
                64,
                LAMBDA,
            ),
            SoftmaxRegression::new(rows, labels, train.classes, all(count), 1, LAMBDA),
        ])
    }

    /// Records every p_t of a run, and compares ways to spend as many coordinates on them.
    fn recorded(curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let [problem, _] = Self::regressions(setup)?;
        let steps = Self::steps(setup, RECORDED);
        let mut before = vec![0.0; problem.dimension()];
        let mut recorded: Vec<Vec<f32>> = Vec::new();
        let length = Length { steps, points: steps };
        Descent::new(curve, &problem, seed, before.clone(), length, TOTAL)
            .with_lr(move |step| falling(step, steps))
            .run(out, |simulation, step, _| {
                if step > 0.0 {
                    let mut owed = Owed::default();
                    simulation.cluster().visit(&mut owed);
                    // p = C(p) + e, and x moved by C(p).
                    let moved = before.iter().zip(simulation.x()).map(|(old, new)| old - new);
                    recorded.push(moved.zip(owed.0.as_slice().iter()).map(|(c, e)| c + e).collect());
                    before.copy_from_slice(simulation.x());
                }
            })?;
        let spent = Spent::by_threshold(&recorded, curve.setting as f32);
        for (metric, counts) in
            [(OVER_TOP, spent.evenly()), (OVER_NORM, spent.by_norm()), (OVER_SWAP, spent.exchanged())]
        {
            out.record(metric, 0.0, spent.error / spent.error_of(&counts));
        }
        out.record(COUNT, 0.0, spent.total as f64 / steps as f64);
        Ok(())
    }

    /// Top-k of 0.1 %, or no compression, of a regression.
    fn few(curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let [train, test] = Self::regressions(setup)?;
        let steps = Self::steps(setup, FEW);
        let start = vec![0.0; train.dimension()];
        let length = Length { steps, points: 20 };
        Descent::new(curve, &train, seed, start, length, TRAIN_LOSS).run(out, |simulation, step, out| {
            out.record(TRAIN_LOSS, step, simulation.objective());
            out.record(TEST_ACCURACY, step, test.accuracy(simulation.x()));
        })
    }
}

/// A record of vectors, and what a threshold spends on them.
struct Spent {
    /// Of every vector its squares, largest first.
    squares: Vec<Vec<f64>>,
    counts: Vec<usize>,
    total: usize,
    /// Σ‖p_t − C(p_t)‖².
    error: f64,
}

impl Spent {
    fn by_threshold(vectors: &[Vec<f32>], lambda: f32) -> Self {
        let squares: Vec<Vec<f64>> = vectors
            .iter()
            .map(|p| {
                let mut squares: Vec<f64> = p.iter().map(|v| f64::from(*v).powi(2)).collect();
                squares.sort_by(|a, b| b.total_cmp(a));
                squares
            })
            .collect();
        let counts: Vec<usize> = vectors.iter().map(|p| p.iter().filter(|v| v.abs() >= lambda).count()).collect();
        let total = counts.iter().sum();
        let spent = Self { squares, counts, total, error: 0.0 };
        Self { error: spent.error_of(&spent.counts), ..spent }
    }

    /// Σ‖p_t − C(p_t)‖² of top-k with a k of each vector's own, which is the best that so many coordinates can do.
    fn error_of(&self, counts: &[usize]) -> f64 {
        self.squares.iter().zip(counts).map(|(squares, k)| squares[(*k).min(squares.len())..].iter().sum::<f64>()).sum()
    }

    /// The same in all, k ± 1 a vector.
    fn evenly(&self) -> Vec<usize> {
        let t = self.counts.len().max(1);
        (0..self.counts.len()).map(|i| self.total * (i + 1) / t - self.total * i / t).collect()
    }

    /// The same in all, in proportion to the norm.
    fn by_norm(&self) -> Vec<usize> {
        let norms: Vec<f64> = self.squares.iter().map(|squares| squares.iter().sum::<f64>().sqrt()).collect();
        let all: f64 = norms.iter().sum();
        let mut so_far = 0.0;
        let mut before = 0;
        let mut counts = Vec::new();
        for norm in norms {
            so_far += norm;
            let until = (self.total as f64 * so_far / all.max(1e-300)).round() as usize;
            counts.push(until - before);
            before = until;
        }
        counts
    }

    /// The threshold's own, but that every other vector with something to give gives one coordinate to the next.
    fn exchanged(&self) -> Vec<usize> {
        let mut counts = self.counts.clone();
        for i in (1..counts.len()).step_by(2) {
            if counts[i - 1] > 0 {
                counts[i - 1] -= 1;
                counts[i] += 1;
            }
        }
        counts
    }
}

/// How many coordinates a step has sent, the mean over workers.
fn sent(trainer: &mut Trainer) -> (f64, f64) {
    let length = trainer.trains().group().layout().len() as f64;
    let seen = trainer.trains_mut().observe();
    (seen.residual_norm().powi(2), seen.density().unwrap_or(0.0) * length)
}

impl Experiment for TotalError {
    fn about(&self) -> About {
        About {
            name: "total-error",
            title: "Hard threshold against top-k of as many coordinates: the sum of the squared errors of all steps",
            source: SOURCE,
            claims: &[
                "hard threshold's total error is below top-k's at equal bits, where gradients drift",
                "for given vectors a threshold has the least total error",
                "at no loss of accuracy; top-k of 0.1 % neither",
            ],
            time: ["5 min", "3 days"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let curve = |lambda: f64, name: CurveName, compressor: String, cost: f64| Curve {
            workers: 4,
            batch: 64,
            setting: lambda,
            cost: 20.0 * cost,
            ..Curve::new(group(lambda), name, "ef-sgd", &compressor, 0.1)
        };
        let vector = |group: GroupName, name: CurveName, algorithm: &str, compressor: &str, setting: f64| Curve {
            setting,
            ..Curve::new(group, name, algorithm, compressor, 1.0)
        };
        let pair = |lambda: f64| {
            [
                curve(lambda, THRESHOLD, format!("threshold:{lambda}"), 1.0),
                // Its k is the threshold's mean count, and found first.
                curve(lambda, TOP, "topk:k=1".into(), 2.0),
            ]
        };
        let few = setup.scale.pick("topk:k=1", "topk:k=2", "topk:k=8");
        let vectors = [
            vector(DRIFT, FALLING, "ef-sgd", "threshold:1", 0.0),
            vector(DRIFT, CONSTANT, "ef-sgd", "threshold:1", 0.0),
            vector(RECORDED, THRESHOLD, "ef-sgd", &format!("threshold:{RECORDED_LAMBDA}"), RECORDED_LAMBDA),
            vector(FEW, SGD, "sgd", "identity", 0.0),
            vector(FEW, TOP, "ef-sgd", few, 0.0),
        ];
        // Those that train a model last.
        vectors.into_iter().chain(LAMBDAS.into_iter().flat_map(pair)).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 5, 5)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let model = setup.scale.pick("convnet", "convnet", "resnet18");
        vec![
            ("model", format!("{model} on {}", setup.image_set(Self::data(setup)))),
            ("epochs", setup.scale.pick("4", "15", "200").into()),
            (
                "workers",
                "4, batch 64, no momentum; step 0.1, divided by 10 at a half and at three quarters of the run".into(),
            ),
            (
                "threshold",
                "the same throughout, on the step size times the gradient plus the error, over the whole model".into(),
            ),
            ("k", "the mean count of the threshold's run with the same seed".into()),
            (
                "drift and noise",
                format!(
                    "d = {D}, g = drift c + N(0, 1), {} steps, step size 1, 0.1, 0.01 or 1; thresholds that send about {SPENT} coordinates a step",
                    Self::steps(setup, DRIFT)
                ),
            ),
            (
                "recorded p_t",
                format!(
                    "softmax regression on {}, batch 64, threshold {RECORDED_LAMBDA}, step size 1, 0.1, 0.01, {} steps",
                    setup.image_set("mnist"),
                    Self::steps(setup, RECORDED)
                ),
            ),
            ("top-k 0.1 %", format!("the same regression, step size 1, {} steps", Self::steps(setup, FEW))),
            ("total error", "sum of ||e_t||^2, the mean over workers, step sizes inside the error".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec![
            "Only the abstract is at hand: model, sizes, thresholds and step sizes are this project's; the schedule is that of the other papers.".into(),
            "The rule 1/(2 sqrt k) for the threshold presumes vectors of norm 1 and is not used: thresholds are given.".into(),
        ]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        match curve.group {
            DRIFT => return Self::mixtures(curve, seed, setup, out),
            RECORDED => return Self::recorded(curve, seed, setup, out),
            FEW => return Self::few(curve, seed, setup, out),
            _ => {}
        }
        let split = data(setup, Self::data(setup))?;
        let mut config = Self::config(curve, seed, setup)?;
        if curve.name == TOP {
            out.part(0.0, 0.5);
            let k = Self::count(curve, seed, setup, out)?;
            out.record(K, 0.0, k as f64);
            config.compressor = format!("topk:k={k}").parse()?;
            out.part(0.5, 1.0);
        }
        let every = setup.scale.pick(1, 10, 100);
        let watch = Watch { points: setup.scale.pick(2, 10, 100), train_accuracy: false };
        let mut last = 0;
        let end = train(config, split, watch, out, |trainer, step, sums, out| {
            let (error, count) = sent(trainer);
            let total = sums.add(TOTAL.name(), error);
            last = trainer.progress().1 - 1;
            if step.number.is_multiple_of(every) || step.number == last {
                out.record(TOTAL, step.number as f64, total);
                out.record(COUNT, step.number as f64, count);
            }
        })?;
        if end == End::Diverged {
            out.record(TOTAL, last as f64, f64::INFINITY);
        }
        Ok(())
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let at = |curve: CurveName, x: f64| {
            let series = results.series(DRIFT, curve, RATIO);
            let of = |(seed, points): &(u64, Vec<(f64, f64)>)| Some((*seed, points.iter().find(|p| p.0 == x)?.1));
            (!series.is_empty()).then(|| series.iter().map(of).collect::<Option<Seeds>>())?
        };
        let most = |metric| Some(results.seeds(RECORDED, THRESHOLD, metric, Summary::Last)?.most());
        let ratio = "total error, threshold over top-k of as many coordinates";
        let mut claims = vec![
            Claim::about("Of pure noise neither has less total error, whatever the step size does", SOURCE)
                .each(&Equality::within(ratio, 0.9, 1.1), [FALLING, CONSTANT].map(|curve| (curve, at(curve, 0.0))))
                .judged(),
            Claim::about("Of pure drift under a constant step neither has", SOURCE)
                .part("", Equality::within(ratio, 0.9, 1.1), at(CONSTANT, DRIFT_ALONE))
                .judged(),
            Claim::about(
                "Of pure drift under a falling step the threshold has (mean gamma)^2/mean gamma^2 of top-k's: 0.554",
                SOURCE,
            )
            .part("", Equality::within(ratio, 0.9 * THEORY, 1.1 * THEORY), at(FALLING, DRIFT_ALONE))
            .judged(),
            Claim::about(
                "Of given vectors no choice of as many coordinates has less total error than a threshold's",
                "the same, Theorem on the hard threshold",
            )
            .part(
                "top-k of equal k",
                Exact::at_most("largest ratio of the squared errors over seeds", 1.0),
                most(OVER_TOP),
            )
            .part(
                "k in proportion to the norm",
                Exact::at_most("largest ratio of the squared errors over seeds", 1.0),
                most(OVER_NORM),
            )
            .part(
                "coordinates exchanged between neighbours",
                Exact::at_most("largest ratio of the squared errors over seeds", 1.0),
                most(OVER_SWAP),
            )
            .judged(),
            Claim::about(
                "Top-k of 0.1 % with feedback trains to the same quality for the same number of steps",
                SOURCE,
            )
            .part(
                "",
                Equality::within("last test accuracy less that without compression", -0.02, 0.02),
                results
                    .seeds(FEW, TOP, TEST_ACCURACY, Summary::Last)
                    .and_then(|top| top.with(&results.seeds(FEW, SGD, TEST_ACCURACY, Summary::Last)?, |a, b| a - b)),
            )
            .judged(),
        ];
        for group in LAMBDAS.map(group) {
            let last = |curve, metric| results.seeds(group, curve, metric, Summary::Last);
            claims.push(
                Claim::about(format!("{group}: the total error is below that of top-k at equal bits"), SOURCE)
                    .part(
                        "total error",
                        Paired::below("of the threshold and of top-k"),
                        last(THRESHOLD, TOTAL).zip(last(TOP, TOTAL)),
                    )
                    .part(
                        "bits",
                        Paired::below("megabytes sent, of the threshold and of top-k").times(1.05),
                        last(THRESHOLD, MEGABYTES_UP).zip(last(TOP, MEGABYTES_UP)),
                    )
                    .judged(),
            );
            let gap = last(THRESHOLD, TEST_ACCURACY).and_then(|a| a.with(&last(TOP, TEST_ACCURACY)?, |a, b| a - b));
            claims.push(
                Claim::about(format!("{group}: the accuracy is that of top-k, or better"), SOURCE)
                    .part("", Bound::at_least("last test accuracy less that of top-k", -0.01), gap)
                    .judged(),
            );
        }
        claims
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        // With every other seed a factor.
        let ratios = |made: Made, curve: CurveName, ends: [f64; 2], factors: [f64; 2]| {
            let of = |seed: u64| {
                MIXTURES
                    .map(|x| (x, factors[(seed % 2) as usize] * if x == DRIFT_ALONE { ends[1] } else { ends[0] }))
                    .to_vec()
            };
            made.paths(DRIFT, curve, RATIO, (1..=MADE_SEEDS).map(|seed| (seed, of(seed))))
        };
        let mut made = ratios(Made::default(), FALLING, [1.0, THEORY], [0.999, 1.001]);
        made = ratios(made, CONSTANT, [1.0; 2], [0.999, 1.001]);
        for metric in [OVER_TOP, OVER_NORM, OVER_SWAP] {
            made = made.with(RECORDED, THRESHOLD, metric, &[0.9]);
        }
        made = made.with(FEW, TOP, TEST_ACCURACY, &steady(0.8)).with(FEW, SGD, TEST_ACCURACY, &steady(0.8));
        for group in LAMBDAS.map(group) {
            for (curve, total) in [(THRESHOLD, 0.6), (TOP, 1.0)] {
                made = made.with(group, curve, TOTAL, &steady(total)).with(group, curve, TEST_ACCURACY, &steady(0.8));
                made = made.with(group, curve, MEGABYTES_UP, &steady(1.0));
            }
        }
        let with = |group: GroupName, curve: CurveName, metric, values: &[f64]| {
            made.clone().with(group, curve, metric, values)
        };
        let split = [0.6, 1.4];
        let mut witnesses = vec![
            made.all_hold(),
            ratios(made.clone(), FALLING, [0.5, THEORY], [1.0; 2]).fails("Of pure noise"),
            ratios(made.clone(), FALLING, [1.0, THEORY], split).undecided("Of pure noise"),
            ratios(made.clone(), CONSTANT, [1.0, 0.5], [1.0; 2]).fails("Of pure drift under a constant"),
            ratios(made.clone(), CONSTANT, [1.0; 2], split).undecided("Of pure drift under a constant"),
            ratios(made.clone(), FALLING, [1.0; 2], [1.0; 2]).fails("Of pure drift under a falling"),
            ratios(made.clone(), FALLING, [1.0, THEORY], split).undecided("Of pure drift under a falling"),
            with(RECORDED, THRESHOLD, OVER_NORM, &[1.01]).fails("Of given"),
            with(FEW, TOP, TEST_ACCURACY, &steady(0.5)).fails("Top-k of 0.1"),
            with(FEW, TOP, TEST_ACCURACY, &torn(0.7, 0.9)).undecided("Top-k of 0.1"),
        ];
        for (lambda, total, accuracy) in [
            (LAMBDAS[0], "threshold 0.01: the total", "threshold 0.01: the acc"),
            (LAMBDAS[1], "threshold 0.03: the total", "threshold 0.03: the acc"),
        ] {
            let group = group(lambda);
            witnesses.push(with(group, THRESHOLD, TOTAL, &steady(1.2)).fails(total));
            witnesses.push(with(group, THRESHOLD, TOTAL, &torn(0.5, 1.4)).undecided(total));
            witnesses.push(with(group, THRESHOLD, TEST_ACCURACY, &steady(0.7)).fails(accuracy));
            witnesses.push(with(group, THRESHOLD, TEST_ACCURACY, &torn(0.7, 0.85)).undecided(accuracy));
        }
        witnesses
    }

    fn figure(&self, results: &Results) -> Figure {
        let trained = LAMBDAS.map(group);
        let panels = results.groups().into_iter().filter(|g| trained.iter().any(|t| t == g)).flat_map(|g| {
            let step = || Axis::linear("step");
            [
                Panel::of(results, g, TOTAL, step(), Axis::log("total error")),
                Panel::of(results, g, COUNT, step(), Axis::log("coordinates sent")),
                Panel::of(results, g, TRAIN_LOSS, Axis::linear("epoch"), Axis::log("train loss")),
            ]
        });
        let mut drift = Panel::of(
            results,
            DRIFT,
            RATIO,
            Axis::log("drift over noise (100: no noise; without drift it is left out)"),
            Axis::log(RATIO),
        );
        drift.lines.iter_mut().for_each(|line| line.marked = true);
        let few = Panel::of(results, FEW, TEST_ACCURACY, Axis::linear("step"), Axis::linear(TEST_ACCURACY));
        let panels = panels.chain([drift, few]);
        Figure::new(3, panels.filter(|panel| !panel.lines.is_empty()).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table = Table::new(
            "The end of the runs",
            &["threshold", "compressor", "total error", "test accuracy, %", MEGABYTES_UP.name()],
        );
        for (lambda, curve) in LAMBDAS.into_iter().flat_map(|l| [(l, THRESHOLD), (l, TOP)]) {
            let of = |metric| results.last(group(lambda), curve, metric);
            let cells = [of(TOTAL), of(TEST_ACCURACY).map(|a| 100.0 * a), of(MEGABYTES_UP)];
            let cells = cells.map(|c| c.map_or("–".into(), short));
            table.rows.push([group(lambda).into(), curve.into()].into_iter().chain(cells).collect());
        }
        let told = |seeds: Option<Seeds>| seeds.map_or("–".into(), |seeds| short(seeds.mean()));
        let mut recorded = Table::new(
            "Squared errors of the threshold over those of as many coordinates, recorded p_t",
            &["choice", "ratio"],
        );
        for metric in [OVER_TOP, OVER_NORM, OVER_SWAP] {
            recorded
                .rows
                .push(vec![metric.name().into(), told(results.seeds(RECORDED, THRESHOLD, metric, Summary::Last))]);
        }
        vec![table, recorded]
    }
}

impl TotalError {
    /// The mean count of coordinates that the hard threshold sends with this seed.
    fn count(curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<usize, ReproduceError> {
        let split = data(setup, Self::data(setup))?;
        let mut config = Self::config(curve, seed, setup)?;
        config.compressor = format!("threshold:{}", curve.setting).parse()?;
        let mut trainer = Trainer::with_data(config, split)?;
        let (_, mut sums) = advance(&mut trainer, Some("count"), out, |trainer, _, sums, _| {
            sums.average(COUNT.name(), sent(trainer).1);
            Ok(())
        })?;
        // So that what follows begins with the count, however often it is stopped.
        save(&mut trainer, &sums, "count", out)?;
        Ok(sums.take_average(COUNT.name()).round().max(1.0) as usize)
    }
}
