//! Experiment 2 of Fatkhullin et al. (2023): more workers.

use crate::error::ReproduceError;
use crate::experiment::papers::MOMENTUM;
use crate::experiment::{About, Experiment, Scale, Setup, Table, Tuning};
use crate::figure::Figure;
use crate::loops::logistic::{self, Method, Steps};
use crate::loops::vector::Length;
use crate::record::judge::Paired;
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::metric::SQUARED_GRADIENT;
use crate::record::{Claim, Curve, GroupName, Recorder, Results};
use backburn_train::data::{DataError, DataSet, Partition};

pub(super) struct LogisticWorkers;

const WORKERS: [usize; 3] = [1, 10, 100];
const STAND_IN: &str = "images";
const REAL_SIM: &str = "real-sim";
const SETS: [&str; 4] = ["w8a", "a9a", REAL_SIM, STAND_IN];

/// k and d of a set, and for each n the exponents of two of the step sizes, which --tune chooses anew.
fn preset(set: &str) -> (usize, f64, [Steps; 3]) {
    match set {
        "a9a" => (3, 246.0, [[0, 0, 0, 0, 0, 0, 0]; 3]),
        "w8a" => (6, 600.0, [[0, 0, 0, 0, 0, 0, 0]; 3]),
        REAL_SIM => (400, 41_916.0, [[0; 7]; 3]),
        _ => (20, 1960.0, [[0; 7]; 3]),
    }
}

fn group(set: &str, n: usize) -> GroupName {
    format!("{set}, n = {n}").into()
}

