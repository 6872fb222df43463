//! Counterexample 1 of Karimireddy et al. (2019): in one dimension the sign loses the gradient's size.

use super::names::{EF, SGD, SIGN, SIGNM, VOTE};
use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Descent, Length};
use crate::problems::BimodalLine;
use crate::record::judge::{Bound, Equality, Exact};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Summary};

pub(super) struct Counterexample1;

const GROUP: GroupName = GroupName::new("x/4 on [-1, 1]");
const WORKERS: GroupName = GroupName::new("four workers");
const MEAN: CurveName = CurveName::new("signSGD, mean");
const MOMENTUM: GroupName = GroupName::new("momentum 0.9, g = 124 once in 100");
const X: Metric = Metric::new("x");
/// x over what it should be in the mean, early, while the interval's ends are far.
const EARLY: Metric = Metric::new("x over its expectation");
/// The step at which that is measured.
const SOON: u64 = 2500;

/// The largest difference between SGD and EF-signSGD; none where a seed or a step of one of them lacks.
fn apart(results: &Results) -> Option<f64> {
    let [sgd, ef] = [SGD, EF].map(|curve| results.series(GROUP, curve, X));
    let mut most = 0.0f64;
    for (seed, points) in &ef {
        let others = &sgd.iter().find(|(other, _)| other == seed)?.1;
        if points.len() != others.len() {
            return None;
        }
        let apart = points.iter().zip(others).map(|(a, b)| (a.1 - b.1).abs());
        // A comparison that says no to a value that is not a number.
        most = apart.fold(most, |most, a| if a <= most { most } else { a });
    }
    (!ef.is_empty()).then_some(most)
}

impl Counterexample1 {
    fn length(setup: &Setup) -> Length {
        Length { steps: setup.scale.pick(300, 100_000, 1_000_000), points: 200 }
    }
}

