//! Counterexample 2 of Karimireddy et al. (2019): a convex function that signSGD never improves.

use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Length, simulate};
use crate::problems::AbsoluteValues;
use crate::record::{Claim, Curve, Metric, Recorder, Results, is_due};
use crate::words::short;

pub(super) struct Counterexample2;

const LOSS: Metric = Metric::new("f(x)");
/// Of all steps so far.
const LEAST: Metric = Metric::new("smallest f(x)");
const EPSILONS: [f64; 3] = [0.1, 0.5, 0.9];

fn group(epsilon: f64) -> String {
    format!("epsilon = {epsilon}")
}

impl Experiment for Counterexample2 {
    fn about(&self) -> About {
        About {
            name: "counterexample-2",
            title: "A non-smooth convex function on the plane that signSGD never improves, with any step sizes",
            source: "Karimireddy et al. 2019, §3, Counterexample 2 and Figure 1",
            claims: &["f(x_t) of signSGD never falls below f(x_0)", "SGD and EF-signSGD converge"],
            time: ["5 s", "1 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let curve = |epsilon: f64| {
            let curve = |name: &str, algorithm: &str, compressor: &str| Curve {
                setting: epsilon,
                ..Curve::new(group(epsilon), name, algorithm, compressor, 0.2)
            };
            [
                curve("SGD", "sgd", "identity"),
                curve("signSGD", "compressed-sgd", "sign"),
                curve("EF-signSGD", "ef-sgd", "sign:scaled"),
            ]
        };
        EPSILONS.into_iter().flat_map(curve).collect()
    }

    fn seeds(&self, _: &Setup) -> u64 {
        1 // Nothing is random.
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let steps = setup.scale.pick(200u64, 20_000, 1_000_000).to_string();
        vec![("steps", steps), ("step size", "0.2/sqrt(t + 1)".into()), ("x0", "(1, 1)".into())]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let problem = AbsoluteValues { epsilon: curve.setting as f32 };
        let length = Length { steps: setup.scale.pick(200, 20_000, 1_000_000), points: 400 };
        let first = curve.lr;
        let lr = move |t: u64| first / ((t + 1) as f64).sqrt();
        // Every step is looked at, and some are recorded.
        let each = Length { points: length.steps, ..length };
        let mut least = f64::INFINITY;
        simulate(curve, &problem, seed, vec![1.0, 1.0], each, lr, LOSS, out, |simulation, step, out| {
            let loss = simulation.objective();
            least = least.min(loss);
            if is_due(step as u64, length.steps, length.points) {
                out.record(LOSS, step, loss);
                out.record(LEAST, step, least);
            }
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let first =
            |epsilon: f64, curve: &str| Some(results.series(&group(epsilon), curve, LOSS).first()?.1.first()?.1);
        let source = format!("{FIXES}, §3, Counterexample 2");
        vec![
            Claim::judge(
                "signSGD with full subgradients never improves on its start, for every epsilon",
                &source,
                "the smallest f(x_t) - f(x_0) of all steps at least -1e-4 for each epsilon",
                || {
                    let mut found = Vec::new();
                    for epsilon in EPSILONS {
                        let least = *results.smallest(&group(epsilon), "signSGD", LEAST).first()?;
                        found.push(least - first(epsilon, "signSGD")?);
                    }
                    let text = found.iter().map(|f| short(*f)).collect::<Vec<_>>().join(", ");
                    Some((found.iter().all(|f| *f >= -1e-4), text))
                },
            ),
            Claim::judge(
                "SGD and EF-signSGD converge to the minimum 0",
                &source,
                "the mean f over the last tenth at most 5 % of f(x_0) for each epsilon",
                || {
                    let mut found = Vec::new();
                    for epsilon in EPSILONS {
                        for curve in ["SGD", "EF-signSGD"] {
                            let tail = results.tail(&group(epsilon), curve, LOSS, 0.1)?;
                            found.push((format!("{curve} at {epsilon}"), tail / first(epsilon, curve)?));
                        }
                    }
                    let text = found.iter().map(|(c, f)| format!("{c}: {} %", short(100.0 * f))).collect::<Vec<_>>();
                    Some((found.iter().all(|f| f.1 <= 0.05), text.join(", ")))
                },
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 2, |group| Panel::of(results, group, LOSS, Axis::linear("step"), Axis::log("f(x)")))
    }
}
