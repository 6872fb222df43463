//! Figure 1 of Avdiukhin and Yaroslavtsev (2021): random-k with feedback on ten workers of one class each.

use backburn_compress::Scope;

use crate::error::ReproduceError;
use crate::experiment::papers::ESCAPING;
use crate::experiment::{About, Experiment, Scale, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::learner;
use crate::loops::train::data;
use crate::record::judge::{Bound, Exact, Paired};
#[cfg(test)]
use crate::record::made::{MADE_SEEDS, Made, Witness, steady, torn};
use crate::record::metric::{MEGABYTES_UP, TEST_ACCURACY, TRAIN_LOSS};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary};
use crate::words::short;
use backburn_train::data::Split;
use backburn_train::models::ModelKind;

pub(super) struct CifarRandomK;

const WORKERS: usize = 10;
const GROUP: GroupName = GroupName::new("ten workers of one class");
const SHARES: [(CurveName, &str); 4] =
    [(FULL, "identity"), (TENTH, "randk:0.1"), (HUNDREDTH, "randk:0.01"), (THOUSANDTH, "randk:0.001")];
/// Values that a worker has sent, the indices of random-k being known to all.
const PARAMETERS: Metric = Metric::new("parameters sent by a worker");
const STEPS: Metric = Metric::new("steps an epoch");
const TENTH: CurveName = CurveName::new("10 %");
const HUNDREDTH: CurveName = CurveName::new("1 %");
const THOUSANDTH: CurveName = CurveName::new("0.1 %");
const FULL: CurveName = CurveName::new("uncompressed");
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

    /// Images a worker and step.
    fn batch(setup: &Setup) -> usize {
        setup.scale.pick(8, 4, 8)
    }

    /// 100; at small scale as many as make 4000 steps.
    fn epochs(setup: &Setup, images: usize) -> usize {
        setup.scale.pick(2, (4000 * WORKERS * Self::batch(setup)).div_ceil(images.max(1)), 100)
    }
}

