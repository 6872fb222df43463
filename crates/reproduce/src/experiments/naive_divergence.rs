//! The poster's first boxes: compression without feedback diverges without any noise, EF21 converges, and EF14 stops
//! short of it where workers differ.

use crate::error::ReproduceError;
use crate::experiment::papers::MOMENTUM;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Descent, Length};
use crate::problems::{ThreeWorkers, square};
use crate::record::judge::Exact;
#[cfg(test)]
use crate::record::made::{Made, Witness};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Summary, is_due};
use crate::words::short;

pub(super) struct NaiveDivergence;

/// As published, and with terms ⟨b_i, x⟩ that add up to 0, so that workers' gradients do not vanish where f's does.
const PLAIN: GroupName = GroupName::new("as published");
const SHIFTED: GroupName = GroupName::new("with linear terms");
const NAIVE: CurveName = CurveName::new("compressed SGD");

const EF21: CurveName = CurveName::new("EF21-SGD");
/// ‖x_t‖/‖x₀‖.
const SIZE: Metric = Metric::new("distance to the solution over the first");
/// The largest relative distance of a coordinate of x_t to the closed form, so far.
const OFF: Metric = Metric::new("relative distance to the closed form");
/// EF21's own theorem allows 1/(L + L̃√(β/θ)) = 0.0059 for top-1 of three.
const GAMMA: f64 = 0.005;
/// The step sizes of EF14, as shares of that.
const SHARES: [u32; 3] = [1, 4, 16];
/// Rounds of NEOLITHIC; three of top-1 are the whole of three coordinates.
const ROUNDS: [usize; 3] = [1, 2, 3];
/// f is ½·7/6 strongly convex along x₀.
const GROWTH: f64 = 11.0 / 6.0;

fn ef14(share: u32) -> CurveName {
    format!("EF14-SGD, step size {}", GAMMA / f64::from(share)).into()
}

fn neolithic(rounds: usize) -> CurveName {
    format!("NEOLITHIC, {rounds} rounds").into()
}

impl NaiveDivergence {
    fn length(curve: &Curve, setup: &Setup) -> Length {
        let steps = setup.scale.pick(20.0, 20.0, 20.0) / curve.lr;
        Length { steps: steps.round() as u64, points: 200 }
    }
}

