//! Algorithm 1, Theorems 3.1 and 3.2 and Table 1 of Avdiukhin and Yaroslavtsev (2021): perturbed compressed
//! SGD at a saddle point.

use crate::error::ReproduceError;
use crate::experiment::papers::ESCAPING;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Line, Panel};
use crate::loops::vector::{Descent, Length};
use crate::problems::{Problem, Saddle, SparseNoise};
use crate::record::judge::{Bound, Equality, Paired, Share};
#[cfg(test)]
use crate::record::made::{MADE_SEEDS, Made, Witness, steady, torn};
use crate::record::metric::MEGABYTES_UP;
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary, is_due};
use crate::words::short;

pub(super) struct SaddleEscape;

const START: GroupName = GroupName::new("from the saddle");
const WORKERS: GroupName = GroupName::new("four workers");
const NOISE: GroupName = GroupName::new("steps against r");
const QUALITY: GroupName = GroupName::new("steps against mu");
const ACCURACY: GroupName = GroupName::new("to an eps-SOSP");
const RESETS: GroupName = GroupName::new("at a minimum, r = 1");
const FEEDBACK: GroupName = GroupName::new("top-1 beside a loud coordinate");

const LOSS: Metric = Metric::new("f(x)");
/// 1 where it escaped in time.
const ESCAPED: Metric = Metric::new("escaped");
/// To f ≤ −⅛, or to an ε-SOSP; all of them where it did not come there.
const STEPS: Metric = Metric::new("steps to escape");
/// Floats that a worker sent until then.
const SENT: Metric = Metric::new("megabytes sent to escape");
/// 1 where at least half of the points are ε-SOSP.
const HALF: Metric = Metric::new("half of the points are eps-SOSP");

const D: usize = 100;
const GAMMA: f64 = 0.05;
const SADDLE: Saddle = Saddle { dimension: D, rattle: 0.0 };
/// Half of the way down to the minima.
const DEEP: f64 = -0.125;
const COMPRESSORS: [(CurveName, &str); 4] =
    [(FULL, "identity"), (TOP, "topk:0.1"), (CurveName::new("random-k 10 %"), "randk:0.1"), (SIGN, "sign:scaled")];
const RADII: [f64; 3] = [1e-2, 1e-4, 1e-6];
const SHARES: [f64; 4] = [1.0, 0.3, 0.1, 0.03];
const FULL: CurveName = CurveName::new("uncompressed");
const TOP: CurveName = CurveName::new("top-k 10 %");
const SIGN: CurveName = CurveName::new("scaled sign");
const RANDOM: CurveName = CurveName::new("random-k");
const LARGEST: CurveName = CurveName::new("top-k");
const RESET: CurveName = CurveName::new("with resets");
const KEPT: CurveName = CurveName::new("without resets");
const KINDS: [CurveName; 2] = [RANDOM, LARGEST];
const WITHOUT: CurveName = CurveName::new("without feedback");
const WITH: CurveName = CurveName::new("with feedback");
const PERTURBED: CurveName = CurveName::new("with feedback and noise");

fn quiet(name: CurveName) -> CurveName {
    format!("{name}, r = 0").into()
}

/// ε of the runs to an ε-SOSP. The Hessian is 6-Lipschitz where it matters; at ε ≥ 1/6 the saddle itself
/// would count.
fn accuracies(setup: &Setup) -> &'static [f64] {
    setup.scale.pick(&[0.16][..], &[0.16, 0.08, 0.04][..], &[0.16, 0.08, 0.04, 0.02][..])
}

/// Whether x is an ε-SOSP: ‖∇f‖ ≤ ε, λ_min ≥ −√(ρε), ρ = 6.
fn is_second_order(x: &[f32], epsilon: f64) -> bool {
    SADDLE.squared_gradient(1, x) <= epsilon * epsilon && Saddle::least_curvature(x) >= -(6.0 * epsilon).sqrt()
}

