//! Figure 3 of Karimireddy et al. (2019): over-parameterised least squares, the span of the gradients and
//! generalisation; and Lemma 3 and Theorem IV along those runs.

use backburn_compress::{Key, Philox, Stream};

use super::names::{EF, SGD, SIGN, SIGNM};
use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup, Tuning};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::owed::{Norms, Owed};
use crate::loops::vector::{Descent, Length};
use crate::problems::{LeastSquares, square};
use crate::record::judge::{Bound, Exact, Paired};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::metric::{TEST_LOSS, TRAIN_LOSS};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary};

pub(super) struct MaxMargin;

const SUMMED: CurveName = CurveName::new("signSGDM, gradients summed");
const RANDOM: GroupName = GroupName::new("random halves, majority +1");
const BALANCED: GroupName = GroupName::new("balanced halves, majority +1");
const MINUS: GroupName = GroupName::new("random halves, majority -1");
const GROUPS: [GroupName; 3] = [RANDOM, BALANCED, MINUS];
const DISTANCE: Metric = Metric::new("distance to span");
const ERROR: Metric = Metric::new("squared error norm");
const BOUND: Metric = Metric::new("bound of Remark 10");
/// Of the test loss from what it is in closed form.
const FORM: Metric = Metric::new("deviation from the closed form");
/// The largest so far of what a statement bounds, over the bound.
const SPAN_RATIO: Metric = Metric::new("largest ratio to Theorem IV");
const ERROR_RATIO: Metric = Metric::new("largest ratio to Remark 10");
const SIGN_RATIO: Metric = Metric::new("largest ratio to Lemma 8");
/// ‖x − A⁺y‖/‖A⁺y‖, and the training loss, in the end.
const APART: Metric = Metric::new("relative distance to A+y");
const FINAL: Metric = Metric::new("train loss in the end");
const POINTS: usize = 200;
const D: usize = 6 * POINTS;
/// Steps of the figure.
const STEPS: u64 = 80;

/// A half of the rows, with their labels.
type Half = (Vec<Vec<f32>>, Vec<f32>);

/// A.6 of the paper: label y_i; columns y_i, 1, 1, then ones of its own: one for y = +1, five for −1.
/// Half of the rows are for training, of which one label has the majority: which of them, decides where
/// signSGD goes, and a sum of labels that is 0 is another story. Balanced, that is 52 to 48, and the test
/// half is even.
fn data(seed: u64, group: GroupName) -> [Half; 2] {
    let mut random = Philox::new(Key { stream: Stream::MAX_MARGIN, ..Key::new(seed) }.draw());
    let (train, test) = loop {
        let mut labels: Vec<f32> = (0..POINTS)
            .map(|i| match group {
                // 52 and 48 of the training half, 50 and 50 of the other.
                BALANCED if i < 52 || (100..150).contains(&i) => 1.0,
                BALANCED => -1.0,
                _ => [-1.0, 1.0][random.below(2) as usize],
            })
            .collect();
        let test = labels.split_off(POINTS / 2);
        let sum: f32 = labels.iter().sum();
        if if group == MINUS { sum < 0.0 } else { sum > 0.0 } {
            break (labels, test);
        }
    };
    let half = |labels: Vec<f32>, first: usize| -> Half {
        let row = |(i, y): (usize, &f32)| {
            let mut row = vec![0.0; D];
            row[..3].copy_from_slice(&[*y, 1.0, 1.0]);
            let own = 3 + 5 * (first + i);
            row[own..=own + if *y > 0.0 { 0 } else { 4 }].fill(1.0);
            row
        };
        (labels.iter().enumerate().map(row).collect(), labels)
    };
    [half(train, 0), half(test, POINTS / 2)]
}

