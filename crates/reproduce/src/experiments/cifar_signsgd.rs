//! Figures 4, 6, 7 and Tables 1 to 4 of Karimireddy et al. (2019): signs with and without feedback on
//! deep networks, as the batch shrinks.

use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Scale, Setup, Table, Tuning};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::train::{Watch, config, data, train};
use crate::record::metric::{TEST_ACCURACY, TEST_LOSS, TRAIN_ACCURACY, TRAIN_LOSS};
use crate::record::{Claim, Curve, Metric, Recorder, Results};
use backburn_train::models::ModelKind;
use backburn_train::run::RunConfig;
use backburn_train::session::Schedule;

pub(super) struct CifarSignSgd;

const BATCHES: [usize; 3] = [128, 32, 8];
const SGDM: &str = "SGDM";
const SIGN: &str = "scaled signSGD";
const SIGNM: &str = "signSGDM";
const EF: &str = "EF-signSGD";
const METHODS: [(&str, &str, &str); 4] = [
    (SGDM, "sgd:momentum=0.9,weight-decay=0.0005", "identity"),
    (SIGN, "compressed-sgd:weight-decay=0.0005", "sign:scaled"),
    (SIGNM, "compressed-sgd:momentum=0.9,weight-decay=0.0005", "sign"),
    (EF, "ef-sgd:weight-decay=0.0005", "sign:scaled"),
];

/// A network on a set, with the step sizes at batch 128 and the published table.
struct Task {
    name: &'static str,
    set: &'static str,
    model: ModelKind,
    lr: [f64; 4],
    /// Accuracy of SGDM and the differences to it, in per cent, a row a batch size.
    published: [[f64; 4]; 3],
}

const TABLE_1: [[f64; 4]; 3] =
    [[75.35, -2.21, -3.15, -0.92], [76.22, -3.04, -3.57, -0.79], [74.91, -36.35, -6.6, -0.64]];
const TABLE_4: [[f64; 4]; 3] =
    [[93.38, -1.31, -0.94, -0.68], [93.42, -1.49, -1.54, -0.71], [93.09, -20.22, -2.75, -0.27]];

/// Table 2 of the paper.
const PAPER: [Task; 2] = [
    Task {
        name: "ResNet-18, CIFAR-100",
        set: "cifar100",
        model: ModelKind::ResNet18,
        lr: [1e-2, 5.6e-2, 3.2e-4, 5.6e-2],
        published: TABLE_1,
    },
    Task {
        name: "VGG-19, CIFAR-10",
        set: "cifar10",
        model: ModelKind::Vgg19Bn,
        lr: [1e-2, 5.6e-2, 5.6e-5, 5.6e-2],
        published: TABLE_4,
    },
];

/// The step sizes are of the paper's grid, tuned at batch 128 as there.
const SMALL: [Task; 1] = [Task {
    name: "small network",
    set: "cifar10",
    model: ModelKind::ConvNet,
    lr: [5.6e-2, 3.2e-1, 1.8e-3, 3.2e-1],
    published: TABLE_4,
}];

fn tasks(scale: Scale) -> &'static [Task] {
    if scale == Scale::Paper { &PAPER } else { &SMALL }
}

fn group(task: &Task, batch: usize) -> String {
    format!("{}, batch {batch}", task.name)
}

/// The task that the rows are of, by their groups' names.
fn task_of(results: &Results) -> Vec<&'static Task> {
    let groups = results.groups();
    PAPER.iter().chain(&SMALL).filter(|t| groups.iter().any(|g| g.starts_with(t.name))).collect()
}

/// The best mean test accuracy over seeds, as in the paper's tables.
fn best(results: &Results, group: &str, curve: &str) -> Option<f64> {
    let line = crate::figure::line(&results.series(group, curve, TEST_ACCURACY));
    line.iter().map(|p| 100.0 * p.mean).max_by(f64::total_cmp)
}

/// How far a method's accuracy is below SGDM's, in points.
fn gap(results: &Results, task: &Task, batch: usize, curve: &str) -> Option<f64> {
    let group = group(task, batch);
    Some(best(results, &group, SGDM)? - best(results, &group, curve)?)
}

