//! Sahu et al. (2021): a hard threshold has less total error than top-k of as many coordinates.

use backburn_compress::Scope;

use crate::error::ReproduceError;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::advance::{End, advance, save};
use crate::loops::train::{Watch, config, data, train};
use crate::record::metric::{MEGABYTES_UP, TEST_ACCURACY, TRAIN_LOSS};
use crate::record::{Claim, Curve, Metric, Recorder, Results};
use crate::words::short;
use backburn_train::models::ModelKind;
use backburn_train::run::{RunConfig, Trainer};
use backburn_train::session::Schedule;

pub(super) struct TotalError;

const TOTAL: Metric = Metric::new("total error");
const K: Metric = Metric::new("k");
const COUNT: Metric = Metric::new("coordinates sent");
const THRESHOLD: &str = "hard threshold";
const TOP: &str = "top-k";
/// λ, on γg + e: 0.2 % and 0.03 % of the small network's coordinates, about. Of far fewer a message would be
/// mostly header.
const LAMBDAS: [f64; 2] = [0.02, 0.06];
const SOURCE: &str = "Sahu et al. 2021, Rethinking gradient sparsification as total error minimization, abstract";

fn group(lambda: f64) -> String {
    format!("threshold {lambda}")
}

impl TotalError {
    fn config(curve: &Curve, seed: u64, setup: &Setup) -> Result<RunConfig, ReproduceError> {
        Ok(RunConfig {
            model: setup.scale.pick(ModelKind::ConvNet, ModelKind::ConvNet, ModelKind::ResNet18),
            scope: Scope::Global,
            subset: setup.scale.pick(100, 4000, 0),
            epochs: setup.scale.pick(1.0, 12.0, 200.0),
            // Divided by 10 at a half and at three quarters.
            schedule: Schedule { lr: curve.lr, ..Schedule::default() },
            ..config(curve, seed, setup)?
        })
    }

    fn data(setup: &Setup) -> &'static str {
        setup.scale.pick("fashion-mnist", "fashion-mnist", "cifar10")
    }
}

/// How many coordinates a step has sent, the mean over workers.
fn sent(trainer: &mut Trainer) -> (f64, f64) {
    let length = trainer.trains().group().layout().len() as f64;
    let seen = trainer.trains_mut().observe();
    (seen.residual_norm().powi(2), seen.density().unwrap_or(0.0) * length)
}

