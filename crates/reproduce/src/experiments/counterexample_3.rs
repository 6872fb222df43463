//! Counterexample 3 and Theorem I of Karimireddy et al. (2019): smooth sums on which signSGD can move
//! along one direction only.

use backburn_compress::{Key, Philox, Stream};

use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Length, simulate};
use crate::problems::LeastSquares;
use crate::record::{Claim, Curve, Metric, Recorder, Results, is_due};
use crate::words::short;

pub(super) struct Counterexample3;

const PLANE: &str = "two terms on the plane";
const DIMENSIONS: [usize; 3] = [3, 6, 12];
const LOSS: Metric = Metric::new("f(x)");
const DISTANCE: Metric = Metric::new("distance");
/// Of all steps so far.
const LEAST: Metric = Metric::new("smallest f(x)");
const NEAREST: Metric = Metric::new("smallest distance");
const BOUND: Metric = Metric::new("bound");
const EPSILON: f32 = 0.5;

fn theorem(d: usize) -> String {
    format!("Theorem I, d = {d}")
}

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

    fn random(d: usize, seed: u64) -> Self {
        let mut random = Philox::new(Key { step: d as u64, stream: Stream::COUNTER_EXAMPLE, ..Key::new(seed) }.draw());
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
        if curve.setting == 0.0 { Self::plane() } else { Self::random(curve.setting as usize, seed) }
    }

    fn problem(&self) -> LeastSquares {
        let targets = self.rows.iter().map(|a| crate::problems::dot(a, &self.solution) as f32).collect();
        LeastSquares::new(self.rows.clone(), targets, 1, 1)
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
            claims: &["f(x_t) of signSGD never falls below f(x_0); EF-signSGD converges", "Theorem I"],
            time: ["10 s", "2 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let curves = |group: String, d: f64, lr: [f64; 3]| {
            [
                ("SGD", "sgd", "identity"),
                ("signSGD", "compressed-sgd", "reference-sign"),
                ("EF-signSGD", "ef-sgd", "reference-sign:scaled"),
            ]
            .into_iter()
            .zip(lr)
            .map(move |((name, algorithm, compressor), lr)| Curve {
                setting: d,
                ..Curve::new(group.clone(), name, algorithm, compressor, lr)
            })
        };
        let plane = curves(PLANE.into(), 0.0, [0.05, 0.01, 0.05]);
        let theorem =
            DIMENSIONS.into_iter().flat_map(|d| curves(theorem(d), d as f64, [0.2, 0.1, 0.2 / (d as f64).sqrt()]));
        plane.chain(theorem).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(2, 20, 100)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("steps", setup.scale.pick(500u64, 10_000, 100_000).to_string()),
            ("step size", "fixed; for signSGD in Theorem I over sqrt(t + 1)".into()),
            ("rows", "4d, of magnitudes |N(0, 1)|/sqrt(d), signs s or -s; x0 and x* normal".into()),
            ("sign(0)", "0".into()),
        ]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let instance = Instance::of(curve, seed);
        let problem = instance.problem();
        let length = Length { steps: setup.scale.pick(500, 10_000, 100_000), points: 100 };
        let decreasing = curve.setting > 0.0 && curve.name == "signSGD";
        let first = curve.lr;
        let lr = move |t: u64| if decreasing { first / ((t + 1) as f64).sqrt() } else { first };
        out.record(BOUND, 0.0, instance.bound());
        let terms = instance.rows.len() as f64;
        // Every step is looked at, and some are recorded.
        let each = Length { points: length.steps, ..length };
        let (mut least, mut nearest) = (f64::INFINITY, f64::INFINITY);
        simulate(curve, &problem, seed, instance.start.clone(), each, lr, LOSS, out, |simulation, step, out| {
            let (loss, distance) = (terms * simulation.objective(), instance.distance(simulation.x()));
            (least, nearest) = (least.min(loss), nearest.min(distance));
            if is_due(step as u64, length.steps, length.points) {
                out.record(LOSS, step, loss);
                out.record(DISTANCE, step, distance);
                out.record(LEAST, step, least);
                out.record(NEAREST, step, nearest);
            }
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let source = format!("{FIXES}, §3, Counterexample 3");
        let theorem_source = format!("{FIXES}, Theorem I");
        vec![
            Claim::judge(
                "signSGD never improves on its start, for every draw of the terms",
                &source,
                "the smallest f(x_t) over all steps and seeds at least f(x_0) = 8 epsilon^2, less 1e-4",
                || {
                    let least = results.smallest(PLANE, "signSGD", LEAST).into_iter().min_by(f64::total_cmp)?;
                    let start = f64::from(8.0 * EPSILON * EPSILON);
                    Some((least >= start - 1e-4, format!("{}, f(x_0) = {}", short(least), short(start))))
                },
            ),
            Claim::judge(
                "EF-signSGD converges where signSGD does not",
                &source,
                "the largest last f(x_t) over seeds at most 1e-6",
                || {
                    let most = results.lasts(PLANE, "EF-signSGD", LOSS).into_iter().max_by(f64::total_cmp)?;
                    Some((most <= 1e-6, short(most)))
                },
            ),
            Claim::judge(
                "Theorem I: signSGD comes no nearer to x* than its line, in every dimension",
                &theorem_source,
                "the smallest ratio of the distance to ||(I - ss'/d)(x_0 - x*)||, over all steps and seeds, at least 0.999",
                || {
                    let mut least = f64::INFINITY;
                    for d in DIMENSIONS {
                        let nearest = results.smallest(&theorem(d), "signSGD", NEAREST);
                        let bounds = results.lasts(&theorem(d), "signSGD", BOUND);
                        if nearest.is_empty() {
                            return None;
                        }
                        least = nearest.iter().zip(bounds).map(|(n, b)| n / b).fold(least, f64::min);
                    }
                    Some((least >= 0.999, short(least)))
                },
            ),
            Claim::judge(
                "Theorem I: EF-signSGD converges to x* in every dimension",
                &theorem_source,
                "the mean last distance over seeds at most 1 % of signSGD's, for each d",
                || {
                    let mut found = Vec::new();
                    for d in DIMENSIONS {
                        let of = |curve| results.last(&theorem(d), curve, DISTANCE);
                        found.push((d, of("EF-signSGD")? / of("signSGD")?));
                    }
                    let text = found.iter().map(|(d, r)| format!("d = {d}: {} %", short(100.0 * r)));
                    Some((found.iter().all(|f| f.1 <= 0.01), text.collect::<Vec<_>>().join(", ")))
                },
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 2, |group| {
            let (metric, label) = if group == PLANE { (LOSS, "f(x)") } else { (DISTANCE, "distance to x*") };
            Panel::of(results, group, metric, Axis::linear("step"), Axis::log(label))
        })
    }
}