/// By how many steps a curve is behind full SGD: it comes so much later to the training loss that full SGD has
/// in the middle of the run; infinite where it does not come there.
fn lag(results: &Results, curve: CurveName) -> Option<Seeds> {
    let full = results.series(GROUP, FULL, TRAIN_LOSS);
    let part = results.series(GROUP, curve, TRAIN_LOSS);
    let steps = results.seeds(GROUP, FULL, STEPS, Summary::Last)?.mean();
    let crosses = |points: &[(f64, f64)], level: f64| {
        let place = points.iter().position(|point| point.1 <= level)?;
        let (x, value) = points[place];
        let (from, above) = points[..place].last().copied().unwrap_or((x, value));
        // Between two epochs the loss is taken for a line.
        let share = if above > value { (above - level) / (above - value) } else { 1.0 };
        Some(from + share * (x - from))
    };
    let one = |(seed, points): &(u64, Vec<(f64, f64)>)| {
        let whole = &full.iter().find(|(other, _)| other == seed)?.1;
        let middle = whole.get(whole.len() / 2)?;
        Some((
            *seed,
            crosses(points, middle.1)
                .map_or(f64::INFINITY, |x| steps * (x - crosses(whole, middle.1).unwrap_or(middle.0))),
        ))
    };
    (!part.is_empty()).then(|| part.iter().map(one).collect::<Option<Seeds>>())?
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

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let lr = setup.scale.pick(0.02, 0.02, 0.1);
        let curve = |(name, compressor): (CurveName, &str)| Curve {
            workers: WORKERS,
            batch: Self::batch(setup),
            ..Curve::new(GROUP, name, "ef-sgd:outside", compressor, lr)
        };
        SHARES.into_iter().map(curve).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 3, 3)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let model = setup.scale.pick("convnet", "convnet", "resnet34");
        vec![
            ("model", format!("{model} on {}", setup.image_set("cifar10"))),
            ("images of a class", setup.scale.pick("24", "800", "all").into()),
            ("steps", setup.scale.pick("6", "4000", "100 epochs").into()),
            ("loop", "burn-train's Learner: its metrics, its checkpoints, its plain SGD on the decoded mean".into()),
            ("workers", format!("10 of one class each, batch {}", Self::batch(setup))),
            ("random-k", "one mask over the whole model, the same for all workers, no momentum".into()),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        match setup.scale {
            Scale::Paper => vec!["The paper does not say whether images are augmented; here they are.".into()],
            _ => vec!["A small network without batch normalisation, 800 images of a class, batches of 4, 4000 steps: 40 times d/k at 1 %, and 4 at 0.1 %. The step size is 0.02: at 0.1 gamma L d/k is far above 1 at 1 %, and the delay decides, whatever the number of steps.".into()],
        }
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let split = Self::data(setup)?;
        let training = learner::Training {
            model: setup.scale.pick(ModelKind::ConvNet, ModelKind::ConvNet, ModelKind::ResNet34),
            epochs: Self::epochs(setup, split.train.len()),
            split,
            scope: Scope::Global,
            augment: setup.scale == Scale::Paper,
            seed,
            device: setup.device,
        };
        out.record(STEPS, 0.0, (training.split.train.len() / (WORKERS * curve.batch)) as f64);
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
        let late = |curve: CurveName, metric| results.seeds(GROUP, curve, metric, Summary::Tail(0.5));
        let loss = |curve: CurveName| late(curve, TRAIN_LOSS)?.over(&late(FULL, TRAIN_LOSS)?);
        let worse = |curve: CurveName| {
            late(FULL, TEST_ACCURACY)?.with(&late(curve, TEST_ACCURACY)?, |full, part| 100.0 * (full - part))
        };
        let sent = |curve: CurveName| {
            let last = |curve: CurveName| results.seeds(GROUP, curve, MEGABYTES_UP, Summary::Last);
            Some(last(FULL)?.over(&last(curve)?)?.least())
        };
        let as_fast = |curve: CurveName| {
            Claim::about(format!("SGD with {curve} of the coordinates converges as fast as full SGD"), &source)
                .part("", Bound::at_most("train loss of the second half over full SGD's", 1.15), loss(curve))
                .judged()
        };
        let behind =
            |(curve, ratio): (CurveName, f64)| (curve, lag(results, curve).map(|lag| lag.map(|steps| steps / ratio)));
        vec![
            as_fast(TENTH),
            as_fast(HUNDREDTH),
            Claim::about(
                "It is behind full SGD by no more than what waits: a few times d/k steps",
                "ours, from the delay of random-k",
            )
            .each(
                &Bound::at_most("steps later at the loss that full SGD has in the middle of the run, over d/k", 4.0),
                [(TENTH, 10.0), (HUNDREDTH, 100.0)].map(behind),
            )
            .judged(),
            Claim::about("The test error is about that of full SGD", &source)
                .each(
                    &Bound::at_most("test error of the second half less full SGD's, in points", 3.0),
                    [TENTH, HUNDREDTH].map(|curve| (curve, worse(curve))),
                )
                .judged(),
            Claim::about("With 0.1 % it is slower", &source)
                .part(
                    "full SGD, and 0.1 %",
                    Paired::below("train loss of the second half"),
                    late(FULL, TRAIN_LOSS).zip(late(THOUSANDTH, TRAIN_LOSS)),
                )
                .judged(),
            Claim::about("It needs so much less communication", &source)
                .part(
                    TENTH,
                    Exact::at_least("megabytes of full SGD over those sent, ten less what frames a message", 9.0),
                    sent(TENTH),
                )
                .part(HUNDREDTH, Exact::at_least("a hundred less that", 90.0), sent(HUNDREDTH))
                .part(THOUSANDTH, Exact::at_least("a thousand less that", 800.0), sent(THOUSANDTH))
                .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let falling = |late: f64| [1.0, 2.0, 3.0, 4.0].map(|x| (x, 2.0 / (x - late)));
        let mut made = Made::default().with(GROUP, FULL, STEPS, &steady(100.0));
        for (curve, late, megabytes) in
            [(FULL, 0.0, 1000.0), (TENTH, 0.0, 101.0), (HUNDREDTH, 0.05, 10.1), (THOUSANDTH, -3.0, 1.01)]
        {
            made = made
                .path(GROUP, curve, TRAIN_LOSS, &falling(late))
                .with(GROUP, curve, TEST_ACCURACY, &steady(0.8))
                .with(GROUP, curve, MEGABYTES_UP, &vec![megabytes; MADE_SEEDS as usize]);
        }
        made = made.path(GROUP, THOUSANDTH, TRAIN_LOSS, &[(1.0, 2.0), (2.0, 1.5), (3.0, 1.2), (4.0, 1.0)]);
        let path = |curve: CurveName, late| made.clone().path(GROUP, curve, TRAIN_LOSS, &falling(late));
        let mixed = |curve: CurveName, one: f64, other: f64| {
            let of = |seed: u64| falling(if seed.is_multiple_of(2) { one } else { other }).to_vec();
            made.clone().paths(GROUP, curve, TRAIN_LOSS, (1..=MADE_SEEDS).map(|seed| (seed, of(seed))))
        };
        let with = |curve: CurveName, metric, values: &[f64]| made.clone().with(GROUP, curve, metric, values);
        vec![
            made.all_hold(),
            path(TENTH, 0.9).fails("SGD with 10 %"),
            mixed(TENTH, 0.0, 0.8).undecided("SGD with 10 %"),
            path(HUNDREDTH, 0.9).fails("SGD with 1 %"),
            mixed(HUNDREDTH, 0.0, 0.8).undecided("SGD with 1 %"),
            path(TENTH, 0.9).fails("It is behind"),
            mixed(TENTH, 0.0, 0.75).undecided("It is behind"),
            with(HUNDREDTH, TEST_ACCURACY, &steady(0.7)).fails("The test error"),
            with(HUNDREDTH, TEST_ACCURACY, &torn(0.72, 0.82)).undecided("The test error"),
            path(THOUSANDTH, 0.0).fails("With 0.1 %"),
            mixed(THOUSANDTH, -0.5, 0.6).undecided("With 0.1 %"),
            with(HUNDREDTH, MEGABYTES_UP, &steady(50.0)).fails("It needs"),
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