/// A⁺y = Aᵀ(AAᵀ)⁻¹y, by conjugate gradients in double precision.
fn least_norm((rows, y): &Half) -> Vec<f64> {
    let up = |z: &[f64]| {
        let mut x = vec![0.0; D];
        for (a, z) in rows.iter().zip(z) {
            x.iter_mut().zip(a).for_each(|(x, a)| *x += z * f64::from(*a));
        }
        x
    };
    let down = |x: &[f64]| -> Vec<f64> {
        rows.iter().map(|a| a.iter().zip(x).map(|(a, x)| f64::from(*a) * x).sum()).collect()
    };
    let inner = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let mut z = vec![0.0; rows.len()];
    let mut r: Vec<f64> = y.iter().map(|y| f64::from(*y)).collect();
    let mut p = r.clone();
    for _ in 0..4 * rows.len() {
        let square = inner(&r, &r);
        if square < 1e-28 {
            break;
        }
        let q = down(&up(&p));
        let step = square / inner(&p, &q);
        z.iter_mut().zip(&p).for_each(|(z, p)| *z += step * p);
        r.iter_mut().zip(&q).for_each(|(r, q)| *r -= step * q);
        let next = inner(&r, &r) / square;
        p.iter_mut().zip(&r).for_each(|(p, r)| *p = r + next * *p);
    }
    up(&z)
}

/// signSGD's test loss where its first weight is t, with a training majority of +1: the weights of the constant
/// features are t too, so that a row is off by (1 − t)y − 2t; ȳ is the mean test label. Its training rows
/// are all off by 1 − 4t, and so it ends at t = ¼. With the other majority the rows of y = +1 and −1 part.
fn closed_form(t: f64, mean_label: f64) -> f64 {
    (1.0 - t).powi(2) - 4.0 * t * (1.0 - t) * mean_label + 4.0 * t * t
}

/// An orthonormal basis of the gradients seen so far.
#[derive(Default)]
struct Span(Vec<Vec<f64>>);

impl Span {
    /// What of `x` lies outside of the span.
    fn outside(&self, x: &[f32]) -> Vec<f64> {
        let mut rest: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        // Twice is enough (Kahan; Giraud, Langou 2002).
        for _ in 0..2 {
            for unit in &self.0 {
                let along: f64 = rest.iter().zip(unit).map(|(r, u)| r * u).sum();
                rest.iter_mut().zip(unit).for_each(|(r, u)| *r -= along * u);
            }
        }
        rest
    }

    fn distance(&self, x: &[f32]) -> f64 {
        self.outside(x).iter().map(|r| r * r).sum::<f64>().sqrt()
    }

    /// Takes a gradient in; what single precision cannot tell from the span is not new.
    fn add(&mut self, g: &[f32]) {
        let rest = self.outside(g);
        let size = rest.iter().map(|r| r * r).sum::<f64>().sqrt();
        if size > 1e-5 * square(g).sqrt() && size > 0.0 {
            self.0.push(rest.into_iter().map(|r| r / size).collect());
        }
    }
}

impl MaxMargin {
    /// Steps after which the solution is looked at.
    fn long(setup: &Setup) -> u64 {
        setup.scale.pick(STEPS, 3000, 10_000)
    }
}

