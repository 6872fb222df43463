//! Counterexample 2 of Karimireddy et al. (2019): a convex function that signSGD never improves.

use backburn_compress::{Key, Philox, Stream};

use super::names::{EF, SCALED, SGD, SIGN};
use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Descent, Length};
use crate::problems::{AbsoluteValues, Problem, WeightedAbsoluteValues};
use crate::record::judge::Exact;
#[cfg(test)]
use crate::record::made::{Made, Witness};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary, is_due};

pub(super) struct Counterexample2;

const LOSS: Metric = Metric::new("f(x)");
/// Of all steps so far.
const LEAST: Metric = Metric::new("smallest f(x)");
const EPSILONS: [f64; 3] = [0.1, 0.5, 0.9];
const PLAIN: CurveName = CurveName::new("top-1");
const FED: CurveName = CurveName::new("EF, top-1");
const FIXED: CurveName = CurveName::new("fixed");
const HARMONIC: CurveName = CurveName::new("1/(t + 1)");
const DRAWN: CurveName = CurveName::new("drawn anew at each step");
const TOP: GroupName = GroupName::new("top-1, turned by 45 degrees");
const STEPS: GroupName = GroupName::new("signSGD, epsilon = 0.5, other step sizes");
const SCHEDULES: [CurveName; 3] = [FIXED, HARMONIC, DRAWN];
const SIGNS: [CurveName; 2] = [SIGN, SCALED];
const CONVERGING: [CurveName; 2] = [SGD, EF];

fn group(epsilon: f64) -> GroupName {
    format!("epsilon = {epsilon}").into()
}

/// γ_t of one of the [`SCHEDULES`], from x_t.
fn step_size(schedule: CurveName, first: f64, t: u64, seed: u64) -> f64 {
    match schedule {
        FIXED => first,
        HARMONIC => first / (t + 1) as f64,
        DRAWN => {
            let mut random = Philox::new(Key { step: t, stream: Stream::COUNTER_EXAMPLE, ..Key::new(seed) }.draw());
            2.0 * first * f64::from(random.below(1 << 20)) / f64::from(1 << 20)
        }
        _ => first / ((t + 1) as f64).sqrt(),
    }
}

impl Experiment for Counterexample2 {
    fn about(&self) -> About {
        About {
            name: "counterexample-2",
            title: "A non-smooth convex function on the plane that signSGD never improves, with any step sizes",
            source: "Karimireddy et al. 2019, §3, Counterexample 2 and Figure 1",
            claims: &[
                "f(x_t) of signSGD never falls below f(x_0), with any step sizes",
                "nor does that of scaled signSGD; top-1 without feedback stays off the minimum",
                "SGD and EF-signSGD converge",
            ],
            time: ["5 s", "1 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let plane = EPSILONS.into_iter().flat_map(|epsilon| {
            let curve = move |name: CurveName, algorithm: &str, compressor: &str| Curve {
                setting: epsilon,
                ..Curve::new(group(epsilon), name, algorithm, compressor, 0.2)
            };
            [
                curve(SGD, "sgd", "identity"),
                curve(SIGN, "compressed-sgd", "sign"),
                curve(SCALED, "compressed-sgd", "sign:scaled"),
                curve(EF, "ef-sgd", "sign:scaled"),
            ]
        });
        let steps = SCHEDULES
            .map(|schedule| Curve { setting: 0.5, ..Curve::new(STEPS, schedule, "compressed-sgd", "sign", 0.2) });
        let top = [(SGD, "sgd", "identity"), (PLAIN, "compressed-sgd", "topk:k=1"), (FED, "ef-sgd", "topk:k=1")];
        let top = top.map(|(name, algorithm, compressor)| Curve {
            setting: 0.5,
            ..Curve::new(TOP, name, algorithm, compressor, 0.2)
        });
        plane.chain(steps).chain(top).collect()
    }