impl Experiment for Counterexample1 {
    fn about(&self) -> About {
        About {
            name: "counterexample-1",
            title: "In one dimension signSGD ascends where SGD and EF-signSGD descend",
            source: "Karimireddy et al. 2019, §3, Counterexample 1",
            claims: &[
                "SGD approaches the minimum -1, signSGD the maximum +1, at the rates of the paper",
                "several workers and momentum do not help signSGD",
                "EF-signSGD is SGD in one dimension",
            ],
            time: ["1 min", "20 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let of = |group: GroupName, workers: usize, name: CurveName, algorithm: &str, compressor: &str| Curve {
            workers,
            ..Curve::new(group, name, algorithm, compressor, 0.01)
        };
        vec![
            of(GROUP, 1, SGD, "sgd", "identity"),
            of(GROUP, 1, SIGN, "compressed-sgd", "sign"),
            of(GROUP, 1, EF, "ef-sgd", "sign:scaled"),
            of(WORKERS, 4, MEAN, "compressed-sgd", "sign"),
            of(WORKERS, 4, VOTE, "compressed-sgd:majority-vote", "sign"),
            of(WORKERS, 4, EF, "ef-sgd", "sign:scaled"),
            of(MOMENTUM, 1, SGD, "sgd", "identity"),
            of(MOMENTUM, 1, SIGNM, "compressed-sgd:momentum=0.9", "sign"),
            of(MOMENTUM, 1, EF, "ef-sgd", "sign:scaled"),
        ]
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 20, 100)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("steps", Self::length(setup).steps.to_string()),
            ("step size", "0.01/sqrt(t + 1)".into()),
            ("x0", "0, projected onto [-1, 1]".into()),
            ("g", "4 with probability 1/4, otherwise -1; with momentum 124 with probability 1/100".into()),
            ("rates", format!("at step {SOON}")),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec![
            "The paper has fixed steps, which keep x from coming nearer to an end than the noise; decreasing ones show where it goes.".into(),
            "Momentum averages about ten gradients, in which 4 of the paper's distribution is seen often enough; the same with a rarer and larger gradient is not. The paper says that its examples extend to momentum, and does not say how.".into(),
        ]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let first = curve.lr;
        let lr = move |t: u64| first / ((t + 1) as f64).sqrt();
        let problem = if curve.group == MOMENTUM { BimodalLine::new(100) } else { BimodalLine::new(4) };
        // The projection belongs to every step, so the loop measures at each and records at some.
        let length = Self::length(setup);
        let every = (length.steps / length.points).max(1);
        let each = Length { points: length.steps, ..length };
        let mut sum = 0.0;
        Descent::new(curve, &problem, seed, vec![0.0], each, X).with_lr(lr).run(out, |simulation, step, out| {
            let x = simulation.x()[0].clamp(-1.0, 1.0);
            simulation.x_mut()[0] = x;
            let step = step as u64;
            if step.is_multiple_of(every) {
                out.record(X, step as f64, f64::from(x));
            }
            if step == SOON.min(length.steps) {
                // E g = 1/4, E sign(g) = -1/2.
                let drift = if curve.name == SIGN { 0.5 } else { -0.25 };
                out.record(EARLY, step as f64, f64::from(x) / (drift * sum));
            }
            sum += lr(step);
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let late = |group: GroupName, curve: CurveName| results.seeds(group, curve, X, Summary::Tail(0.1));
        let soon = |curve: CurveName| results.seeds(GROUP, curve, EARLY, Summary::Last);
        let source = format!("{FIXES}, §3, Counterexample 1");
        let extends = format!("{FIXES}, §1, Our contributions");
        let low = || Bound::at_most("x over the last tenth", -0.8);
        let high = || Bound::at_least("x over the last tenth", 0.8);
        vec![
            Claim::about("SGD approaches the minimum -1, signSGD moves away from it to +1", &source)
                .part(SGD, low(), late(GROUP, SGD))
                .part(SIGN, high(), late(GROUP, SIGN))
                .judged(),
            Claim::about("signSGD ascends by gamma/8 a step in the mean, SGD descends by gamma/16", &source)
                .each(
                    &Equality::within(format!("x at step {SOON} over its expectation"), 0.8, 1.2),
                    [SIGN, SGD].map(|curve| (curve, soon(curve))),
                )
                .judged(),
            Claim::about("In one dimension EF-signSGD is SGD", &source)
                .part(
                    "",
                    Exact::at_most("largest difference of x, over seeds and steps, to rounding", 1e-4),
                    apart(results),
                )
                .judged(),
            Claim::about(
                "With four workers signSGD still goes to +1, by mean or by vote, and EF-signSGD to -1",
                &extends,
            )
            .part("mean", high(), late(WORKERS, MEAN))
            .part("vote", high(), late(WORKERS, VOTE))
            .part(EF, low(), late(WORKERS, EF))
            .judged(),
            Claim::about("With momentum signSGD still goes to +1, where SGD and EF-signSGD go to -1", &extends)
                .part(SIGNM, high(), late(MOMENTUM, SIGNM))
                .part(SGD, low(), late(MOMENTUM, SGD))
                .part(EF, low(), late(MOMENTUM, EF))
                .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let low = [(GROUP, SGD), (GROUP, EF), (WORKERS, EF), (MOMENTUM, SGD), (MOMENTUM, EF)];
        let high = [(GROUP, SIGN), (WORKERS, MEAN), (WORKERS, VOTE), (MOMENTUM, SIGNM)];
        let made =
            low.into_iter().fold(Made::default(), |made, (group, curve)| made.with(group, curve, X, &steady(-0.9)));
        let made = high.into_iter().fold(made, |made, (group, curve)| made.with(group, curve, X, &steady(0.9)));
        let made = [SGD, SIGN].into_iter().fold(made, |made, c| made.with(GROUP, c, EARLY, &steady(1.0)));
        let with = |group: GroupName, curve: CurveName, metric, values: &[f64]| {
            made.clone().with(group, curve, metric, values)
        };
        vec![
            made.all_hold(),
            with(GROUP, SIGN, X, &steady(0.0)).fails("SGD approaches"),
            with(GROUP, SIGN, X, &torn(0.6, 1.0)).undecided("SGD approaches"),
            with(GROUP, SGD, EARLY, &steady(0.5)).fails("signSGD ascends"),
            with(GROUP, SGD, EARLY, &torn(0.7, 1.0)).undecided("signSGD ascends"),
            with(GROUP, EF, X, &steady(-0.8)).fails("In one dimension"),
            with(WORKERS, MEAN, X, &steady(-0.9)).fails("With four workers"),
            with(WORKERS, EF, X, &torn(-1.0, -0.6)).undecided("With four workers"),
            with(MOMENTUM, SIGNM, X, &steady(-0.9)).fails("With momentum"),
            with(MOMENTUM, SGD, X, &torn(-1.0, -0.6)).undecided("With momentum"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 3, |group| Panel::of(results, group, X, Axis::linear("step"), Axis::linear("x")))
    }
}
