//! Counterexample 3 and Theorem I of Karimireddy et al. (2019): smooth sums on which signSGD can move
//! along one direction only.

use backburn_compress::{Key, Philox, Stream};

use super::names::{EF, SCALED, SGD, SIGN, VOTE};
use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Descent, Length};
use crate::problems::LeastSquares;
use crate::record::judge::Exact;
#[cfg(test)]
use crate::record::made::{Made, Witness, steady};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Summary, is_due};

pub(super) struct Counterexample3;

const PLANE: GroupName = GroupName::new("two terms on the plane");
const WORKERS: GroupName = GroupName::new("two terms on the plane, five workers");
const THEOREM: GroupName = GroupName::new("Theorem I");
/// The dimensions of Theorem I, one drawn for each seed.
const DIMENSIONS: std::ops::RangeInclusive<u32> = 2..=20;
const LOSS: Metric = Metric::new("f(x)");
const DISTANCE: Metric = Metric::new("distance over the bound");
/// Of all steps so far.
const LEAST: Metric = Metric::new("smallest f(x)");
const NEAREST: Metric = Metric::new("smallest distance over the bound");
const DIMENSION: Metric = Metric::new("d");
const EPSILON: f32 = 0.5;

/// signSGD in its variants: each is told apart by its name.
const SIGNS: [(CurveName, &str, &str); 3] = [
    (SIGN, "compressed-sgd", "reference-sign"),
    (SCALED, "compressed-sgd", "reference-sign:scaled"),
    (CurveName::new("signSGD, fixed step"), "compressed-sgd", "reference-sign"),
];

/// Rows whose signs are those of one s or of −s, a solution, and a start.
struct Instance {
    rows: Vec<Vec<f32>>,
    signs: Vec<f32>,
    solution: Vec<f32>,
    start: Vec<f32>,
}

impl Instance {
    fn plane() -> Self {
        let rows = vec![vec![1.0 + EPSILON, -1.0 + EPSILON], vec![-1.0 + EPSILON, 1.0 + EPSILON]];
        Self { rows, signs: vec![1.0, -1.0], solution: vec![0.0; 2], start: vec![1.0; 2] }
    }

    fn random(seed: u64) -> Self {
        let mut random = Philox::new(Key { stream: Stream::COUNTER_EXAMPLE, ..Key::new(seed) }.draw());
        let d = (DIMENSIONS.start() + random.below(DIMENSIONS.end() - DIMENSIONS.start() + 1)) as usize;
        let mut sign = || if random.below(2) == 0 { 1.0f32 } else { -1.0 };
        let signs: Vec<f32> = (0..d).map(|_| sign()).collect();
        let flips: Vec<f32> = (0..4 * d).map(|_| sign()).collect();
        let mut normals = |n: usize| (0..n).map(|_| random.normal()).collect::<Vec<f32>>();
        let size = (d as f32).sqrt();
        let rows = (flips.iter())
            .map(|flip| normals(d).iter().zip(&signs).map(|(u, s)| flip * s * (u.abs() + 1e-3) / size).collect())
            .collect();
        let (solution, start) = (normals(d), normals(d));
        Self { rows, signs, solution, start }
    }

    fn of(curve: &Curve, seed: u64) -> Self {
        if curve.group == THEOREM { Self::random(seed) } else { Self::plane() }
    }

    /// Every worker draws from all rows, so that f is the same for any number of them.
    fn problem(&self, workers: usize) -> LeastSquares {
        let targets: Vec<f32> = self.rows.iter().map(|a| crate::problems::dot(a, &self.solution) as f32).collect();
        let each = |row: usize| std::iter::repeat_n(row, workers);
        let order: Vec<usize> = (0..self.rows.len()).flat_map(each).collect();
        let rows = order.iter().map(|row| self.rows[*row].clone()).collect();
        LeastSquares::new(rows, order.iter().map(|row| targets[*row]).collect(), workers, 1)
    }

    fn distance(&self, x: &[f32]) -> f64 {
        x.iter().zip(&self.solution).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt()
    }