/// Steps that a run may take.
fn most(curve: &Curve, setup: &Setup) -> u64 {
    let all = match curve.group {
        NOISE => 1500,
        QUALITY => 3000,
        FEEDBACK => 600,
        RESETS => 66,
        _ => 400,
    };
    setup.scale.pick(all.min(60), all, all)
}

/// One run from a point.
struct Walk<'a> {
    curve: &'a Curve,
    problem: &'a dyn Problem,
    seed: u64,
    x: Vec<f32>,
    steps: u64,
    gamma: f64,
    /// What its numbers are recorded at.
    at: f64,
}

impl<'a> Walk<'a> {
    /// From the saddle.
    fn from(curve: &'a Curve, seed: u64, steps: u64) -> Self {
        Self { curve, problem: &SADDLE, seed, x: vec![0.0; D], steps, gamma: GAMMA, at: 0.0 }
    }

    /// Records how soon `there` holds, and what was sent until then; gives how many points it held at.
    fn run(self, out: &mut Recorder, there: impl Fn(&[f32]) -> bool) -> Result<u64, ReproduceError> {
        let Self { curve, problem, seed, x, steps, gamma, at } = self;
        let mut arrived = None;
        let mut times = 0;
        let length = Length { steps, points: steps };
        let drawn = [START, RESETS].contains(&curve.group);
        let before = out.rows().len();
        Descent::new(curve, problem, seed, x, length, LOSS).with_lr(move |_| gamma).run(
            out,
            |simulation, step, out| {
                let here = there(simulation.x());
                times += u64::from(here);
                let first = here && arrived.is_none();
                if first {
                    arrived = Some(step);
                }
                if first || drawn && is_due(step as u64, steps, 50) || step as u64 == steps {
                    out.record(LOSS, step, simulation.objective());
                }
            },
        )?;
        let reached = arrived.unwrap_or(steps as f64);
        let sent =
            out.rows()[before..].iter().find(|row| row.metric == MEGABYTES_UP && row.x >= reached).map(|row| row.value);
        out.record(ESCAPED, at, f64::from(u8::from(arrived.is_some())));
        out.record(STEPS, at, reached);
        out.record(SENT, at, sent.unwrap_or(f64::NAN));
        Ok(times)
    }
}

/// The exponent a of steps ~ x^a, seed by seed, between the ends of the curve.
fn exponents(results: &Results, group: GroupName, curve: CurveName, metric: Metric) -> Option<Seeds> {
    let series = results.series(group, curve, metric);
    let slope = |points: &[(f64, f64)]| {
        let (first, last) = (points.first()?, points.last()?);
        Some((last.1 / first.1).ln() / (last.0 / first.0).ln())
    };
    series
        .iter()
        .map(|(seed, points)| Some((*seed, slope(points)?)))
        .collect::<Option<Seeds>>()
        .filter(|_| !series.is_empty())
}

/// A metric's value of each seed at x.
fn at(results: &Results, group: GroupName, curve: CurveName, metric: Metric, x: f64) -> Option<Seeds> {
    let series = results.series(group, curve, metric);
    let value = |points: &[(f64, f64)]| points.iter().find(|point| point.0 == x).map(|point| point.1);
    series
        .iter()
        .map(|(seed, points)| Some((*seed, value(points)?)))
        .collect::<Option<Seeds>>()
        .filter(|_| !series.is_empty())
}