impl LogisticWorkers {
    /// The sets that are at hand, or the embedded images.
    fn sets(setup: &Setup) -> Vec<&'static str> {
        let wanted: &[&str] = if setup.scale == Scale::Paper { &[REAL_SIM] } else { &["w8a", "a9a"] };
        let found: Vec<&str> = wanted.iter().copied().filter(|s| logistic::rows_at(setup, s).is_some()).collect();
        match (found.is_empty(), setup.scale) {
            (true, Scale::Paper) => wanted.to_vec(),
            (true, _) => vec![STAND_IN],
            _ => found,
        }
    }

    fn length(setup: &Setup) -> Length {
        Length { steps: setup.scale.pick(20, 1000, 20_000), points: 20 }
    }

    /// The sets that were run.
    fn run_on(results: &Results) -> Vec<&'static str> {
        let groups = results.groups();
        SETS.into_iter().filter(|set| WORKERS.iter().any(|n| groups.contains(&group(set, *n)))).collect()
    }

    /// The claims on one set, or before any was run.
    fn judge(results: &Results, set: Option<&str>) -> [Claim; 4] {
        let late = |n, method: Method| method.late(results, group(set?, n));
        let set = set.unwrap_or("any set");
        let source = format!("{MOMENTUM}, Experiment 2");
        let quarter = "squared gradient norm over the last quarter";
        let falls = Paired::below(format!("{quarter}, with 100 workers and with 1")).times(0.5);
        let gain = |method| late(100, method)?.over(&late(1, method)?);
        [
            Claim::about(format!("EF21-SGDM improves with n on {set}"), &source)
                .part("", falls.clone(), late(100, Method::Sgdm).zip(late(1, Method::Sgdm)))
                .judged(),
            Claim::about(format!("EF21-SGD improves less with n than EF21-SGDM on {set}"), &source)
                .part(
                    "",
                    Paired::below(format!("{quarter}, with 100 workers over with 1, of EF21-SGDM and of EF21-SGD")),
                    gain(Method::Sgdm).zip(gain(Method::Ef21)),
                )
                .judged(),
            Claim::about(format!("With 100 workers EF21-SGDM is ahead of EF21-SGD on {set}"), &source)
                .part(
                    "",
                    Paired::below(format!("{quarter}, EF21-SGDM and EF21-SGD")).times(0.8),
                    late(100, Method::Sgdm).zip(late(100, Method::Ef21)),
                )
                .judged(),
            Claim::about(
                format!("EF14-SGD, NEOLITHIC, EF21-SGD2M and SGD improve with n on {set}"),
                format!("{MOMENTUM}, table"),
            )
            .each(
                &falls,
                [Method::Ef14, Method::Neolithic, Method::Sgd2m, Method::Sgd]
                    .map(|method| (method.name(), late(100, method).zip(late(1, method)))),
            )
            .judged(),
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
                "EF14-SGD, NEOLITHIC, EF21-SGD2M and SGD improve with n",
            ],
            time: ["3 min", "3 h"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let mut curves = Vec::new();
        for set in Self::sets(setup) {
            let (k, d, steps) = preset(set);
            for (n, steps) in WORKERS.into_iter().zip(steps) {
                curves.extend(logistic::curves(
                    group(set, n),
                    (n, 1),
                    (k, k as f64 / d, [0.1; 2]),
                    steps,
                    n as f64 + 10.0,
                ));
            }
        }
        curves
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 5, 10)
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
            ("BEER", "complete graph, gossip step 5 k/d".into()),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        let mut list = vec![
            "The poster gives no numbers for k, lambda and steps; step sizes are tuned only where --tune asks for it."
                .into(),
        ];
        match Self::sets(setup)[0] {
            REAL_SIM => {}
            STAND_IN => list.push(
                "Neither w8a nor a9a lies in the data directory or the cache: the rows are images instead.".into(),
            ),
            _ => list.push("w8a and a9a stand in for real-sim, which --scale paper takes.".into()),
        }
        list
    }

    fn tuning(&self) -> Option<Tuning> {
        Some(Tuning::powers_of_two(-4, 3, SQUARED_GRADIENT))
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let has = |set: &&str| curve.group == group(set, curve.workers);
        let set = SETS.into_iter().find(has).expect("a curve of this experiment");
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
        match sets.is_empty() {
            true => Self::judge(results, None).into(),
            false => sets.into_iter().flat_map(|set| Self::judge(results, Some(set))).collect(),
        }
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let set = REAL_SIM;
        let put = |made: Made, n: usize, method: Method, values: &[f64]| {
            made.with(group(set, n), method.name(), SQUARED_GRADIENT, values)
        };
        let mut made = Made::default();
        let all = WORKERS.into_iter().flat_map(|n| Method::ALL.map(|method| (n, method)));
        for (n, method) in all.filter(|(n, method)| method.needs() <= *n) {
            let value = if [Method::Ef21, Method::Beer].contains(&method) { 1.0 } else { 1.0 / n as f64 };
            made = put(made, n, method, &steady(value));
        }
        let with = |n, method, values: &[f64]| put(made.clone(), n, method, values);
        vec![
            made.all_hold(),
            with(100, Method::Sgdm, &steady(0.9)).fails("EF21-SGDM improves"),
            with(100, Method::Sgdm, &torn(0.1, 1.0)).undecided("EF21-SGDM improves"),
            with(100, Method::Ef21, &steady(0.001)).fails("EF21-SGD improves less"),
            with(100, Method::Ef21, &torn(0.0, 0.03)).undecided("EF21-SGD improves less"),
            with(100, Method::Ef21, &steady(0.01)).fails("With 100"),
            with(100, Method::Ef21, &torn(0.0, 0.03)).undecided("With 100"),
            with(100, Method::Ef14, &steady(0.9)).fails("EF14"),
            with(100, Method::Ef14, &torn(0.1, 1.0)).undecided("EF14"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let groups = results.groups();
        Figure::new(2, groups.into_iter().flat_map(|g| logistic::panels(results, g)).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let of = |set: &str| {
            let groups = WORKERS.map(|n| (format!("n = {n}"), group(set, n)));
            logistic::table(results, format!("Squared gradient norm over the last quarter, {set}"), &groups)
        };
        Self::run_on(results).into_iter().map(of).collect()
    }
}