impl CifarSignSgd {
    fn config(curve: &Curve, seed: u64, setup: &Setup) -> Result<RunConfig, ReproduceError> {
        let task = tasks(setup.scale).iter().find(|t| curve.group.starts_with(t.name));
        Ok(RunConfig {
            model: task.map_or(ModelKind::ConvNet, |t| t.model),
            subset: setup.scale.pick(100, 3000, 0),
            epochs: setup.scale.pick(1.0, 8.0, 200.0),
            augment: setup.scale == Scale::Paper,
            schedule: Schedule { lr: curve.lr, ..Schedule::default() },
            ..config(curve, seed, setup)?
        })
    }
}

impl Experiment for CifarSignSgd {
    fn about(&self) -> About {
        About {
            name: "cifar-signsgd",
            title: "Signs with and without feedback on a deep network, as the batch shrinks",
            source: "Karimireddy et al. 2019, §6, Figures 4, 6, 7, Tables 1 to 4",
            claims: &[
                "EF-signSGD's gap to SGDM is smaller than scaled signSGD's and signSGDM's",
                "the gaps of those grow as the batch shrinks",
            ],
            time: ["8 min", "4 days"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let mut curves = Vec::new();
        for (task, batch) in tasks(setup.scale).iter().flat_map(|t| BATCHES.map(|b| (t, b))) {
            for ((name, algorithm, compressor), lr) in METHODS.into_iter().zip(task.lr) {
                let lr = lr * batch as f64 / 128.0;
                let cost = 1.0 + 8.0 / batch as f64;
                curves.push(Curve { batch, cost, ..Curve::new(group(task, batch), name, algorithm, compressor, lr) });
            }
        }
        curves
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 2, 3)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let sets: Vec<String> =
            tasks(setup.scale).iter().map(|t| format!("{} on {}", t.model.name(), setup.image_set(t.set))).collect();
        vec![
            ("models", sets.join(", ")),
            ("images", setup.scale.pick("100", "3000", "all, with crops (padding 4) and flips").into()),
            ("epochs", setup.scale.pick("1", "8", "200").into()),
            ("train accuracy", "on as many training images as there are for tests, after the step".into()),
            (
                "step size",
                "given for batch 128, scaled with the batch, divided by 10 at half and three quarters".into(),
            ),
            ("momentum, decay", "0.9 (SGDM, signSGDM), 5e-4".into()),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        match setup.scale {
            Scale::Paper => vec!["The paper's networks have dropout, at a rate that it does not give; these have none.".into()],
            _ => vec!["A small convolutional network without batch normalisation, few images and epochs, no augmentation; the published numbers beside it are VGG-19's on CIFAR-10.".into()],
        }
    }

    fn tuning(&self) -> Option<Tuning> {
        // The paper's nine values, equally spaced in the logarithm from 1e-5 to 10.
        let grid = (0..9).map(|i| 10f64.powf(-5.0 + 0.75 * f64::from(i))).collect();
        Some(Tuning { grid, metric: TEST_LOSS, more_is_better: false })
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let set = tasks(setup.scale).iter().find(|t| curve.group.starts_with(t.name)).map_or("cifar10", |t| t.set);
        let split = data(setup, set)?;
        let watch = Watch { points: setup.scale.pick(2, 16, 200), train_accuracy: true };
        train(Self::config(curve, seed, setup)?, split, watch, out, |_, _, _, _| {}).map(drop)
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let source = format!("{FIXES}, Tables 1 and 4");
        let tasks = task_of(results);
        // Of every network by itself: one's gain must not hide another's loss.
        let each = |judge: &dyn Fn(&Task) -> Option<(bool, String)>| {
            let found: Option<Vec<(bool, String)>> = tasks
                .iter()
                .map(|task| judge(task).map(|(holds, text)| (holds, format!("{}: {text}", task.name))))
                .collect();
            let found = found.filter(|found| !found.is_empty())?;
            let texts: Vec<String> = found.iter().map(|f| f.1.clone()).collect();
            Some((found.iter().all(|f| f.0), texts.join("; ")))
        };
        let smaller = |other: &'static str| {
            Claim::judge(
                &format!("EF-signSGD's gap to SGDM is smaller than {other}'s"),
                &source,
                "best mean test accuracy of SGDM less the method's, in points, for every network at every batch size",
                || {
                    each(&|task| {
                        let mut texts = Vec::new();
                        let mut holds = true;
                        for batch in BATCHES {
                            let (ef, other) = (gap(results, task, batch, EF)?, gap(results, task, batch, other)?);
                            holds &= ef < other;
                            texts.push(format!("batch {batch}: {ef:.1} and {other:.1}"));
                        }
                        Some((holds, texts.join(", ")))
                    })
                },
            )
        };
        let grows = |curve: &'static str| {
            Claim::judge(
                &format!("The gap of {curve} grows as the batch shrinks"),
                &source,
                "larger at batch 8 than at batch 128, for every network",
                || {
                    each(&|task| {
                        let (large, small) = (gap(results, task, 128, curve)?, gap(results, task, 8, curve)?);
                        Some((small > large, format!("{large:.1} points at batch 128, {small:.1} at batch 8")))
                    })
                },
            )
        };
        vec![smaller(SIGN), smaller(SIGNM), grows(SIGN), grows(SIGNM)]
    }