impl Experiment for SaddleEscape {
    fn about(&self) -> About {
        About {
            name: "saddle-escape",
            title: "Perturbed compressed SGD escapes a saddle point about as fast as perturbed SGD, with less communication",
            source: "Avdiukhin, Yaroslavtsev 2021, Algorithm 1, Theorems 3.1, 3.2, Table 1",
            claims: &[
                "noise escapes, whatever compresses; without noise nothing does",
                "steps depend on r by its logarithm, and little on mu while mu is above the step size",
                "half of the points are eps-SOSP; communication improves with 1/eps",
                "resets, feedback and the common draw each matter",
            ],
            time: ["2 min", "15 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let of = |group: GroupName, name: CurveName, algorithm: &str, compressor: &str| {
            Curve::new(group, name, algorithm, compressor, GAMMA)
        };
        let resets = "perturbed:r=0.01,interval=300,radius=0.5";
        let mut curves = Vec::new();
        for (name, compressor) in COMPRESSORS {
            curves.push(of(START, name, resets, compressor));
            curves.push(of(START, quiet(name), "perturbed:r=0,interval=300,radius=0.5", compressor));
            curves.push(Curve { workers: 4, ..of(WORKERS, name, resets, compressor) });
            curves.push(Curve { cost: 10.0, ..of(NOISE, name, resets, compressor) });
        }
        for name in KINDS {
            curves.push(Curve { cost: 10.0, ..of(QUALITY, name, resets, "identity") });
        }
        for name in [FULL, KINDS[0], KINDS[1]] {
            curves.push(Curve { cost: 40.0, ..of(ACCURACY, name, resets, "identity") });
        }
        curves.push(of(RESETS, RESET, "perturbed:r=1,interval=10", "topk:0.3"));
        curves.push(of(RESETS, KEPT, "perturbed:r=1", "topk:0.3"));
        curves.push(of(FEEDBACK, WITHOUT, "compressed-sgd", "topk:k=1"));
        curves.push(of(FEEDBACK, WITH, "ef-sgd:outside", "topk:k=1"));
        curves.push(of(FEEDBACK, PERTURBED, "perturbed:r=0.001", "topk:k=1"));
        curves
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 100, 100)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let list = |values: &[f64]| values.iter().map(|v| short(*v)).collect::<Vec<_>>().join(", ");
        vec![
            ("f", format!("x_j^2/2, and -x_1^2/2 + x_1^4/4 for the first: d = {D}, x_0 = 0, exact gradients")),
            ("step size, r, I, R", format!("{GAMMA}, 0.01, 300, 0.5; escaped when f <= {DEEP} within 400 steps")),
            ("r", list(&RADII)),
            ("mu = k/d", list(&SHARES)),
            (
                "eps",
                format!(
                    "{}: step size eps^2, mu = eps^(3/4), I = half of the steps, 40/eps^2 steps but no more than 1/eps^4, rho = 6",
                    list(accuracies(setup))
                ),
            ),
            ("at a minimum", "||x||^2/2, d = 20, top-k 30 %, step size 0.1, 66 steps, I = 10".into()),
            (
                "beside a loud coordinate",
                "the second coordinate's gradient has 1 or -1 added; x_1 from 0.01, 600 steps to 1/2".into(),
            ),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["The paper proves the theorems and does not draw them; the function is ours. Its constants are hidden in the O: the step size is eps^2 without one.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let deep = |x: &[f32]| SADDLE.loss(0, x) <= DEEP;
        let steps = most(curve, setup);
        let number = |share: f64| ((share * D as f64).round() as usize).max(1);
        let compressor = |name: CurveName, k: usize| match name {
            RANDOM => format!("randk:k={k}"),
            LARGEST => format!("topk:k={k}"),
            _ => "identity".into(),
        };
        match curve.group {
            NOISE => {
                for (i, r) in RADII.into_iter().enumerate() {
                    out.part(i as f64 / 3.0, (i + 1) as f64 / 3.0);
                    let algorithm = format!("perturbed:r={r},interval=300,radius=0.5");
                    let curve = Curve { algorithm, ..curve.clone() };
                    Walk { at: r, ..Walk::from(&curve, seed, steps) }.run(out, deep)?;
                }
            }
            QUALITY => {
                for (i, mu) in SHARES.into_iter().enumerate() {
                    out.part(i as f64 / 4.0, (i + 1) as f64 / 4.0);
                    let curve = Curve { compressor: compressor(curve.name, number(mu)), ..curve.clone() };
                    Walk { at: mu, ..Walk::from(&curve, seed, steps) }.run(out, deep)?;
                }
            }
            ACCURACY => {
                let total: f64 = accuracies(setup).iter().map(|e| e.powi(-2)).sum();
                let mut done = 0.0;
                for epsilon in accuracies(setup).iter().copied() {
                    out.part(done / total, (done + epsilon.powi(-2)) / total);
                    done += epsilon.powi(-2);
                    let gamma = epsilon * epsilon;
                    let steps = (40.0 / gamma).min(epsilon.powi(-4)) as u64;
                    let algorithm = format!("perturbed:r=0.01,interval={},radius=0.5", steps / 2);
                    let compressor = compressor(curve.name, number(epsilon.powf(0.75)));
                    let curve = Curve { algorithm, compressor, ..curve.clone() };
                    let there = |x: &[f32]| is_second_order(x, epsilon);
                    let times =
                        Walk { steps, gamma, at: 1.0 / epsilon, ..Walk::from(&curve, seed, steps) }.run(out, there)?;
                    out.record(HALF, 1.0 / epsilon, f64::from(u8::from(2 * times > steps)));
                }
            }
            RESETS => {
                let bowl = SparseNoise { dimension: 20, deviation: 0.0 };
                Walk { problem: &bowl, x: vec![0.0; 20], gamma: 0.1, ..Walk::from(curve, seed, steps) }
                    .run(out, |_| false)?;
            }
            FEEDBACK => {
                let mut x = vec![0.0; D];
                x[0] = 0.01;
                let problem = Saddle { rattle: 1.0, ..SADDLE };
                Walk { problem: &problem, x, ..Walk::from(curve, seed, steps) }.run(out, |x| x[0].abs() >= 0.5)?;
            }
            _ => {
                Walk::from(curve, seed, steps).run(out, deep)?;
            }
        }
        Ok(())
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let cite = |place: &str| format!("{ESCAPING}, {place}");
        let last = |group: GroupName, curve: CurveName, metric| results.seeds(group, curve, metric, Summary::Last);
        let names = COMPRESSORS.map(|compressor| compressor.0);
        // ln(10⁴) at the rate of the saddle's only direction down.
        let decades = (1e4f64).ln() / (1.0 + GAMMA).ln();
        let later = |curve: CurveName, r: f64, than: f64| {
            at(results, NOISE, curve, STEPS, r)?.with(&at(results, NOISE, curve, STEPS, than)?, |a, b| a - b)
        };
        let ratio = |curve: CurveName, mu: f64, metric| {
            at(results, QUALITY, curve, metric, mu)?.over(&at(results, QUALITY, curve, metric, 1.0)?)
        };
        let gain = |curve: CurveName| {
            let own = results.series(ACCURACY, curve, SENT);
            let all = results.series(ACCURACY, FULL, SENT);
            let mut rows = Results::default();
            for ((seed, points), (_, others)) in own.iter().zip(&all) {
                rows = rows.with_unfinished(points.iter().zip(others).map(|(own, all)| crate::record::Row {
                    group: ACCURACY,
                    curve,
                    seed: *seed,
                    metric: SENT,
                    x: own.0,
                    value: all.1 / own.1,
                }));
            }
            exponents(&rows, ACCURACY, curve, SENT)
        };
        vec![
            Claim::about(
                "Perturbed compressed SGD escapes the saddle within 400 steps, whatever compresses",
                cite("Theorem 3.1"),
            )
            .each(&Share::at_least("escape", 0.9), names.map(|name| (name, last(START, name, ESCAPED))))
            .judged(),
            Claim::about("Without noise it does not", cite("§2"))
                .each(&Share::at_most("escape", 0.1), names.map(|name| (name, last(START, quiet(name), ESCAPED))))
                .judged(),
            Claim::about(
                "The workers' noise is one draw: four escape as one does",
                cite("Algorithm 1, distributed setting"),
            )
            .each(
                &Equality::within("steps of four workers over those of one", 0.95, 1.05),
                names.map(|name| {
                    let four = last(WORKERS, name, STEPS);
                    (name, four.and_then(|four| four.over(&last(START, name, STEPS)?)))
                }),
            )
            .judged(),
            Claim::about("Steps grow with the logarithm of 1/r alone", cite("Theorems 3.1, 3.2: polylogarithmic"))
                .part(
                    FULL,
                    Equality::within(
                        "steps that a 10,000 times smaller r takes longer, over ln(10^4)/ln(1 + gamma)",
                        0.95,
                        1.05,
                    ),
                    later(names[0], RADII[2], RADII[0]).map(|steps| steps.map(|steps| steps / decades)),
                )
                .each(
                    &Equality::within("the second hundredth of r over the first, in steps", 0.75, 1.33),
                    names.map(|name| {
                        let second = later(name, RADII[2], RADII[1]);
                        (name, second.and_then(|second| second.over(&later(name, RADII[1], RADII[0])?)))
                    }),
                )
                .judged(),
            Claim::about(
                "While mu is above the step size, random-k and top-k take about as many steps as no compression",
                cite("Theorems 3.1, 3.2"),
            )
            .each(
                &Bound::at_most("steps at mu = 0.1, over those at mu = 1", 1.5),
                KINDS.map(|kind| (kind, ratio(kind, 0.1, STEPS))),
            )
            .judged(),
            Claim::about("So they send less to escape", cite("Corollary 3.3, Table 1"))
                .each(
                    &Bound::at_most("values and indices sent at mu = 0.1, over those at mu = 1", 0.3),
                    KINDS.map(|kind| (kind, ratio(kind, 0.1, SENT))),
                )
                .judged(),
            Claim::about(
                "Far below the step size the delay costs steps: at mu = 0.03 random-k needs more than at 0.1",
                cite("Theorem 3.2"),
            )
            .part(
                "",
                Paired::below("steps at mu = 0.1, and at mu = 0.03"),
                at(results, QUALITY, KINDS[0], STEPS, 0.1).zip(at(results, QUALITY, KINDS[0], STEPS, 0.03)),
            )
            .judged(),
            Claim::about(
                "At least half of the points are eps-SOSP, for the least eps as for the others",
                cite("Theorems 3.1, 3.2"),
            )
            .each(
                &Share::at_least("half of the points are", 0.9),
                [FULL, KINDS[0], KINDS[1]].map(|name| (name, results.seeds(ACCURACY, name, HALF, Summary::Least))),
            )
            .judged(),
            Claim::about("Steps grow no faster than 1/eps^4", cite("Theorem 3.2, Table 1"))
                .each(
                    &Bound::at_most("exponent of 1/eps in the steps to an eps-SOSP", 4.0),
                    [FULL, KINDS[0], KINDS[1]].map(|name| (name, exponents(results, ACCURACY, name, STEPS))),
                )
                .judged(),
            Claim::about(
                "With mu = eps^(3/4) total communication improves by 1/eps^(1/4) or more",
                cite("Table 1, Lipschitz F"),
            )
            .each(
                &Bound::at_least("exponent of 1/eps in what is sent without compression over what is sent", 0.25),
                KINDS.map(|kind| (kind, gain(kind))),
            )
            .judged(),
            Claim::about("Resets bring it back to where f was less", cite("Algorithm 1, lines 5 to 7"))
                .part(
                    "",
                    Paired::below("last f(x), with resets and without").times(0.1),
                    last(RESETS, RESET, LOSS).zip(last(RESETS, KEPT, LOSS)),
                )
                .judged(),
            Claim::about(
                "Without feedback top-1 stays at the saddle, with it it escapes",
                cite("§1.1, on error feedback"),
            )
            .part(WITHOUT, Share::at_most("escape", 0.1), last(FEEDBACK, WITHOUT, ESCAPED))
            .each(&Share::at_least("escape", 0.9), [WITH, PERTURBED].map(|name| (name, last(FEEDBACK, name, ESCAPED))))
            .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let many = |value: f64| vec![value; 100];
        let half = || -> Vec<f64> { (0..100).map(|i| f64::from(u8::from(i % 10 > 0))).collect() };
        let mut made = Made::default();
        for (name, _) in COMPRESSORS {
            made = made
                .with(START, name, ESCAPED, &many(1.0))
                .with(START, quiet(name), ESCAPED, &many(0.0))
                .with(START, name, STEPS, &steady(100.0))
                .with(WORKERS, name, STEPS, &steady(100.0))
                .path(NOISE, name, STEPS, &[(1e-6, 288.78), (1e-4, 194.39), (1e-2, 100.0)]);
        }
        let quality = |made: Made, kind: CurveName, metric, values: [f64; 3]| {
            made.path(QUALITY, kind, metric, &[(1.0, values[0]), (0.1, values[1]), (0.03, values[2])])
        };
        for kind in KINDS {
            made = quality(made, kind, STEPS, [100.0, 120.0, 300.0]);
            made = quality(made, kind, SENT, [100.0, 12.0, 9.0]);
        }
        let growing = |exponent: f64, first: f64| [6.25f64, 12.5, 25.0].map(|x| (x, first * (x / 6.25).powf(exponent)));
        for name in [FULL, KINDS[0], KINDS[1]] {
            made = made.with(ACCURACY, name, HALF, &many(1.0)).path(ACCURACY, name, STEPS, &growing(2.0, 100.0));
            made = made.path(ACCURACY, name, SENT, &growing(if name == FULL { 2.0 } else { 1.25 }, 1.0));
        }
        made = made.with(RESETS, RESET, LOSS, &steady(1e-3)).with(RESETS, KEPT, LOSS, &steady(1.0));
        made = made.with(FEEDBACK, WITHOUT, ESCAPED, &many(0.0));
        made = [WITH, PERTURBED].into_iter().fold(made, |made, name| made.with(FEEDBACK, name, ESCAPED, &many(1.0)));
        let with = |group: GroupName, curve: CurveName, metric, values: &[f64]| {
            made.clone().with(group, curve, metric, values)
        };
        let mixed = |group: GroupName, curve: CurveName, metric, one: &[(f64, f64)], other: &[(f64, f64)]| {
            let of = |seed: u64| if seed.is_multiple_of(2) { one.to_vec() } else { other.to_vec() };
            made.clone().paths(group, curve, metric, (1..=MADE_SEEDS).map(|seed| (seed, of(seed))))
        };
        let changed = |kind: CurveName, metric, values| quality(made.clone(), kind, metric, values);
        let slow = [(1.0, 100.0), (0.1, 190.0), (0.03, 300.0)];
        let fast = [(1.0, 100.0), (0.1, 110.0), (0.03, 300.0)];
        let late = [(1.0, 100.0), (0.1, 120.0), (0.03, 50.0)];
        let soon = [(1.0, 100.0), (0.1, 120.0), (0.03, 200.0)];
        vec![
            made.all_hold(),
            with(START, TOP, ESCAPED, &many(0.0)).fails("Perturbed compressed"),
            with(START, TOP, ESCAPED, &half()).undecided("Perturbed compressed"),
            with(START, quiet(FULL), ESCAPED, &many(1.0)).fails("Without noise"),
            with(START, quiet(FULL), ESCAPED, &half().iter().map(|v| 1.0 - v).collect::<Vec<_>>())
                .undecided("Without noise"),
            with(WORKERS, FULL, STEPS, &steady(120.0)).fails("The workers'"),
            with(WORKERS, FULL, STEPS, &torn(90.0, 112.0)).undecided("The workers'"),
            made.clone()
                .path(NOISE, FULL, STEPS, &[(1e-6, 500.0), (1e-4, 194.0), (1e-2, 100.0)])
                .fails("Steps grow with"),
            mixed(
                NOISE,
                SIGN,
                STEPS,
                &[(1e-6, 240.0), (1e-4, 200.0), (1e-2, 100.0)],
                &[(1e-6, 360.0), (1e-4, 200.0), (1e-2, 100.0)],
            )
            .undecided("Steps grow with"),
            changed(KINDS[0], STEPS, [100.0, 200.0, 300.0]).fails("While mu"),
            mixed(QUALITY, KINDS[1], STEPS, &slow, &fast).undecided("While mu"),
            changed(KINDS[1], SENT, [100.0, 50.0, 30.0]).fails("So they"),
            mixed(QUALITY, KINDS[1], SENT, &[(1.0, 1.0), (0.1, 0.2)], &[(1.0, 1.0), (0.1, 0.38)]).undecided("So they"),
            changed(KINDS[0], STEPS, [100.0, 120.0, 110.0]).fails("Far below"),
            mixed(QUALITY, KINDS[0], STEPS, &late, &soon).undecided("Far below"),
            with(ACCURACY, KINDS[0], HALF, &many(0.0)).fails("At least half"),
            with(ACCURACY, KINDS[0], HALF, &half()).undecided("At least half"),
            made.clone().path(ACCURACY, KINDS[1], STEPS, &growing(5.0, 100.0)).fails("Steps grow no"),
            mixed(ACCURACY, KINDS[1], STEPS, &growing(3.0, 1.0), &growing(4.9, 1.0)).undecided("Steps grow no"),
            made.clone().path(ACCURACY, KINDS[1], SENT, &growing(2.0, 1.0)).fails("With mu"),
            mixed(ACCURACY, KINDS[1], SENT, &growing(1.4, 1.0), &growing(2.0, 1.0)).undecided("With mu"),
            with(RESETS, RESET, LOSS, &steady(0.9)).fails("Resets"),
            with(RESETS, RESET, LOSS, &torn(0.0, 0.18)).undecided("Resets"),
            with(FEEDBACK, WITHOUT, ESCAPED, &many(1.0)).fails("Without feedback"),
            with(FEEDBACK, PERTURBED, ESCAPED, &half()).undecided("Without feedback"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let of = |group: GroupName, metric: Metric, x: Axis, y: Axis| Panel::of(results, group, metric, x, y);
        // Curves of one group have points at few x: of those that were recorded at 0 there is nothing to draw.
        let several = |panel: Panel| {
            let lines: Vec<Line> = panel.lines.into_iter().filter(|line| line.points.len() > 1).collect();
            Panel { lines, ..panel }
        };
        let panels = vec![
            of(START, LOSS, Axis::linear("step"), Axis::linear("f(x)")),
            of(RESETS, LOSS, Axis::linear("step"), Axis::linear("f(x)")),
            of(NOISE, STEPS, Axis::log("r"), Axis::linear("steps to escape")),
            of(QUALITY, STEPS, Axis::log("mu = k/d"), Axis::log("steps to escape")).titled("steps against mu"),
            of(QUALITY, SENT, Axis::log("mu = k/d"), Axis::log("megabytes to escape"))
                .titled("communication against mu"),
            of(ACCURACY, SENT, Axis::log("1/eps"), Axis::log("megabytes to an eps-SOSP"))
                .titled("communication against eps"),
        ];
        Figure::new(3, panels.into_iter().map(several).filter(|panel| !panel.lines.is_empty()).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table =
            Table::new("Mean steps to escape, and megabytes sent", &["group", "curve", "at", "steps", "megabytes"]);
        for group in [START, WORKERS, NOISE, QUALITY, ACCURACY, FEEDBACK] {
            for curve in results.curves(group) {
                let sent = crate::figure::line(&results.series(group, curve, SENT));
                for (point, sent) in crate::figure::line(&results.series(group, curve, STEPS)).iter().zip(sent) {
                    let cells = [short(point.x), short(point.mean), short(sent.mean)];
                    table.rows.push([group.into(), curve.into()].into_iter().chain(cells).collect());
                }
            }
        }
        vec![table]
    }
}