impl Experiment for TotalError {
    fn about(&self) -> About {
        About {
            name: "total-error",
            title: "Hard threshold against top-k of as many coordinates: the sum of the squared errors of all steps",
            source: SOURCE,
            claims: &["hard threshold's total error is below top-k's at equal bits", "at no loss of accuracy"],
            time: ["3 min", "3 days"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let curve = |lambda: f64, name: &str, compressor: String, cost: f64| Curve {
            workers: 4,
            batch: 8,
            setting: lambda,
            cost,
            ..Curve::new(group(lambda), name, "ef-sgd:momentum=0.9", &compressor, 0.02)
        };
        let pair = |lambda: f64| {
            [
                curve(lambda, THRESHOLD, format!("threshold:{lambda}"), 1.0),
                // Its k is the threshold's mean count, and found first.
                curve(lambda, TOP, "topk:k=1".into(), 2.0),
            ]
        };
        LAMBDAS.into_iter().flat_map(pair).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 3, 3)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let model = setup.scale.pick("convnet", "convnet", "resnet18");
        vec![
            ("model", format!("{model} on {}", setup.image_set(Self::data(setup)))),
            ("epochs", setup.scale.pick("1", "12", "200").into()),
            (
                "workers",
                "4, batch 8; momentum 0.9; step 0.02, divided by 10 at a half and at three quarters of the run".into(),
            ),
            (
                "threshold",
                "the same throughout, on the step size times the gradient plus the error, over the whole model".into(),
            ),
            ("k", "the mean count of the threshold's run with the same seed".into()),
            ("total error", "sum of ||e_t||^2, the mean over workers, step sizes inside the error".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec![
            "Only the abstract is at hand: model, sizes, thresholds and step sizes are this project's; the schedule is that of the other papers.".into(),
            "The rule 1/(2 sqrt k) for the threshold presumes vectors of norm 1 and is not used: thresholds are given.".into(),
        ]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let split = data(setup, Self::data(setup))?;
        let mut config = Self::config(curve, seed, setup)?;
        if curve.name == TOP {
            out.part(0.0, 0.5);
            let k = Self::count(curve, seed, setup, out)?;
            out.record(K, 0.0, k as f64);
            config.compressor = format!("topk:k={k}").parse()?;
            out.part(0.5, 1.0);
        }
        let every = setup.scale.pick(1, 10, 100);
        let watch = Watch { points: setup.scale.pick(2, 10, 100), train_accuracy: false };
        let mut last = 0;
        let end = train(config, split, watch, out, |trainer, step, sums, out| {
            let (error, count) = sent(trainer);
            let total = sums.add(TOTAL.name(), error);
            last = trainer.progress().1 - 1;
            if step.number.is_multiple_of(every) || step.number == last {
                out.record(TOTAL, step.number as f64, total);
                out.record(COUNT, step.number as f64, count);
            }
        })?;
        if end == End::Diverged {
            out.record(TOTAL, last as f64, f64::INFINITY);
        }
        Ok(())
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let mut claims = Vec::new();
        for group in LAMBDAS.map(group) {
            let last = |curve, metric| results.last(&group, curve, metric);
            claims.push(Claim::judge(
                &format!("{group}: the total error is below that of top-k at equal bits"),
                SOURCE,
                "ratio of the total errors below 1, with at most 5 % more sent than by top-k",
                || {
                    let ratio = |metric| Some(last(THRESHOLD, metric)? / last(TOP, metric)?);
                    let (error, bytes) = (ratio(TOTAL)?, ratio(MEGABYTES_UP)?);
                    let text = format!("total error {}, bytes {}", short(error), short(bytes));
                    Some((error < 1.0 && bytes <= 1.05, text))
                },
            ));
            claims.push(Claim::judge(
                &format!("{group}: the accuracy is that of top-k, or better"),
                SOURCE,
                "mean last test accuracy at most 1 point below top-k's",
                || {
                    let of = |curve| last(curve, TEST_ACCURACY).map(|a| 100.0 * a);
                    let (threshold, top) = (of(THRESHOLD)?, of(TOP)?);
                    Some((threshold >= top - 1.0, format!("{threshold:.1} % and {top:.1} %")))
                },
            ));
        }
        claims
    }

    fn figure(&self, results: &Results) -> Figure {
        let panels = results.groups().into_iter().flat_map(|g| {
            let step = || Axis::linear("step");
            [
                Panel::of(results, g, TOTAL, step(), Axis::log("total error")),
                Panel::of(results, g, COUNT, step(), Axis::log("coordinates sent")),
                Panel::of(results, g, TRAIN_LOSS, Axis::linear("epoch"), Axis::log("train loss")),
            ]
        });
        Figure::new(3, panels.collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table = Table::new(
            "The end of the runs",
            &["threshold", "compressor", "total error", "test accuracy, %", MEGABYTES_UP.name()],
        );
        for (lambda, curve) in LAMBDAS.into_iter().flat_map(|l| [(l, THRESHOLD), (l, TOP)]) {
            let of = |metric| results.last(&group(lambda), curve, metric);
            let cells = [of(TOTAL), of(TEST_ACCURACY).map(|a| 100.0 * a), of(MEGABYTES_UP)];
            let cells = cells.map(|c| c.map_or("–".into(), short));
            table.rows.push([group(lambda), curve.into()].into_iter().chain(cells).collect());
        }
        vec![table]
    }
}

impl TotalError {
    /// The mean count of coordinates that the hard threshold sends with this seed.
    fn count(curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<usize, ReproduceError> {
        let split = data(setup, Self::data(setup))?;
        let mut config = Self::config(curve, seed, setup)?;
        config.compressor = format!("threshold:{}", curve.setting).parse()?;
        let mut trainer = Trainer::with_data(config, split)?;
        let (_, mut sums) = advance(&mut trainer, Some("count"), out, |trainer, _, sums, _| {
            sums.average(COUNT.name(), sent(trainer).1);
            Ok(())
        })?;
        // So that what follows begins with the count, however often it is stopped.
        save(&mut trainer, &sums, "count", out)?;
        Ok(sums.take_average(COUNT.name()).round().max(1.0) as usize)
    }
}
