//! Figure 1 of Avdiukhin and Yaroslavtsev (2021): random-k with feedback on ten workers of one class each.

use backburn_compress::Scope;

use crate::error::ReproduceError;
use crate::experiment::papers::ESCAPING;
use crate::experiment::{About, Experiment, Scale, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::learner;
use crate::loops::train::data;
use crate::record::metric::{MEGABYTES_UP, TEST_ACCURACY, TRAIN_LOSS};
use crate::record::{Claim, Curve, Metric, Recorder, Results};
use crate::words::short;
use backburn_train::data::Split;
use backburn_train::models::ModelKind;

pub(super) struct CifarRandomK;

const WORKERS: usize = 10;
/// Images a worker and step.
const BATCH: usize = 8;
const GROUP: &str = "ten workers of one class";
const SHARES: [(&str, &str); 4] =
    [("uncompressed", "identity"), ("10 %", "randk:0.1"), ("1 %", "randk:0.01"), ("0.1 %", "randk:0.001")];
/// Values that a worker has sent, the indices of random-k being known to all.
const PARAMETERS: Metric = Metric::new("parameters sent by a worker");
const ERROR: &str = "test error, %";

impl CifarRandomK {
    /// The training images, a class a worker: with one contiguous part each, workers have one class each.
    fn data(setup: &Setup) -> Result<Split, ReproduceError> {
        let Split { train, test } = data(setup, "cifar10")?;
        let mut classes: Vec<Vec<usize>> = vec![Vec::new(); train.classes()];
        train.labels().iter().enumerate().for_each(|(i, label)| classes[usize::from(*label)].push(i));
        let most = setup.scale.pick(24, 800, usize::MAX);
        let each = classes.iter().map(Vec::len).min().unwrap_or(0).min(most);
        let order: Vec<usize> = classes.iter().flat_map(|class| &class[..each]).copied().collect();
        Ok(Split { train: train.subset(&order), test })
    }

    /// 100; at small scale as many as make 2000 steps.
    fn epochs(setup: &Setup, images: usize) -> usize {
        setup.scale.pick(2, (2000 * WORKERS * BATCH).div_ceil(images.max(1)), 100)
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
            workers: WORKERS,
            batch: BATCH,
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
            ("images of a class", setup.scale.pick("24", "800", "all").into()),
            ("steps", setup.scale.pick("6", "2000", "100 epochs").into()),
            ("loop", "burn-train's Learner: its metrics, its checkpoints, its plain SGD on the decoded mean".into()),
            ("workers", "10 of one class each, batch 8".into()),
            ("random-k", "one mask over the whole model, the same for all workers, no momentum".into()),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        match setup.scale {
            Scale::Paper => vec!["The paper does not say whether images are augmented; here they are.".into()],
            _ => vec!["A small network without batch normalisation, 800 images of a class and 2000 steps: 20 times d/k at 1 %, and 2 at 0.1 %, where the delay decides.".into()],
        }
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let split = Self::data(setup)?;
        let training = learner::Training {
            model: setup.scale.pick(ModelKind::ConvNet, ModelKind::ConvNet, ModelKind::ResNet34),
            epochs: Self::epochs(setup, split.train.len()),
            split,
            scope: Scope::Global,
            augment: setup.scale == Scale::Paper,
            seed,
            device: setup.device.clone(),
        };
        learner::train(training, curve, out)?;
        // Four bytes each; what frames the messages is a thousandth of it.
        let sent: Vec<(f64, f64)> =
            out.rows().iter().filter(|r| r.metric == MEGABYTES_UP).map(|r| (r.x, r.value)).collect();
        sent.into_iter().for_each(|(epoch, megabytes)| out.record(PARAMETERS, epoch, (megabytes * 1e6 / 4.0).round()));
        Ok(())
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let source = format!("{ESCAPING}, Figure 1");
        let error = |curve: &str| Some(100.0 - 100.0 * results.tail(GROUP, curve, TEST_ACCURACY, 0.25)?);
        let as_fast = |curve: &'static str| {
            Claim::judge(
                &format!("SGD with {curve} of the coordinates converges as fast as full SGD"),
                &source,
                "mean test error over the last quarter at most 3 points above that of full SGD, and mean train loss over the run at most 15 % above",
                || {
                    let (full, part) = (error("uncompressed")?, error(curve)?);
                    let of = |curve| results.average(GROUP, curve, TRAIN_LOSS);
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
                    let of = |curve| results.last(GROUP, curve, MEGABYTES_UP);
                    let (ten, one) = (of("uncompressed")? / of("10 %")?, of("uncompressed")? / of("1 %")?);
                    Some((ten >= 9.0 && one >= 90.0, format!("{} and {} times", short(ten), short(one))))
                },
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let panel = |metric: Metric, x: Axis, y: Axis| Panel::of(results, GROUP, metric, x, y);
        let epoch = || Axis::linear("epoch");
        let errors = panel(TEST_ACCURACY, epoch(), Axis::log(ERROR)).mapped(|_, accuracy| 100.0 - 100.0 * accuracy);
        let by_parameters =
            Panel::against(results, GROUP, TEST_ACCURACY, PARAMETERS, Axis::log(PARAMETERS), Axis::log(ERROR))
                .mapped(|_, accuracy| 100.0 - 100.0 * accuracy);
        Figure::new(
            3,
            vec![
                errors.titled("test error"),
                panel(TRAIN_LOSS, epoch(), Axis::log(TRAIN_LOSS)).titled(TRAIN_LOSS),
                by_parameters.titled("test error by communication"),
            ],
        )
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table =
            Table::new("The end of the runs", &["coordinates", "test error, %", "train loss", "megabytes up"]);
        for (name, _) in SHARES {
            let error = results.tail(GROUP, name, TEST_ACCURACY, 0.25).map(|a| 100.0 - 100.0 * a);
            let cells = [error, results.tail(GROUP, name, TRAIN_LOSS, 0.25), results.last(GROUP, name, MEGABYTES_UP)];
            let cells = cells.map(|c| c.map_or("–".into(), short));
            table.rows.push(std::iter::once(name.into()).chain(cells).collect());
        }
        vec![table]
    }
}
