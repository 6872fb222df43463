//! Figure 3 of Karimireddy et al. (2019): over-parameterised least squares, the span of the gradients and
//! generalisation; and Lemma 3 and Theorem IV along those runs.

use backburn_compress::{Key, Philox, Stream};

use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup, Tuning};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Length, simulate};
use crate::problems::{LeastSquares, square};
use crate::record::metric::{TEST_LOSS, TRAIN_LOSS};
use crate::record::{Claim, Curve, Metric, Recorder, Results};
use crate::words::short;

pub(super) struct MaxMargin;

const EF: &str = "EF-signSGD";
const GROUP: &str = "n = 200, d = 1200";
const DISTANCE: Metric = Metric::new("distance to span");
const ERROR: Metric = Metric::new("squared error norm");
const BOUND: Metric = Metric::new("bound of Remark 10");
/// The largest so far of what Theorem IV and Lemma 3 bound, over the bound.
const SPAN_RATIO: Metric = Metric::new("largest ratio to Theorem IV");
const ERROR_RATIO: Metric = Metric::new("largest ratio to Remark 10");
const POINTS: usize = 200;

/// A.6 of the paper: label y_i; columns y_i, 1, 1, then ones of its own: one for y = +1, five for −1.
/// Half of the rows are for training.
fn data(seed: u64) -> [(Vec<Vec<f32>>, Vec<f32>); 2] {
    let mut random = Philox::new(Key { stream: Stream::MAX_MARGIN, ..Key::new(seed) }.draw());
    let mut rows: Vec<(Vec<f32>, f32)> = (0..POINTS)
        .map(|i| {
            let y = if random.below(2) == 0 { 1.0 } else { -1.0f32 };
            let mut row = vec![0.0; 6 * POINTS];
            row[..3].copy_from_slice(&[y, 1.0, 1.0]);
            let own = 3 + 5 * i;
            row[own..=own + if y > 0.0 { 0 } else { 4 }].fill(1.0);
            (row, y)
        })
        .collect();
    for i in (1..rows.len()).rev() {
        rows.swap(i, random.below(i as u32 + 1) as usize);
    }
    let test = rows.split_off(POINTS / 2);
    [rows, test].map(|half| half.into_iter().unzip())
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

impl Experiment for MaxMargin {
    fn about(&self) -> About {
        About {
            name: "max-margin",
            title: "EF-signSGD stays by the span of the gradients and generalises; signSGD and signSGDM do not",
            source: "Karimireddy et al. 2019, §5, Figure 3, Appendix A.6; Lemma 3, Theorem IV",
            claims: &[
                "distance to the span and test loss go to 0 for EF-signSGD only",
                "Theorem IV",
                "Lemma 3 in Remark 10's form",
            ],
            time: ["30 s", "3 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        vec![
            Curve::new(GROUP, "SGD", "sgd", "identity", 2f64.powi(-2)),
            Curve::new(GROUP, "signSGD", "compressed-sgd", "reference-sign", 2f64.powi(-7)),
            Curve::new(GROUP, "signSGDM", "compressed-sgd:momentum=0.9", "reference-sign", 2f64.powi(-7)),
            Curve::new(GROUP, EF, "ef-sgd", "reference-sign:scaled", 2f64.powi(-1)),
        ]
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 3, 10)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("steps", setup.scale.pick(40u64, 1000, 4000).to_string()),
            ("gradients", "full batch of the mean square".into()),
            ("step size", "fixed for SGD and EF-signSGD, over sqrt(t + 1) for the signs".into()),
            ("sign(0)", "0".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        let steps = "The paper says that step sizes are tuned, and neither what they are nor whether they are fixed. Those of the signs decrease here, because a fixed one would not let the train loss go to 0.";
        let loss = "The loss is the mean over rows instead of the sum, which divides step sizes by the number of rows.";
        vec![steps.into(), loss.into()]
    }

    fn tuning(&self) -> Option<Tuning> {
        Some(Tuning::powers_of_two(-12, -1, TRAIN_LOSS))
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let [(rows, targets), (test_rows, test_targets)] = data(seed);
        let d = 6 * POINTS;
        let train = LeastSquares::new(rows, targets, 1, 0);
        let test = LeastSquares::new(test_rows, test_targets, 1, 0);
        let steps = setup.scale.pick(40, 1000, 4000);
        let decreasing = curve.compressor == "reference-sign";
        let first = curve.lr;
        let lr = move |t: u64| if decreasing { first / ((t + 1) as f64).sqrt() } else { first };
        let every = steps / 200 + 1;
        let mut span = Span::default();
        let (mut largest, mut delta) = (0.0f64, 1.0f64);
        let (mut span_ratio, mut error_ratio) = (0.0f64, 0.0f64);
        let has_error = curve.algorithm.starts_with("ef-sgd");
        let length = Length { steps, points: steps };
        simulate(curve, &train, seed, vec![0.0; d], length, lr, TRAIN_LOSS, out, |simulation, step, out| {
            let recorded = (step as u64).is_multiple_of(every) || step as u64 == steps;
            if has_error && step > 0.0 {
                let seen = simulation.cluster().observe();
                delta = delta.min(seen.contraction().unwrap_or(1.0).max(1e-12));
                let error = seen.residual_norm().powi(2);
                let bound = 4.0 * (1.0 - delta) / (delta * delta) * largest;
                let apart = span.distance(simulation.x()).powi(2);
                span_ratio = span_ratio.max((apart - 1e-6) / error.max(1e-300));
                error_ratio = error_ratio.max(error / bound);
                if recorded {
                    out.record(ERROR, step, error);
                    out.record(BOUND, step, bound);
                    out.record(SPAN_RATIO, step, span_ratio);
                    out.record(ERROR_RATIO, step, error_ratio);
                }
            }
            if recorded {
                out.record(TRAIN_LOSS, step, train.mean_square(simulation.x()));
                out.record(TEST_LOSS, step, test.mean_square(simulation.x()));
                out.record(DISTANCE, step, span.distance(simulation.x()));
            }
            // The gradient of the step that follows.
            let mut g = vec![0.0; d];
            crate::problems::Problem::exact(&train, 0, simulation.x(), &mut g);
            largest = largest.max(square(&g) * lr(step as u64).powi(2));
            span.add(&g);
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let best = |curve: &str| results.smallest(GROUP, curve, TEST_LOSS).into_iter().min_by(f64::total_cmp);
        let source = format!("{FIXES}, Figure 3");
        let worst = |metric| results.largest(GROUP, EF, metric).into_iter().max_by(f64::total_cmp);
        vec![
            Claim::judge(
                "The test loss of EF-signSGD goes to 0 as SGD's does",
                &source,
                "the mean last test loss of both at most 0.1 (a model that says 0 has 1)",
                || {
                    let [sgd, ef] = ["SGD", EF].map(|c| results.last(GROUP, c, TEST_LOSS));
                    let (sgd, ef) = (sgd?, ef?);
                    Some((sgd <= 0.1 && ef <= 0.1, format!("SGD {}, EF-signSGD {}", short(sgd), short(ef))))
                },
            ),
            Claim::judge(
                "signSGD and signSGDM do not generalise: their best test loss is over 0.8",
                &source,
                "the smallest test loss over steps and seeds above 0.8 for both",
                || {
                    let (sign, momentum) = (best("signSGD")?, best("signSGDM")?);
                    let text = format!("signSGD {}, signSGDM {}", short(sign), short(momentum));
                    Some((sign > 0.8 && momentum > 0.8, text))
                },
            ),
            Claim::judge(
                "The distance to the span of gradients rises and goes to 0 for EF-signSGD, and stays large for the signs",
                &source,
                "the last distance of EF-signSGD at most 10 % of its largest and of the last of signSGD and signSGDM",
                || {
                    let last = |curve| results.last(GROUP, curve, DISTANCE);
                    let ef = last(EF)?;
                    let most = results.largest(GROUP, EF, DISTANCE).into_iter().fold(0.0, f64::max);
                    let (sign, momentum) = (last("signSGD")?, last("signSGDM")?);
                    let text = format!(
                        "EF-signSGD {} after at most {}, signSGD {}, signSGDM {}",
                        short(ef),
                        short(most),
                        short(sign),
                        short(momentum)
                    );
                    Some((ef <= 0.1 * most && ef <= 0.1 * sign && ef <= 0.1 * momentum, text))
                },
            ),
            Claim::judge(
                "Theorem IV: the squared distance to the span is at most ||e_t||^2",
                &format!("{FIXES}, Theorem IV"),
                "at every step of every seed, to rounding (0.1 % and 1e-6)",
                || worst(SPAN_RATIO).map(|w| (w <= 1.001, format!("largest ratio {}", short(w)))),
            ),
            Claim::judge(
                "Lemma 3 (Remark 10): ||e_t||^2 <= 4 (1 - delta)/delta^2 max ||gamma g||^2, delta the smallest seen",
                &format!("{FIXES}, Lemma 3, Remark 10"),
                "at every step of every seed",
                || worst(ERROR_RATIO).map(|w| (w <= 1.0, format!("largest ratio {}", short(w)))),
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let step = || Axis::linear("iteration");
        let panel = |metric: Metric, y: Axis| Panel::of(results, GROUP, metric, step(), y).titled(metric);
        Figure::new(
            2,
            vec![
                panel(DISTANCE, Axis::linear("distance to the span of gradients")),
                panel(TRAIN_LOSS, Axis::log("train loss")),
                panel(TEST_LOSS, Axis::linear("test loss")),
                Panel {
                    lines: [DISTANCE, ERROR, BOUND]
                        .into_iter()
                        .filter_map(|metric| {
                            let series = results.series(GROUP, EF, metric);
                            let mut points = crate::figure::line(&series);
                            if metric == DISTANCE {
                                points.iter_mut().for_each(|p| {
                                    (p.mean, p.low, p.high) = (p.mean.powi(2), p.low.powi(2), p.high.powi(2));
                                });
                            }
                            let label = if metric == DISTANCE { "squared distance to span" } else { metric.name() };
                            (!points.is_empty()).then(|| crate::figure::Line {
                                label: label.into(),
                                points,
                                marked: false,
                            })
                        })
                        .collect(),
                    title: format!("Theorem IV and Lemma 3, {EF}"),
                    x: step(),
                    y: Axis::log("squared norm"),
                },
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_that_of_the_appendix() {
        let [(train, targets), (test, _)] = data(1);
        assert_eq!((train.len(), test.len(), train[0].len()), (100, 100, 1200));
        for (row, y) in train.iter().zip(&targets) {
            assert_eq!(row[..3], [*y, 1.0, 1.0]);
            assert_eq!(row[3..].iter().sum::<f32>(), if *y > 0.0 { 1.0 } else { 5.0 });
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