impl Experiment for NaiveDivergence {
    fn about(&self) -> About {
        About {
            name: "naive-divergence",
            title: "Three workers, no noise: top-1 without feedback diverges, EF21 converges, EF14 to a neighbourhood",
            source: "Fatkhullin et al. 2023, poster, boxes 1 to 3; Beznosikov et al. 2020, Example 1",
            claims: &[
                "compressed SGD diverges for sigma = 0 and n > 1",
                "EF21-SGD converges there",
                "EF14-SGD is not optimal for sigma = 0",
            ],
            time: ["1 s", "1 s"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let of = |group: GroupName, name: CurveName, algorithm: &str, lr: f64| Curve {
            workers: 3,
            cost: 1.0 / lr,
            ..Curve::new(group, name, algorithm, "topk:k=1", lr)
        };
        let mut curves = vec![of(PLAIN, NAIVE, "compressed-sgd", GAMMA), of(PLAIN, EF21, "ef21-sgd", GAMMA)];
        curves.push(of(SHIFTED, EF21, "ef21-sgd", GAMMA));
        curves.extend(SHARES.map(|share| of(SHIFTED, ef14(share), "ef-sgd", GAMMA / f64::from(share))));
        curves.extend(ROUNDS.map(|r| of(SHIFTED, neolithic(r), &format!("neolithic:rounds={r}"), GAMMA)));
        curves
    }

    fn seeds(&self, _: &Setup) -> u64 {
        1
    }

    fn settings(&self, _: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("f_i", "<a_i, x>^2 + ||x||^2/4, a = (-3, 2, 2), (2, -3, 2), (2, 2, -3), x0 = (1, 1, 1)".into()),
            ("linear terms", "<b_i, x>, b = (2, -1, -1), (-1, 2, -1), (-1, -1, 2)".into()),
            ("steps", "20 over the step size".into()),
            ("step size", format!("{GAMMA}; of EF14-SGD also a fourth and a sixteenth of it")),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["At the solution of the published example every worker's gradient is 0, and there EF14-SGD converges too; the linear terms make workers differ.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let problem = ThreeWorkers { shifted: curve.group == SHIFTED };
        let length = Self::length(curve, setup);
        let each = Length { points: length.steps, ..length };
        let rate = 1.0 + GROWTH * curve.lr;
        let mut off = 0.0f64;
        // The example is symmetric, and from (1, 1, 1) a run with linear terms would stay so.
        let start = if curve.group == SHIFTED { vec![1.0, 0.5, -1.0] } else { vec![1.0; 3] };
        let first = square(&start).sqrt();
        Descent::new(curve, &problem, seed, start, each, SIZE).run(out, |simulation, step, out| {
            let x = simulation.x();
            let wanted = rate.powf(step);
            off = x.iter().fold(off, |off, x| off.max((f64::from(*x) / wanted - 1.0).abs()));
            if is_due(step as u64, length.steps, length.points) {
                out.record(SIZE, step, square(x).sqrt() / first);
                out.record(OFF, step, off);
            }
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let of = |group: GroupName, curve: CurveName, metric, summary| {
            results.seeds(group, curve, metric, summary).map(|seeds| seeds.most())
        };
        let size = |group: GroupName, curve: CurveName| of(group, curve, SIZE, Summary::Tail(0.25));
        let [all, fourth, sixteenth] = SHARES.map(|share| size(SHIFTED, ef14(share)));
        let cite = |place: &str| format!("{MOMENTUM}, {place}");
        let ratio = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
        let proportion = || Exact::within("ratio of the late distances, at a fourth of the step size", 0.125, 0.5);
        let small = || Exact::at_most("||x_t - x*|| over the last quarter as a share of the first", 1e-5);
        vec![
            Claim::about(
                "Without feedback x_t = (1 + 11 gamma/6)^t x_0: compressed SGD diverges for sigma = 0 and n = 3",
                cite("box 1; Beznosikov et al. 2020, Example 1"),
            )
            .part(
                "closed form",
                Exact::at_most("largest relative distance of a coordinate over all steps, to rounding", 1e-3),
                of(PLAIN, NAIVE, OFF, Summary::Last),
            )
            .part("growth", Exact::at_least("last ||x_t||/||x_0||", 1e6), of(PLAIN, NAIVE, SIZE, Summary::Last))
            .judged(),
            Claim::about("EF21-SGD converges where compressed SGD diverges", cite("box 3"))
                .part("", small(), size(PLAIN, EF21))
                .judged(),
            Claim::about("EF21-SGD converges for sigma = 0 where workers differ", cite("box 3"))
                .part("", small(), size(SHIFTED, EF21))
                .judged(),
            Claim::about(
                "EF14-SGD with a constant step is not optimal for sigma = 0: it stays as far away as the step is long",
                cite("box 2, and the table's G/(alpha epsilon^3)"),
            )
            .part(
                "distance",
                Exact::at_least("||x_t - x*|| over the last quarter as a share of the first", 1e-4),
                sixteenth,
            )
            .part("fourth", proportion(), ratio(fourth, all))
            .part("sixteenth", proportion(), ratio(sixteenth, fourth))
            .judged(),
            Claim::about(
                "NEOLITHIC: each round of compression makes that neighbourhood smaller",
                cite("table, log(G/epsilon)"),
            )
            .each(
                &Exact::at_most("ratio of the late distances, with a round more", 0.8),
                ROUNDS.windows(2).map(|pair| {
                    let found = ratio(size(SHIFTED, neolithic(pair[1])), size(SHIFTED, neolithic(pair[0])));
                    (format!("{} rounds", pair[1]), found)
                }),
            )
            .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let mut made = Made::default()
            .with(PLAIN, NAIVE, OFF, &[1e-5])
            .with(PLAIN, NAIVE, SIZE, &[1e8])
            .with(PLAIN, EF21, SIZE, &[1e-7])
            .with(SHIFTED, EF21, SIZE, &[1e-7]);
        for share in SHARES {
            made = made.with(SHIFTED, ef14(share), SIZE, &[0.04 / f64::from(share)]);
        }
        for rounds in ROUNDS {
            made = made.with(SHIFTED, neolithic(rounds), SIZE, &[0.1f64.powi(rounds as i32)]);
        }
        let with =
            |group: GroupName, curve: CurveName, metric, value| made.clone().with(group, curve, metric, &[value]);
        vec![
            made.all_hold(),
            with(PLAIN, NAIVE, OFF, 0.1).fails("Without feedback"),
            with(PLAIN, NAIVE, SIZE, 0.5).fails("Without feedback"),
            with(PLAIN, EF21, SIZE, 0.5).fails("EF21-SGD converges where"),
            with(SHIFTED, EF21, SIZE, 0.5).fails("EF21-SGD converges for"),
            with(SHIFTED, ef14(16), SIZE, 1e-7).fails("EF14-SGD"),
            with(SHIFTED, neolithic(2), SIZE, 0.2).fails("NEOLITHIC"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 2, |group| {
            Panel::of(results, group, SIZE, Axis::linear("iteration"), Axis::log("distance to the solution"))
        })
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table =
            Table::new("Distance to the solution over the last quarter", &["f", "method", "share of the first"]);
        for (group, curve) in
            results.groups().into_iter().flat_map(|g| results.curves(g).into_iter().map(move |c| (g, c)))
        {
            let late = results.tail(group, curve, SIZE, 0.25).map_or("–".into(), short);
            table.rows.push(vec![group.into(), curve.into(), late]);
        }
        vec![table]
    }
}
