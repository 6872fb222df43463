//! Experiment 1 of Fatkhullin et al. (2023): larger batches, and what each method makes of small ones.

use crate::error::ReproduceError;
use crate::experiment::papers::MOMENTUM;
use crate::experiment::{About, Experiment, Setup, Table, Tuning};
use crate::figure::Figure;
use crate::loops::logistic;
use crate::loops::vector::Length;
use crate::record::metric::SQUARED_GRADIENT;
use crate::record::{Claim, Curve, Recorder, Results};
use crate::words::short;
use backburn_train::data::Partition;

pub(super) struct LogisticBatch;

const BATCHES: [usize; 3] = [1, 32, 128];
const WORKERS: usize = 10;

fn group(batch: usize) -> String {
    format!("batch {batch}")
}

impl LogisticBatch {
    fn steps(setup: &Setup, batch: usize) -> u64 {
        setup.scale.pick(20, if batch == 1 { 2000 } else { 600 }, 10_000)
    }
}

impl Experiment for LogisticBatch {
    fn about(&self) -> About {
        About {
            name: "logistic-batch",
            title: "Non-convex logistic regression with growing batches: momentum needs none",
            source: "Fatkhullin et al. 2023, poster, Experiment 1",
            claims: &[
                "With one sample a step EF21-SGDM gets further than EF21-SGD",
                "EF21-SGD gains more from larger batches than EF21-SGDM",
            ],
            time: ["4 min", "2 h"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let k = setup.scale.pick(5, 20, 10);
        BATCHES
            .into_iter()
            .flat_map(|batch| logistic::curves(group(batch), WORKERS, batch, k, (batch + 8) as f64))
            .collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 3, 10)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("data", setup.image_set("mnist").into()),
            ("pixels", setup.scale.pick("blocks of 4 x 4", "blocks of 2 x 2", "all").into()),
            ("images", setup.scale.pick("200", "2000", "all").into()),
            ("steps", format!("{} with batch 1, else {}", Self::steps(setup, 1), Self::steps(setup, 2))),
            ("workers", format!("{WORKERS}, one class each")),
            ("lambda", logistic::LAMBDA.to_string()),
            ("step sizes", logistic::STEP_SIZES.into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["The poster's figure gives no numbers for n, k, lambda and steps. At small scale the images are fewer and coarser; where MNIST is not at hand they are the embedded slice of Fashion-MNIST.".into()]
    }

    fn tuning(&self) -> Option<Tuning> {
        Some(Tuning::powers_of_two(-8, 3, SQUARED_GRADIENT))
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let data = logistic::Labelled::images(setup, "mnist")?;
        let length = Length { steps: Self::steps(setup, curve.batch), points: 40 };
        logistic::run(&data, Partition::ByClass, curve, seed, length, out)
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let late = |batch, curve: &str| results.tail(&group(batch), curve, SQUARED_GRADIENT, 0.25);
        let source = format!("{MOMENTUM}, Experiment 1");
        vec![
            Claim::judge(
                "With one sample a step EF21-SGDM gets further than EF21-SGD",
                &source,
                "squared gradient norm over the last quarter, EF21-SGDM over EF21-SGD, at most 0.8",
                || {
                    let (with, without) = (late(1, "EF21-SGDM")?, late(1, "EF21-SGD")?);
                    let text = format!("{} and {}, ratio {}", short(with), short(without), short(with / without));
                    Some((with <= 0.8 * without, text))
                },
            ),
            Claim::judge(
                "EF21-SGD gains more from a larger batch than EF21-SGDM",
                &source,
                "its ratio to EF21-SGDM at batch 1 over that at batch 128 above 1",
                || {
                    let ratio = |batch| Some(late(batch, "EF21-SGD")? / late(batch, "EF21-SGDM")?);
                    let (small, large) = (ratio(1)?, ratio(128)?);
                    Some((small > large, format!("{} at batch 1, {} at batch 128", short(small), short(large))))
                },
            ),
            Claim::judge(
                "EF21-SGD2M does no worse than EF21-SGD with one sample a step",
                &source,
                "squared gradient norm over the last quarter at most EF21-SGD's",
                || {
                    let (twice, without) = (late(1, "EF21-SGD2M")?, late(1, "EF21-SGD")?);
                    Some((twice <= without, format!("{} and {}", short(twice), short(without))))
                },
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let groups = results.groups();
        Figure::new(2, groups.into_iter().flat_map(|g| logistic::panels(results, g)).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let title = "Squared gradient norm over the last quarter";
        let mut table = Table::new(title, &["method", "batch 1", "batch 32", "batch 128"]);
        for (name, ..) in logistic::methods() {
            let cell = |b| results.tail(&group(b), name, SQUARED_GRADIENT, 0.25).map_or("–".into(), short);
            table.rows.push(std::iter::once(name.into()).chain(BATCHES.into_iter().map(cell)).collect());
        }
        vec![table]
    }
}
