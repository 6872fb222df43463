//! Counterexample 1 of Karimireddy et al. (2019): in one dimension the sign loses the gradient's size.

use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Length, simulate};
use crate::problems::BimodalLine;
use crate::record::judge::{Bound, Exact};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::{Claim, Curve, Metric, Recorder, Results, Summary};

pub(super) struct Counterexample1;

const EF: &str = "EF-signSGD";
const GROUP: &str = "x/4 on [-1, 1]";
const X: Metric = Metric::new("x");

/// The largest difference between SGD and EF-signSGD; none where a seed or a step of one of them lacks.
fn apart(results: &Results) -> Option<f64> {
    let [sgd, ef] = ["SGD", EF].map(|curve| results.series(GROUP, curve, X));
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
            claims: &["SGD approaches the minimum -1, signSGD the maximum +1", "EF-signSGD is SGD in one dimension"],
            time: ["10 s", "5 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        vec![
            Curve::new(GROUP, "SGD", "sgd", "identity", 0.01),
            Curve::new(GROUP, "signSGD", "compressed-sgd", "sign", 0.01),
            Curve::new(GROUP, EF, "ef-sgd", "sign:scaled", 0.01),
        ]
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(2, 20, 100)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let steps = Self::length(setup).steps.to_string();
        vec![("steps", steps), ("step size", "0.01/sqrt(t + 1)".into()), ("x0", "0, projected onto [-1, 1]".into())]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let first = curve.lr;
        let lr = move |t: u64| first / ((t + 1) as f64).sqrt();
        // The projection belongs to every step, so the loop measures at each and records at some.
        let length = Self::length(setup);
        let every = (length.steps / length.points).max(1);
        let each = Length { points: length.steps, ..length };
        simulate(curve, &BimodalLine, seed, vec![0.0], each, lr, X, out, |simulation, step, out| {
            let x = simulation.x()[0].clamp(-1.0, 1.0);
            simulation.x_mut()[0] = x;
            if (step as u64).is_multiple_of(every) {
                out.record(X, step, f64::from(x));
            }
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let late = |curve: &str| results.seeds(GROUP, curve, X, Summary::Tail(0.1));
        let source = format!("{FIXES}, §3, Counterexample 1");
        vec![
            Claim::about("SGD approaches the minimum -1, signSGD moves away from it to +1", &source)
                .part("SGD", Bound::at_most("x, over the last tenth", -0.8), late("SGD"))
                .part("signSGD", Bound::at_least("x, over the last tenth", 0.8), late("signSGD"))
                .judged(),
            Claim::about("In one dimension EF-signSGD is SGD", &source)
                .part("", Exact::at_most("largest difference of x, over seeds and steps, to rounding", 1e-4), {
                    apart(results)
                })
                .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let made = Made::default().with(GROUP, "SGD", X, &steady(-0.9)).with(GROUP, "signSGD", X, &steady(0.9));
        let made = made.with(GROUP, EF, X, &steady(-0.9));
        vec![
            made.all_hold(),
            made.clone().with(GROUP, "SGD", X, &steady(0.0)).fails("SGD approaches"),
            made.clone().with(GROUP, "signSGD", X, &torn(0.6, 1.0)).undecided("SGD approaches"),
            made.with(GROUP, EF, X, &steady(-0.8)).fails("In one dimension"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 1, |group| Panel::of(results, group, X, Axis::linear("step"), Axis::linear("x")))
    }
}