    /// ‖(I − ssᵀ/d)(x₀ − x*)‖: how near the line x₀ + span(s) comes to the solution.
    fn bound(&self) -> f64 {
        let away: Vec<f64> = self.start.iter().zip(&self.solution).map(|(x, y)| f64::from(x - y)).collect();
        let along = away.iter().zip(&self.signs).map(|(a, s)| a * f64::from(*s)).sum::<f64>() / away.len() as f64;
        away.iter().zip(&self.signs).map(|(a, s)| (a - along * f64::from(*s)).powi(2)).sum::<f64>().sqrt()
    }
}

impl Experiment for Counterexample3 {
    fn about(&self) -> About {
        About {
            name: "counterexample-3",
            title: "Smooth least squares on which signSGD stays on a line, in the plane and in random dimensions",
            source: "Karimireddy et al. 2019, §3, Counterexample 3 and Theorem I",
            claims: &[
                "f(x_t) of signSGD never falls below f(x_0), with several workers and scaled too; EF-signSGD converges",
                "Theorem I",
            ],
            time: ["20 s", "3 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let curve = |group: GroupName, name: CurveName, algorithm: &str, compressor: &str, lr: f64| {
            Curve::new(group, name, algorithm, compressor, lr)
        };
        let mut curves = vec![curve(PLANE, SGD, "sgd", "identity", 0.05)];
        curves.extend(
            SIGNS[..2].iter().map(|(name, algorithm, compressor)| curve(PLANE, *name, algorithm, compressor, 0.01)),
        );
        curves.push(curve(PLANE, EF, "ef-sgd", "reference-sign:scaled", 0.05));
        let workers = [
            curve(WORKERS, SIGN, "compressed-sgd", "reference-sign", 0.01),
            curve(WORKERS, VOTE, "compressed-sgd:majority-vote", "reference-sign", 0.01),
            curve(WORKERS, EF, "ef-sgd", "reference-sign:scaled", 0.05),
        ];
        curves.extend(workers.map(|curve| Curve { workers: 5, ..curve }));
        curves.push(curve(THEOREM, SGD, "sgd", "identity", 0.2));
        curves.extend(
            SIGNS.iter().map(|(name, algorithm, compressor)| curve(THEOREM, *name, algorithm, compressor, 0.1)),
        );
        curves.push(curve(THEOREM, EF, "ef-sgd", "reference-sign:scaled", 0.2));
        curves
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 40, 100)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("steps", setup.scale.pick(500u64, 20_000, 100_000).to_string()),
            (
                "step size",
                "fixed; for signSGD and scaled signSGD in Theorem I over sqrt(t + 1), for EF-signSGD there over sqrt(d)".into(),
            ),
            ("d", format!("drawn for each seed from {} to {}", DIMENSIONS.start(), DIMENSIONS.end())),
            ("rows", "4d, of magnitudes |N(0, 1)|/sqrt(d), signs s or -s; x0 and x* normal".into()),
            ("batch", "one row a worker".into()),
            ("sign(0)", "0".into()),
        ]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let instance = Instance::of(curve, seed);
        let d = instance.signs.len();
        let problem = instance.problem(curve.workers);
        let length = Length { steps: setup.scale.pick(500, 20_000, 100_000), points: 100 };
        let decreasing = curve.group == THEOREM && SIGNS[..2].iter().any(|(name, ..)| *name == curve.name);
        let first = if curve.group == THEOREM && curve.name == EF { curve.lr / (d as f64).sqrt() } else { curve.lr };
        let lr = move |t: u64| if decreasing { first / ((t + 1) as f64).sqrt() } else { first };
        let (bound, terms) = (instance.bound(), instance.rows.len() as f64);
        out.record(DIMENSION, 0.0, d as f64);
        // Every step is looked at, and some are recorded.
        let each = Length { points: length.steps, ..length };
        let (mut least, mut nearest) = (f64::INFINITY, f64::INFINITY);
        Descent::new(curve, &problem, seed, instance.start.clone(), each, LOSS).with_lr(lr).run(
            out,
            |simulation, step, out| {
                // f is a sum of terms on the plane; in Theorem I the mean is as good.
                let loss = problem.mean_square(simulation.x()) * if curve.group == THEOREM { 1.0 } else { terms };
                let distance = instance.distance(simulation.x()) / bound;
                (least, nearest) = (least.min(loss), nearest.min(distance));
                if is_due(step as u64, length.steps, length.points) {
                    out.record(LOSS, step, loss);
                    out.record(LEAST, step, least);
                    out.record(DISTANCE, step, distance);
                    out.record(NEAREST, step, nearest);
                }
            },
        )
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let source = format!("{FIXES}, §3, Counterexample 3");
        let extends = format!("{FIXES}, §1, Our contributions");
        let theorem = format!("{FIXES}, Theorem I");
        let of = |group: GroupName, curve: CurveName, metric, summary| results.seeds(group, curve, metric, summary);
        let least =
            |group: GroupName, curve: CurveName| of(group, curve, LEAST, Summary::Last).map(|seeds| seeds.least());
        let last = |group: GroupName, curve: CurveName| of(group, curve, LOSS, Summary::Last).map(|seeds| seeds.most());
        let start = f64::from(8.0 * EPSILON * EPSILON);
        // Each step rounds x by 1e-7, as often up as down, and f falls along the line by no more than that.
        let never =
            Exact::at_least("smallest f(x_t) of all steps and seeds, f(x_0) = 2 less what steps round", start - 1e-3);
        let converges = Exact::at_most("largest last f(x_t) over seeds", 1e-6);
        let nearest = |(curve, ..): (CurveName, &str, &str)| {
            (curve, of(THEOREM, curve, NEAREST, Summary::Last).map(|seeds| seeds.least()))
        };
        vec![
            Claim::about("signSGD never improves on its start, whatever terms are drawn", &source)
                .part("", never.clone(), least(PLANE, SIGN))
                .judged(),
            Claim::about("EF-signSGD converges where signSGD does not", &source)
                .part("", converges.clone(), last(PLANE, EF))
                .judged(),
            Claim::about("Nor does it with five workers, by mean or by vote; EF-signSGD converges", &extends)
                .part("mean", never.clone(), least(WORKERS, SIGN))
                .part("vote", never.clone(), least(WORKERS, VOTE))
                .part(EF, converges, last(WORKERS, EF))
                .judged(),
            Claim::about("Nor does scaled signSGD", &extends).part("", never, least(PLANE, SCALED)).judged(),
            Claim::about("Theorem I: without feedback signs come no nearer to x* than their line, in any dimension", &theorem)
                .each(
                    &Exact::at_least(
                        "smallest ratio, over all steps and seeds, of the distance to ||(I - ss'/d)(x_0 - x*)||, to rounding",
                        0.999,
                    ),
                    SIGNS.map(nearest),
                )
                .judged(),
            Claim::about("Theorem I: EF-signSGD converges to x* in every dimension", &theorem)
                .part(
                    "",
                    Exact::at_most("largest last distance over seeds, as a share of signSGD's bound", 0.01),
                    of(THEOREM, EF, DISTANCE, Summary::Last).map(|seeds| seeds.most()),
                )
                .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let made = [(PLANE, SIGN), (PLANE, SCALED), (WORKERS, SIGN), (WORKERS, VOTE)]
            .into_iter()
            .fold(Made::default(), |made, (group, curve)| made.with(group, curve, LEAST, &steady(2.1)));
        let made = [PLANE, WORKERS].into_iter().fold(made, |made, group| made.with(group, EF, LOSS, &steady(1e-9)));
        let made = SIGNS.into_iter().fold(made, |made, (curve, ..)| made.with(THEOREM, curve, NEAREST, &steady(1.1)));
        let made = made.with(THEOREM, EF, DISTANCE, &steady(1e-3));
        let with =
            |group: GroupName, curve: CurveName, metric, value| made.clone().with(group, curve, metric, &steady(value));
        vec![
            made.all_hold(),
            with(PLANE, SIGN, LEAST, 1.9).fails("signSGD never improves"),
            with(PLANE, EF, LOSS, 1e-3).fails("EF-signSGD converges"),
            with(WORKERS, VOTE, LEAST, 1.9).fails("Nor does it with five"),
            with(PLANE, SCALED, LEAST, 1.9).fails("Nor does scaled"),
            with(THEOREM, SCALED, NEAREST, 0.9).fails("Theorem I: without"),
            with(THEOREM, EF, DISTANCE, 0.1).fails("Theorem I: EF"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 3, |group| {
            let (metric, label) =
                if group == THEOREM { (DISTANCE, "distance to x* over the bound") } else { (LOSS, "f(x)") };
            Panel::of(results, group, metric, Axis::linear("step"), Axis::log(label))
        })
    }
}
