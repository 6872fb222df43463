//! Figure 1 of Avdiukhin and Yaroslavtsev (2021): random-k with feedback on ten workers of one class each.

use backburn_compress::Scope;

use super::ESCAPING;
use super::cifar::{ACCURACY, LOSS, config, data, train};
use crate::data::Partition;
use crate::models::ModelKind;
use crate::reproduce::figure::{Axis, Figure, Line, Panel};
use crate::reproduce::{
    About, Claim, Curve, Experiment, Recorder, ReproduceError, Results, Scale, Setup, Table, short,
};
use crate::run::{RunConfig, Schedule};

pub(super) struct CifarRandomK;

const GROUP: &str = "ten workers of one class";
const SHARES: [(&str, &str); 4] =
    [("uncompressed", "identity"), ("10 %", "randk:0.1"), ("1 %", "randk:0.01"), ("0.1 %", "randk:0.001")];
const ERROR: &str = "test error, %";

impl CifarRandomK {
    fn config(curve: &Curve, seed: u64, setup: &Setup) -> Result<RunConfig, ReproduceError> {
        Ok(RunConfig {
            model: setup.scale.pick(ModelKind::ConvNet, ModelKind::ConvNet, ModelKind::ResNet34),
            partition: Partition::ByClass,
            scope: Scope::Global,
            subset: setup.scale.pick(200, 0, 0),
            steps: setup.scale.pick(4, 2000, 0),
            epochs: 100.0,
            augment: setup.scale == Scale::Paper,
            schedule: Schedule::constant(curve.lr),
            ..config(curve, seed, setup)?
        })
    }
}

impl Experiment for CifarRandomK {
    fn about(&self) -> About {
        About {
            name: "cifar-randomk",
            title: "Random-k with feedback on ten workers, each with the images of one class",
            source: "Avdiukhin, Yaroslavtsev 2021, §4, Figure 1",
            claims: &[
                "10 % and 1 % of the coordinates converge as fast as all of them",
                "at 10 and 100 times less communication",
            ],
            time: ["8 min", "2 days"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let curve = |(name, compressor): (&str, &str)| Curve {
            workers: 10,
            batch: 8,
            ..Curve::new(GROUP, name, "ef-sgd:outside", compressor, 0.1)
        };
        SHARES.into_iter().map(curve).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 2, 3)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let model = setup.scale.pick("convnet", "convnet", "resnet34");
        vec![
            ("model", format!("{model} on {}", setup.image_set("cifar10"))),
            ("steps", setup.scale.pick("4", "2000", "100 epochs").into()),
            ("workers", "10 of one class each, batch 8".into()),
            ("random-k", "one mask over the whole model, the same for all workers, no momentum".into()),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        match setup.scale {
            Scale::Paper => vec!["The paper does not say whether images are augmented; here they are.".into()],
            _ => vec!["A small network without batch normalisation and 2000 steps: 20 times d/k at 1 %, and 2 at 0.1 %, where the delay decides.".into()],
        }
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let split = data(setup, "cifar10")?;
        train(Self::config(curve, seed, setup)?, split, setup.scale.pick(2, 20, 100), out, |_, _, _| {})
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let source = format!("{ESCAPING}, Figure 1");
        let error = |curve: &str| Some(100.0 - 100.0 * results.tail(GROUP, curve, ACCURACY, 0.25)?);
        let as_fast = |curve: &'static str| {
            Claim::judge(
                &format!("SGD with {curve} of the coordinates converges as fast as full SGD"),
                &source,
                "mean test error over the last quarter at most 3 points above that of full SGD, and mean train loss over the run at most 15 % above",
                || {
                    let (full, part) = (error("uncompressed")?, error(curve)?);
                    let of = |curve| results.average(GROUP, curve, LOSS);
                    let loss = of(curve)? / of("uncompressed")?;
                    let text = format!("test error {part:.1} % and {full:.1} %, ratio of losses {}", short(loss));
                    Some((part <= full + 3.0 && loss <= 1.15, text))
                },
            )
        };
        vec![
            as_fast("10 %"),
            as_fast("1 %"),
            Claim::judge(
                "It needs so much less communication",
                &source,
                "megabytes sent by full SGD at least 9 times those at 10 %, and at least 90 times those at 1 %",
                || {
                    let of = |curve| results.last(GROUP, curve, "megabytes up");
                    let (ten, one) = (of("uncompressed")? / of("10 %")?, of("uncompressed")? / of("1 %")?);
                    Some((ten >= 9.0 && one >= 90.0, format!("{} and {} times", short(ten), short(one))))
                },
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let panel = |metric: &str, y: Axis| Panel::of(results, GROUP, metric, Axis::linear("epoch"), y);
        let mut errors = panel(ACCURACY, Axis::log(ERROR));
        errors.lines.iter_mut().for_each(|line: &mut Line| {
            line.points.iter_mut().for_each(|p| {
                (p.mean, p.low, p.high) = (100.0 - 100.0 * p.mean, 100.0 - 100.0 * p.high, 100.0 - 100.0 * p.low);
            });
        });
        Figure::new(
            3,
            vec![
                errors.titled("test error"),
                panel(LOSS, Axis::log("train loss")).titled("train loss"),
                Panel::of(results, GROUP, "megabytes up", Axis::log("epoch"), Axis::log("megabytes sent by a worker"))
                    .titled("communication"),
            ],
        )
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table =
            Table::new("The end of the runs", &["coordinates", "test error, %", "train loss", "megabytes up"]);
        for (name, _) in SHARES {
            let error = results.tail(GROUP, name, ACCURACY, 0.25).map(|a| 100.0 - 100.0 * a);
            let cells = [error, results.tail(GROUP, name, LOSS, 0.25), results.last(GROUP, name, "megabytes up")];
            let cells = cells.map(|c| c.map_or("–".into(), short));
            table.rows.push(std::iter::once(name.into()).chain(cells).collect());
        }
        vec![table]
    }
}
