//! Experiment 2 of Fatkhullin et al. (2023): more workers.

use crate::error::ReproduceError;
use crate::experiment::papers::MOMENTUM;
use crate::experiment::{About, Experiment, Scale, Setup, Table, Tuning};
use crate::figure::Figure;
use crate::loops::logistic;
use crate::loops::vector::Length;
use crate::record::metric::SQUARED_GRADIENT;
use crate::record::{Claim, Curve, Recorder, Results};
use crate::words::short;
use backburn_train::data::{DataError, DataSet, Partition};

pub(super) struct LogisticWorkers;

const WORKERS: [usize; 3] = [1, 10, 100];
const STAND_IN: &str = "images";

fn group(set: &str, n: usize) -> String {
    format!("{set}, n = {n}")
}

impl LogisticWorkers {
    /// The sets that are at hand, or the embedded images.
    fn sets(setup: &Setup) -> Vec<&'static str> {
        let wanted: &[&str] = if setup.scale == Scale::Paper { &["real-sim"] } else { &["w8a", "a9a"] };
        let found: Vec<&str> = wanted.iter().copied().filter(|s| logistic::rows_at(setup, s).is_some()).collect();
        match (found.is_empty(), setup.scale) {
            (true, Scale::Paper) => wanted.to_vec(),
            (true, _) => vec![STAND_IN],
            _ => found,
        }
    }

    fn length(setup: &Setup) -> Length {
        Length { steps: setup.scale.pick(20, 2000, 20_000), points: 40 }
    }

    /// The sets that were run.
    fn run_on(results: &Results) -> Vec<&str> {
        let mut sets: Vec<&str> = results.groups().iter().filter_map(|g| g.split(", n = ").next()).collect();
        sets.dedup();
        sets
    }

    /// The claims on one set.
    fn judge(results: &Results, set: &str) -> [Claim; 3] {
        let late = |n, curve: &str| results.tail(&group(set, n), curve, SQUARED_GRADIENT, 0.25);
        let gain = |curve: &str| Some(late(1, curve)? / late(100, curve)?);
        let source = format!("{MOMENTUM}, Experiment 2");
        [
            Claim::judge(
                &format!("EF21-SGDM improves with n on {set}"),
                &source,
                "squared gradient norm over the last quarter falls at least 2 times from 1 to 100 workers",
                || gain("EF21-SGDM").map(|g| (g >= 2.0, short(g))),
            ),
            Claim::judge(
                &format!("EF21-SGD improves less with n than EF21-SGDM on {set}"),
                &source,
                "its fall from 1 to 100 workers is smaller than EF21-SGDM's",
                || {
                    let (without, with) = (gain("EF21-SGD")?, gain("EF21-SGDM")?);
                    Some((without < with, format!("EF21-SGD {}, EF21-SGDM {}", short(without), short(with))))
                },
            ),
            Claim::judge(
                &format!("With 100 workers EF21-SGDM is ahead of EF21-SGD on {set}"),
                &source,
                "squared gradient norm over the last quarter, EF21-SGDM over EF21-SGD, at most 0.8",
                || {
                    let ratio = late(100, "EF21-SGDM")? / late(100, "EF21-SGD")?;
                    Some((ratio <= 0.8, short(ratio)))
                },
            ),
        ]
    }
}

impl Experiment for LogisticWorkers {
    fn about(&self) -> About {
        About {
            name: "logistic-workers",
            title: "Non-convex logistic regression with one sample a step on 1, 10 and 100 workers",
            source: "Fatkhullin et al. 2023, poster, Experiment 2",
            claims: &[
                "EF21-SGDM improves with n, more than EF21-SGD",
                "with 100 workers EF21-SGDM is ahead of EF21-SGD",
            ],
            time: ["5 min", "3 h"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let mut curves = Vec::new();
        for set in Self::sets(setup) {
            let k = match set {
                "a9a" => 3,
                "w8a" => 6,
                _ => setup.scale.pick(5, 20, 400),
            };
            for n in WORKERS {
                curves.extend(logistic::curves(group(set, n), n, 1, k, n as f64 + 10.0));
            }
        }
        curves
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 3, 10)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let sets = Self::sets(setup).into_iter().map(|s| match s {
            STAND_IN => format!("images of {}", setup.image_set("mnist")),
            libsvm => libsvm.into(),
        });
        vec![
            ("data", sets.collect::<Vec<_>>().join(", ")),
            ("steps", Self::length(setup).steps.to_string()),
            ("partition", "shuffled, dealt in turn".into()),
            ("k", "about 1 % of the coordinates".into()),
            ("lambda", logistic::LAMBDA.to_string()),
            ("step sizes", logistic::STEP_SIZES.into()),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        let mut list = vec!["The poster gives no numbers for k, lambda and steps.".into()];
        match Self::sets(setup)[0] {
            "real-sim" => {}
            STAND_IN => list.push(
                "Neither w8a nor a9a lies in the data directory or the cache: the rows are images instead.".into(),
            ),
            _ => list.push("w8a and a9a stand in for real-sim, which --scale paper takes.".into()),
        }
        list
    }

    fn tuning(&self) -> Option<Tuning> {
        Some(Tuning::powers_of_two(-8, 3, SQUARED_GRADIENT))
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let set = curve.group.split(", n = ").next().unwrap_or_default();
        let data = match logistic::Labelled::rows(setup, set)? {
            Some(data) => data,
            None if set == STAND_IN => logistic::Labelled::images(setup, "mnist")?,
            None => {
                // It is nowhere: this says what to do.
                set.parse::<DataSet>()?.load(&setup.data)?;
                return Err(DataError::NotThere(set.into()).into());
            }
        };
        logistic::run(&data, Partition::Iid, curve, seed, Self::length(setup), out)
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let sets = Self::run_on(results);
        let sets = if sets.is_empty() { vec!["any set"] } else { sets };
        sets.into_iter().flat_map(|set| Self::judge(results, set)).collect()
    }

    fn figure(&self, results: &Results) -> Figure {
        let groups = results.groups();
        Figure::new(2, groups.into_iter().flat_map(|g| logistic::panels(results, g)).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let table = |set: &str| {
            let title = format!("Squared gradient norm over the last quarter, {set}");
            let mut table = Table::new(title, &["method", "n = 1", "n = 10", "n = 100"]);
            for (name, ..) in logistic::methods() {
                let cell = |n| results.tail(&group(set, n), name, SQUARED_GRADIENT, 0.25).map_or("–".into(), short);
                table.rows.push(std::iter::once(name.into()).chain(WORKERS.into_iter().map(cell)).collect());
            }
            table
        };
        Self::run_on(results).into_iter().map(table).collect()
    }
}