impl Experiment for MaxMargin {
    fn about(&self) -> About {
        About {
            name: "max-margin",
            title: "EF-signSGD stays by the span of the gradients and generalises; signSGD and signSGDM do not",
            source: "Karimireddy et al. 2019, §5, Figure 3, Appendix A.6; Lemmas 3, 8, 9, Theorem IV",
            claims: &[
                "distance to the span and test loss go to 0 for EF-signSGD only",
                "signSGD's test loss in closed form",
                "Theorem IV, Lemmas 3, 8 and 9",
            ],
            time: ["2 min", "10 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let curves = |group: GroupName| {
            [
                Curve::new(group, SGD, "sgd", "identity", 0.25),
                Curve::new(group, SIGN, "compressed-sgd", "reference-sign:scaled", 5.0),
                Curve::new(group, SIGNM, "compressed-sgd:momentum=0.1", "reference-sign", 0.05),
                Curve::new(group, SUMMED, "compressed-sgd:momentum=0.9999", "reference-sign", 0.05),
                Curve::new(group, EF, "ef-sgd", "reference-sign:scaled", 5.0),
            ]
        };
        GROUPS.into_iter().flat_map(curves).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 20, 100)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("steps", format!("{STEPS}; A+y after {}", Self::long(setup))),
            ("gradients", "full batch of the mean square".into()),
            ("step size", "that of the authors' program: fixed; half of theirs for SGD, signSGD and EF-signSGD, since their gradient is half of ours".into()),
            (SIGN.name(), "scaled by the mean magnitude, as in the authors' program; signSGDM is not".into()),
            ("balanced halves", "52 of y = +1 and 48 of -1 for training, 50 and 50 for tests".into()),
            ("sign(0)", "0".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec![
            "The paper's figure is of one draw; here there are many, and the paper's \"higher than 0.8\" is judged where the halves are balanced: in a random half the test labels' mean decides whether the best is above or below it.".into(),
            "The authors' program adds gradients up without decay where the paper has momentum: both are here.".into(),
            "Which label has the majority of the training half decides where signSGD goes: halves are drawn until it is the one or the other.".into(),
        ]
    }

    fn tuning(&self) -> Option<Tuning> {
        Some(Tuning::powers_of_two(-6, 4, TRAIN_LOSS))
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let [train_half, test_half] = data(seed, curve.group);
        let solution = least_norm(&train_half);
        let size = solution.iter().map(|x| x * x).sum::<f64>().sqrt();
        let mean_label = test_half.1.iter().map(|y| f64::from(*y)).sum::<f64>() / test_half.1.len() as f64;
        let train = LeastSquares::new(train_half.0, train_half.1, 1, 0);
        let test = LeastSquares::new(test_half.0, test_half.1, 1, 0);
        let steps = Self::long(setup);
        let lr = curve.lr;
        let mut span = Span::default();
        let (mut largest, mut delta) = (0.0f64, 1.0f64);
        let (mut span_ratio, mut error_ratio, mut sign_ratio) = (0.0f64, 0.0f64, 0.0f64);
        let has_error = curve.algorithm.starts_with("ef-sgd");
        // What Lemma 8 allows the next residual.
        let mut allowed = f64::INFINITY;
        let length = Length { steps, points: steps };
        Descent::new(curve, &train, seed, vec![0.0; D], length, TRAIN_LOSS).run(out, |simulation, step, out| {
            let taken = step as u64;
            if taken == steps {
                let away = simulation.x().iter().zip(&solution).map(|(x, s)| (f64::from(*x) - s).powi(2));
                out.record(APART, step, away.sum::<f64>().sqrt() / size);
                out.record(FINAL, step, train.mean_square(simulation.x()));
            }
            if taken > STEPS {
                return;
            }
            let mut owed = Owed::default();
            if has_error && taken > 0 {
                simulation.cluster().visit(&mut owed);
                let error = square(owed.0.as_slice());
                let bound = 4.0 * (1.0 - delta) / (delta * delta) * largest;
                let apart = span.distance(simulation.x()).powi(2);
                span_ratio = span_ratio.max((apart - 1e-6) / error.max(1e-300));
                error_ratio = error_ratio.max(error / bound);
                sign_ratio = sign_ratio.max(error / allowed);
                out.record(ERROR, step, error);
                out.record(BOUND, step, bound);
                out.record(SPAN_RATIO, step, span_ratio);
                out.record(ERROR_RATIO, step, error_ratio);
                out.record(SIGN_RATIO, step, sign_ratio);
            }
            let x = simulation.x();
            let tested = test.mean_square(x);
            out.record(TRAIN_LOSS, step, train.mean_square(x));
            out.record(TEST_LOSS, step, tested);
            out.record(DISTANCE, step, span.distance(x));
            if curve.name == SIGN && curve.group != MINUS {
                out.record(FORM, step, (tested - closed_form(f64::from(x[0]), mean_label)).abs());
            }
            // The gradient of the step that follows, and what is compressed in it.
            let mut g = vec![0.0; D];
            crate::problems::Problem::exact(&train, 0, x, &mut g);
            largest = largest.max(square(&g) * lr.powi(2));
            let e = owed.0.as_slice();
            let p = Norms::of(g.iter().enumerate().map(|(j, g)| lr as f32 * g + e.get(j).copied().unwrap_or(0.0)));
            delta = delta.min(p.density());
            allowed = (1.0 - p.density()) * p.square;
            span.add(&g);
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let of = |group: GroupName, curve: CurveName, metric, summary| results.seeds(group, curve, metric, summary);
        let last = |group: GroupName, curve: CurveName, metric| of(group, curve, metric, Summary::Last);
        let worst = |groups: &[GroupName], curve: CurveName, metric| -> Vec<(GroupName, Option<f64>)> {
            let most = |group: GroupName| of(group, curve, metric, Summary::Most).map(|seeds: Seeds| seeds.most());
            groups.iter().map(|group| (*group, most(*group))).collect()
        };
        let both = |curves: &[CurveName], metric| -> Vec<(String, Option<Seeds>)> {
            let pairs = GROUPS.iter().flat_map(|group| curves.iter().map(move |curve| (*group, *curve)));
            pairs.map(|(group, curve)| (format!("{curve}, {group}"), last(group, curve, metric))).collect()
        };
        let figure = format!("{FIXES}, Figure 3");
        let section = format!("{FIXES}, §5.2");
        let largest = |group: GroupName| of(group, EF, DISTANCE, Summary::Most);
        vec![
            Claim::about("In all cases the train loss quickly goes to 0", &section)
                .each(
                    &Bound::at_most(format!("train loss after {STEPS} steps (that of x = 0 is 1)"), 0.05),
                    both(&[SGD, SIGN, SIGNM, EF], TRAIN_LOSS),
                )
                .judged(),
            Claim::about("The test loss of EF-signSGD goes to 0 as SGD's does", &figure)
                .each(
                    &Bound::at_most(format!("test loss after {STEPS} steps (that of x = 0 is 1)"), 0.05),
                    both(&[SGD, EF], TEST_LOSS),
                )
                .judged(),
            Claim::about("signSGD and signSGDM do not generalise: their best test loss is higher than 0.8", &figure)
                .each(
                    &Exact::at_least(
                        "smallest test loss over all steps and draws of balanced halves, to rounding (in closed form 0.8 at t = 0.2)",
                        0.8 - 1e-6,
                    ),
                    [SIGN, SIGNM].map(|curve| {
                        let least = of(BALANCED, curve, TEST_LOSS, Summary::Least);
                        (curve, least.map(|seeds| seeds.least()))
                    }),
                )
                .judged(),
            Claim::about("On random halves the best test loss of signSGD and signSGDM is higher than 0.7", "the authors' program")
                .each(
                    &Bound::at_least("smallest test loss over the steps", 0.7),
                    [SIGN, SIGNM].map(|curve| (curve, of(RANDOM, curve, TEST_LOSS, Summary::Least))),
                )
                .judged(),
            Claim::about("signSGD's test loss is (1 - t)^2 - 4t(1 - t)y + 4t^2, t its first weight, y the mean test label", "by calculation, from A.6")
                .each(
                    &Exact::at_most("largest deviation, over all steps and draws, to rounding", 1e-4),
                    worst(&GROUPS[..2], SIGN, FORM),
                )
                .judged(),
            Claim::about("Whatever the draw, their best test loss is more than ten times EF-signSGD's last", &section)
                .each(
                    &Paired::below("test loss").times(0.1),
                    GROUPS.iter().flat_map(|group| [SIGN, SIGNM].map(|curve| (*group, curve))).map(|(group, curve)| {
                        let pair = last(group, EF, TEST_LOSS).zip(of(group, curve, TEST_LOSS, Summary::Least));
                        (format!("EF-signSGD and {curve}, {group}"), pair)
                    }),
                )
                .judged(),
            Claim::about(
                "The distance to the span of gradients rises and goes to 0 for EF-signSGD, and stays large for the signs",
                &figure,
            )
            .each(
                &Paired::below("distance: EF-signSGD's last, and another").times(0.1),
                GROUPS.into_iter().flat_map(|group| {
                    let ef = last(group, EF, DISTANCE);
                    [
                        (format!("its largest, {group}"), ef.clone().zip(largest(group))),
                        (format!("signSGD's last, {group}"), ef.clone().zip(last(group, SIGN, DISTANCE))),
                        (format!("signSGDM's last, {group}"), ef.zip(last(group, SIGNM, DISTANCE))),
                    ]
                }),
            )
            .judged(),
            Claim::about("Theorem IV: the squared distance to the span is at most ||e_t||^2", format!("{FIXES}, Theorem IV"))
                .each(&Exact::at_most("largest ratio, over all steps and draws, to rounding", 1.001), worst(&GROUPS, EF, SPAN_RATIO))
                .judged(),
            Claim::about(
                "Lemma 3 (Remark 10): ||e_t||^2 <= 4 (1 - delta)/delta^2 max ||gamma g||^2, delta the smallest density of p so far",
                format!("{FIXES}, Lemma 3, Remark 10"),
            )
            .each(&Exact::at_most("largest ratio, over all steps and draws", 1.0), worst(&GROUPS, EF, ERROR_RATIO))
            .judged(),
            Claim::about(
                "Lemma 8: the scaled sign leaves at most (1 - phi(p))||p||^2, phi the density of p",
                format!("{FIXES}, Lemma 8"),
            )
            .each(&Exact::at_most("largest ratio, over all steps and draws, to rounding", 1.001), worst(&GROUPS, EF, SIGN_RATIO))
            .judged(),
            Claim::about(
                "Lemma 9: SGD and EF-signSGD, whose loss goes to 0 by the span, end in A+y; signSGD's goes to 0 elsewhere",
                format!("{FIXES}, Lemma 9"),
            )
            .each(&Bound::at_most("distance to A+y as a share of ||A+y||", 0.01), both(&[SGD, EF], APART))
            .each(&Bound::at_least("the same", 0.5), both(&[SIGN], APART))
            .each(&Bound::at_most("train loss in the end", 1e-4), both(&[SGD, SIGN, EF], FINAL))
            .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let mut made = Made::default();
        for group in GROUPS {
            for (curve, test, apart, distance) in
                [(SGD, 0.01, 1e-3, 0.0), (SIGN, 0.82, 2.0, 3.0), (SIGNM, 0.82, 2.0, 3.0), (EF, 0.01, 1e-3, 0.01)]
            {
                made = made
                    .with(group, curve, TRAIN_LOSS, &steady(1e-3))
                    .with(group, curve, TEST_LOSS, &steady(test))
                    .with(group, curve, APART, &steady(apart))
                    .with(group, curve, FINAL, &steady(1e-9))
                    .path(group, curve, DISTANCE, &[(0.0, 1.0), (1.0, distance)]);
            }
            made = made.with(group, SIGN, FORM, &steady(1e-7));
            made = [SPAN_RATIO, ERROR_RATIO, SIGN_RATIO]
                .iter()
                .fold(made, |m, metric| m.with(group, EF, *metric, &steady(0.5)));
        }
        let with = |group: GroupName, curve: CurveName, metric, values: &[f64]| {
            made.clone().with(group, curve, metric, values)
        };
        vec![
            made.all_hold(),
            with(RANDOM, SIGNM, TRAIN_LOSS, &steady(0.2)).fails("In all cases"),
            with(RANDOM, SIGNM, TRAIN_LOSS, &torn(0.0, 0.1)).undecided("In all cases"),
            with(BALANCED, EF, TEST_LOSS, &steady(0.2)).fails("The test loss of EF"),
            with(BALANCED, EF, TEST_LOSS, &torn(0.0, 0.1)).undecided("The test loss of EF"),
            with(BALANCED, SIGNM, TEST_LOSS, &steady(0.79)).fails("signSGD and signSGDM do not"),
            with(RANDOM, SIGN, TEST_LOSS, &steady(0.6)).fails("On random halves"),
            with(RANDOM, SIGN, TEST_LOSS, &torn(0.6, 0.81)).undecided("On random halves"),
            with(RANDOM, SIGN, FORM, &steady(0.01)).fails("signSGD's test loss is"),
            with(MINUS, SIGN, TEST_LOSS, &steady(0.05)).fails("Whatever the draw"),
            with(MINUS, SIGN, TEST_LOSS, &torn(0.0, 0.25)).undecided("Whatever the draw"),
            made.clone().path(RANDOM, EF, DISTANCE, &[(0.0, 1.0), (1.0, 0.5)]).fails("The distance"),
            with(RANDOM, SIGN, DISTANCE, &torn(-0.05, 0.25)).undecided("The distance"),
            with(BALANCED, EF, SPAN_RATIO, &steady(1.1)).fails("Theorem IV"),
            with(BALANCED, EF, ERROR_RATIO, &steady(1.1)).fails("Lemma 3"),
            with(BALANCED, EF, SIGN_RATIO, &steady(1.1)).fails("Lemma 8"),
            with(BALANCED, EF, APART, &steady(0.1)).fails("Lemma 9"),
            with(BALANCED, SIGN, APART, &torn(0.0, 1.0)).undecided("Lemma 9"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let step = || Axis::linear("iteration");
        let panels = GROUPS.into_iter().filter(|group| results.groups().contains(group)).flat_map(|group| {
            let panel = |metric: Metric, y: Axis| {
                Panel::of(results, group, metric, step(), y).titled(format!("{metric}, {group}"))
            };
            let lines = [DISTANCE, ERROR, BOUND].into_iter().filter_map(|metric| {
                let series = results.series(group, EF, metric);
                let mut points = crate::figure::line(&series);
                if metric == DISTANCE {
                    points.iter_mut().for_each(|p| {
                        (p.mean, p.low, p.high) = (p.mean.powi(2), p.low.powi(2), p.high.powi(2));
                    });
                }
                let label = if metric == DISTANCE { "squared distance to span" } else { metric.name() };
                (!points.is_empty()).then(|| crate::figure::Line {
                    label: CurveName::new(label),
                    points,
                    marked: false,
                })
            });
            let bounds = Panel {
                lines: lines.collect(),
                title: format!("Theorem IV and Lemma 3, {EF}, {group}"),
                x: step(),
                y: Axis::log("squared norm"),
            };
            [
                panel(DISTANCE, Axis::linear("distance to the span of gradients")),
                panel(TRAIN_LOSS, Axis::log("train loss")),
                panel(TEST_LOSS, Axis::linear("test loss")),
                bounds,
            ]
        });
        Figure::new(2, panels.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::dot;

    #[test]
    fn the_data_is_that_of_the_appendix() {
        for group in GROUPS {
            let [(train, targets), (test, test_targets)] = data(1, group);
            assert_eq!((train.len(), test.len(), train[0].len()), (100, 100, 1200));
            for (row, y) in train.iter().zip(&targets).chain(test.iter().zip(&test_targets)) {
                assert_eq!(row[..3], [*y, 1.0, 1.0]);
                assert_eq!(row[3..].iter().sum::<f32>(), if *y > 0.0 { 1.0 } else { 5.0 });
            }
            let sum: f32 = targets.iter().sum();
            assert!(if group == MINUS { sum < 0.0 } else { sum > 0.0 });
            assert!(group != BALANCED || test_targets.iter().sum::<f32>() == 0.0);
            let mut columns = vec![0.0; D];
            train.iter().chain(&test).for_each(|row| columns.iter_mut().zip(row).for_each(|(c, r)| *c += r.abs()));
            assert!(columns[3..].iter().all(|c| *c <= 1.0), "a feature of its own is of one row");
        }
    }

    #[test]
    fn the_least_norm_solution_solves_and_is_of_the_span() {
        let [half, _] = data(2, RANDOM);
        let solution: Vec<f32> = least_norm(&half).iter().map(|x| *x as f32).collect();
        half.0.iter().zip(&half.1).for_each(|(a, y)| assert!((dot(a, &solution) - f64::from(*y)).abs() < 1e-5));
        let mut span = Span::default();
        half.0.iter().for_each(|row| span.add(row));
        assert!(span.distance(&solution) < 1e-6);
    }

    #[test]
    fn the_closed_form_has_the_least_and_the_last_of_the_calculation() {
        for y in [-0.2, 0.0, 0.1] {
            let least = (0..=10_000).map(|i| closed_form(f64::from(i) / 1e4, y)).fold(f64::INFINITY, f64::min);
            assert!((least - (1.0 - (1.0 + 2.0 * y).powi(2) / (5.0 + 4.0 * y))).abs() < 1e-6);
            assert!((closed_form(0.25, y) - (0.8125 - 0.75 * y)).abs() < 1e-12);
        }
    }

    #[test]
    fn distances_to_a_span() {
        let mut span = Span::default();
        span.add(&[1.0, 1.0, 0.0]);
        span.add(&[2.0, 2.0, 0.0]);
        assert_eq!(span.0.len(), 1);
        assert!((span.distance(&[1.0, -1.0, 2.0]) - 6f64.sqrt()).abs() < 1e-9);
    }
}