    fn figure(&self, results: &Results) -> Figure {
        let panel = |g: &str, metric: Metric, y: &str| {
            let share = [TRAIN_ACCURACY, TEST_ACCURACY].contains(&metric);
            let panel = Panel::of(results, g, metric, Axis::linear("epoch"), Axis::linear(y));
            panel.mapped(|_, value| if share { 100.0 * value } else { value }).titled(format!("{g}: {metric}"))
        };
        let rows = results.groups().into_iter().flat_map(|g| {
            [
                panel(g, TRAIN_ACCURACY, "train accuracy, %"),
                panel(g, TEST_ACCURACY, "test accuracy, %"),
                panel(g, TRAIN_LOSS, TRAIN_LOSS.name()),
                panel(g, TEST_LOSS, TEST_LOSS.name()),
            ]
        });
        Figure::new(4, rows.collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let table = |task: &&'static Task| {
            let title = format!(
                "Best mean test accuracy, {}: SGDM in per cent, the others' difference to it; published in brackets",
                task.name
            );
            let mut table = Table::new(title, &["batch", SGDM, SIGN, SIGNM, EF]);
            for (batch, published) in BATCHES.into_iter().zip(task.published) {
                let sgdm = best(results, &group(task, batch), SGDM);
                let cell = |value: Option<f64>, published: f64| {
                    format!("{} ({published:.2})", value.map_or("–".into(), |v| format!("{v:.2}")))
                };
                let others = [SIGN, SIGNM, EF].into_iter().zip(&published[1..]);
                let others = others.map(|(m, p)| cell(gap(results, task, batch, m).map(|g| -g), *p));
                table.rows.push([batch.to_string(), cell(sgdm, published[0])].into_iter().chain(others).collect());
            }
            table
        };
        task_of(results).iter().map(table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backburn_train::data::Options;

    #[test]
    fn paper_scale_has_the_published_settings() {
        let setup = Setup::new(Scale::Paper, Options::default(), "auto");
        let curves = CifarSignSgd.curves(&setup);
        assert_eq!(curves.len(), 24);
        let curve = curves.iter().find(|c| c.group == "ResNet-18, CIFAR-100, batch 8" && c.name == SIGNM).unwrap();
        assert!((curve.lr - 3.2e-4 / 16.0).abs() < 1e-12);
        let config = CifarSignSgd::config(curve, 1, &setup).unwrap();
        assert_eq!((config.model, config.epochs, config.batch, config.augment), (ModelKind::ResNet18, 200.0, 8, true));
        assert_eq!(config.schedule.drops, [0.5, 0.75]);
        assert_eq!(config.algorithm.to_string(), "compressed-sgd:momentum=0.9,weight-decay=0.0005");
    }
}