    fn seeds(&self, _: &Setup) -> u64 {
        1 // Nothing is random, but one sequence of step sizes, for which any will do.
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let steps = setup.scale.pick(200u64, 20_000, 200_000).to_string();
        vec![("steps", steps), ("step size", "0.2/sqrt(t + 1), or as named".into()), ("x0", "(1, 1)".into())]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let epsilon = curve.setting as f32;
        let (plane, turned) = (AbsoluteValues { epsilon }, WeightedAbsoluteValues { epsilon });
        let problem: &dyn Problem = if curve.group == TOP { &turned } else { &plane };
        let length = Length { steps: setup.scale.pick(200, 20_000, 200_000), points: 400 };
        let (schedule, first) = (curve.name, curve.lr);
        let lr = move |t: u64| step_size(schedule, first, t, seed);
        // Every step is looked at, and some are recorded.
        let each = Length { points: length.steps, ..length };
        let mut least = f64::INFINITY;
        Descent::new(curve, problem, seed, vec![1.0, 1.0], each, LOSS).with_lr(lr).run(out, |simulation, step, out| {
            let loss = simulation.objective();
            least = least.min(loss);
            if is_due(step as u64, length.steps, length.points) {
                out.record(LOSS, step, loss);
                out.record(LEAST, step, least);
            }
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let of = |group: GroupName, curve: CurveName, metric, summary| {
            results.seeds(group, curve, metric, summary).map(|seeds: Seeds| seeds.least())
        };
        let first = |group: GroupName, curve: CurveName| Some(results.series(group, curve, LOSS).first()?.1.first()?.1);
        let below =
            |group: GroupName, curve: CurveName| Some(of(group, curve, LEAST, Summary::Last)? - first(group, curve)?);
        let late = |group: GroupName, curve: CurveName| {
            Some(of(group, curve, LOSS, Summary::Tail(0.1))? / first(group, curve)?)
        };
        let source = format!("{FIXES}, §3, Counterexample 2");
        let extends = format!("{FIXES}, §1, Our contributions");
        // x₁ + x₂ = 2 is kept to the rounding of each step, which is 1e-7 and as often up as down.
        let never = || Exact::at_least("smallest f(x_t) - f(x_0) of all steps, to rounding", -1e-4);
        let converges = Exact::at_most("f over the last tenth as a share of f(x_0)", 0.05);
        let each = |curves: &[CurveName]| -> Vec<(GroupName, CurveName)> {
            EPSILONS.iter().flat_map(|e| curves.iter().map(move |curve| (group(*e), *curve))).collect()
        };
        let named = |group: GroupName, curve: CurveName| format!("{curve}, {group}");
        let all =
            |curves: &[CurveName], find: &dyn Fn(GroupName, CurveName) -> Option<f64>| -> Vec<(String, Option<f64>)> {
                each(curves).into_iter().map(|(group, curve)| (named(group, curve), find(group, curve))).collect()
            };
        vec![
            Claim::about("signSGD with full subgradients never improves on its start, for every epsilon", &source)
                .each(&never(), all(&SIGNS[..1], &below))
                .judged(),
            Claim::about("Nor does it with any other sequence of step sizes", &source)
                .each(&never(), SCHEDULES.map(|schedule| (schedule, below(STEPS, schedule))))
                .judged(),
            Claim::about("SGD and EF-signSGD converge to the minimum 0", &source)
                .each(&converges, all(&CONVERGING, &late))
                .judged(),
            Claim::about("Other biased compressors: scaled signSGD never improves on its start either", &extends)
                .each(&never(), all(&SIGNS[1..], &below))
                .judged(),
            Claim::about(
                "Other biased compressors: top-1 never moves the flatter coordinate, with feedback it converges",
                &extends,
            )
            .part(PLAIN, Exact::at_least("smallest f(x_t) of all steps, epsilon |x_1| at the start", 0.5), {
                of(TOP, PLAIN, LEAST, Summary::Last)
            })
            .part("with feedback", converges, late(TOP, FED))
            .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let path = |made: Made, group: GroupName, curve: CurveName, from: f64, to: f64| {
            made.path(group, curve, LOSS, &[(0.0, from), (1.0, to)]).path(
                group,
                curve,
                LEAST,
                &[(0.0, from), (1.0, to)],
            )
        };
        let mut made = Made::default();
        for group in EPSILONS.map(group) {
            made = SIGNS.into_iter().fold(made, |made, curve| path(made, group, curve, 1.0, 1.0));
            made = CONVERGING.into_iter().fold(made, |made, curve| path(made, group, curve, 1.0, 0.01));
        }
        made = SCHEDULES.into_iter().fold(made, |made, curve| path(made, STEPS, curve, 1.0, 1.0));
        made = path(path(made, TOP, PLAIN, 1.5, 0.5), TOP, FED, 1.5, 0.01);
        let change = |group: GroupName, curve: CurveName, from, to| path(made.clone(), group, curve, from, to);
        vec![
            made.all_hold(),
            change(group(0.9), SIGN, 1.0, 0.9).fails("signSGD with full"),
            change(STEPS, SCHEDULES[2], 1.0, 0.9).fails("Nor does it"),
            change(group(0.1), EF, 1.0, 0.1).fails("SGD and EF-signSGD"),
            change(group(0.5), SCALED, 1.0, 0.9).fails("Other biased compressors: scaled"),
            change(TOP, PLAIN, 1.5, 0.4).fails("Other biased compressors: top-1"),
            change(TOP, FED, 1.5, f64::NAN).fails("Other biased compressors: top-1"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 2, |group| Panel::of(results, group, LOSS, Axis::linear("step"), Axis::log("f(x)")))
    }
}
