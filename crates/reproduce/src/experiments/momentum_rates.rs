//! Theorems 2 and 3 of Fatkhullin et al. (2023), the ideal form, B_init, and what the poster's table says of samples:
//! each on the instance that Theorem 1 is proved with.

use crate::error::ReproduceError;
use crate::experiment::papers::MOMENTUM;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Descent, Length};
use crate::problems::SaddleNoise;
use crate::record::judge::{Bound, Equality, Paired};
#[cfg(test)]
use crate::record::made::{MADE_SEEDS, Made, Witness, steady, torn};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary};
use crate::words::short;

pub(super) struct MomentumRates;

/// What is varied: a group each, with the number on the x axis.
const ETA_MANY: GroupName = GroupName::new("eta, 100 workers, small step");
const ETA_ONE: GroupName = GroupName::new("eta, one worker, step eta/4");
const WORKERS: GroupName = GroupName::new("workers, step eta/4");
const DELTA: GroupName = GroupName::new("top-1 of d coordinates, 100 workers");
const IDEAL: GroupName = GroupName::new("eta, ideal form");
const INIT: GroupName = GroupName::new("B_init");
const BATCH: GroupName = GroupName::new("batch");

const SGD: CurveName = CurveName::new("SGD");
const EF14: CurveName = CurveName::new("EF14-SGD");
const NEOLITHIC: CurveName = CurveName::new("NEOLITHIC");
const EF21: CurveName = CurveName::new("EF21-SGD");
const BEER: CurveName = CurveName::new("BEER");
const SGDM: CurveName = CurveName::new("EF21-SGDM");
const SGD2M: CurveName = CurveName::new("EF21-SGD2M");
const SGDM_IDEAL: CurveName = CurveName::new("EF21-SGDM-ideal");

/// ‖∇f‖² over the second half.
const FLOOR: Metric = Metric::new("late squared gradient norm");
/// The same over η³σ²/α² + η²σ²/α + ησ²/n.
const SHARE: Metric = Metric::new("share of the theorem's bound");
/// ‖∇f‖² over the first 1/η steps from the solution, the mean over so many repetitions.
const EARLY: Metric = Metric::new("early squared gradient norm");
/// ‖x_T − x_T of SGD on the same samples‖²/‖x_T of SGD‖².
const APART: Metric = Metric::new("squared distance to SGD over its own");

const ETAS_MANY: [f64; 4] = [0.04, 0.08, 0.16, 0.32];
const ETAS_ONE: [f64; 3] = [0.01, 0.02, 0.04];
const ETAS_IDEAL: [f64; 4] = [0.1, 0.2, 0.4, 0.8];
const COUNTS: [usize; 4] = [1, 4, 16, 64];
const PLANES: [usize; 4] = [1, 2, 4, 8];
const BATCHES: [usize; 3] = [1, 4, 16];
/// A constant step where η is not what decides it.
const GAMMA: f64 = 0.004;
/// η against n, α and B_init.
const ETA: f64 = 0.02;
const REPEATS: u64 = 40;
/// What an exponent may be off by, here and below: the values are means over some ten times x's memory.
const AROUND: f64 = 0.2;

/// η³σ²/α² + η²σ²/α + ησ²/n with the constant 1; the theorem's O(·) has a larger one. σ = 1.
fn bound(eta: f64, alpha: f64, n: usize) -> f64 {
    eta.powi(3) / alpha.powi(2) + eta.powi(2) / alpha + eta / n as f64
}

/// The text of a method at this η.
fn form(name: CurveName, eta: f64, b_init: usize) -> String {
    match name {
        EF14 => "ef-sgd".into(),
        NEOLITHIC => "neolithic:rounds=2".into(),
        EF21 => "ef21-sgd".into(),
        BEER => "beer:graph=complete".into(),
        SGDM => format!("ef21-sgdm:eta={eta},b-init={b_init}"),
        SGD2M => format!("ef21-sgd2m:eta={eta},b-init={b_init}"),
        SGDM_IDEAL => format!("ef21-sgdm-ideal:eta={eta}"),
        _ => "sgd".into(),
    }
}

/// The exponent a of value ~ x^a, seed by seed, by least squares on logarithms.
fn exponents(results: &Results, group: GroupName, curve: CurveName, metric: Metric) -> Option<Seeds> {
    let series = results.series(group, curve, metric);
    let slope = |points: &[(f64, f64)]| {
        let logs: Vec<(f64, f64)> = points.iter().map(|(x, value)| (x.ln(), value.ln())).collect();
        let n = logs.len() as f64;
        let (x, y) = (logs.iter().map(|p| p.0).sum::<f64>() / n, logs.iter().map(|p| p.1).sum::<f64>() / n);
        let across: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
        across / logs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
    };
    let seeds: Seeds =
        series.iter().filter(|(_, p)| p.len() > 1).map(|(seed, points)| (*seed, slope(points))).collect();
    (!series.is_empty()).then_some(seeds)
}

/// A point of a curve.
struct Place {
    x: f64,
    eta: f64,
    gamma: f64,
    workers: usize,
    problem: SaddleNoise,
    b_init: usize,
}

impl Place {
    fn of(group: GroupName) -> Vec<Self> {
        let at = |x: f64, eta: f64, gamma: f64, workers: usize| {
            let problem = SaddleNoise { sigma: 1.0, planes: 1, batch: 1 };
            Self { x, eta, gamma, workers, problem, b_init: 1 }
        };
        let planes = |p: usize| SaddleNoise { sigma: 1.0, planes: p, batch: 1 };
        match group {
            ETA_MANY => ETAS_MANY.map(|eta| at(eta, eta, GAMMA, 100)).into(),
            ETA_ONE => ETAS_ONE.map(|eta| at(eta, eta, eta / 4.0, 1)).into(),
            IDEAL => ETAS_IDEAL.map(|eta| at(eta, eta, GAMMA, 10)).into(),
            WORKERS => COUNTS.map(|n| at(n as f64, ETA, ETA / 4.0, n)).into(),
            DELTA => PLANES.map(|p| Self { problem: planes(p), ..at(2.0 * p as f64, 0.1, GAMMA, 100) }).into(),
            INIT => BATCHES.map(|b| Self { b_init: b, ..at(b as f64, ETA, GAMMA, 1) }).into(),
            _ => BATCHES
                .map(|b| Self {
                    problem: SaddleNoise { sigma: 1.0, planes: 1, batch: b },
                    ..at(b as f64, 1.0, GAMMA, 10)
                })
                .into(),
        }
    }

    fn cost(&self) -> f64 {
        (self.workers as f64 + 3.0) / self.gamma
    }
}

/// x forgets where it began within 1/γ steps; the second half is judged.
fn length(setup: &Setup, gamma: f64, workers: usize) -> Length {
    // The mean over the workers of fewer is noisier.
    let times = setup.scale.pick(0.1, if workers < 10 { 120.0 } else { 20.0 }, 400.0);
    Length { steps: (times / gamma).round().max(20.0) as u64, points: 400 }
}

impl MomentumRates {
    fn floor(curve: &Curve, place: &Place, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let algorithm = form(curve.name, place.eta, 1);
        let at = Curve { algorithm, workers: place.workers, lr: place.gamma, ..curve.clone() };
        let mut start = vec![0.0; 2 * place.problem.planes];
        start[1] = -1.0;
        let length = length(setup, place.gamma, place.workers);
        let (mut sum, mut count) = (0.0, 0u32);
        let mut last = Vec::new();
        Descent::new(&at, &place.problem, seed, start.clone(), length, FLOOR).run(out, |simulation, step, _| {
            if step >= 0.5 * length.steps as f64 {
                sum += simulation.squared_gradient();
                count += 1;
            }
            if step as u64 == length.steps {
                last = simulation.x().to_vec();
            }
        })?;
        let floor = if last.is_empty() { f64::INFINITY } else { sum / f64::from(count) };
        let alpha = 1.0 / (2.0 * place.problem.planes as f64);
        out.record(FLOOR, place.x, floor);
        if [SGDM, SGD2M, SGDM_IDEAL].contains(&curve.name) {
            out.record(SHARE, place.x, floor / bound(place.eta, alpha, place.workers));
        }
        if curve.name == BEER && curve.group == WORKERS {
            let sgd = Curve { algorithm: form(SGD, 1.0, 1), compressor: "identity".into(), ..at.clone() };
            Descent::new(&sgd, &place.problem, seed, start, length, FLOOR).run(out, |simulation, step, out| {
                if step as u64 == length.steps {
                    let apart = simulation.x().iter().zip(&last).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                    out.record(APART, place.x, apart / simulation.squared_gradient());
                }
            })?;
        }
        Ok(())
    }

    fn early(curve: &Curve, place: &Place, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let algorithm = form(curve.name, place.eta, place.b_init);
        let at = Curve { algorithm, lr: place.gamma, ..curve.clone() };
        let steps = (1.0 / place.eta).round() as u64;
        let repeats = setup.scale.pick(2, REPEATS, 10 * REPEATS);
        let (mut sum, mut count) = (0.0, 0u64);
        for repeat in 0..repeats {
            let length = Length { steps, points: steps };
            Descent::new(&at, &place.problem, seed * 10_000 + repeat, vec![0.0; 2], length, EARLY).run(
                out,
                |simulation, _, _| {
                    sum += simulation.squared_gradient();
                    count += 1;
                },
            )?;
        }
        out.record(EARLY, place.x, sum / count as f64);
        Ok(())
    }
}

impl Experiment for MomentumRates {
    fn about(&self) -> About {
        About {
            name: "momentum-rates",
            title: "What eta, n, alpha, batches and B_init do to the EF21 family, EF14, NEOLITHIC and BEER",
            source: "Fatkhullin et al. 2023, Theorems 2 and 3, EF21-SGDM-ideal, B_init, the poster's table",
            claims: &[
                "Theorem 2: eta^3/alpha^2 + eta^2/alpha + eta/n",
                "Theorem 3: double momentum has no eta^2/alpha",
                "EF21-SGDM-ideal converges fast for small eta",
                "B_init makes the first estimate better",
                "the table's sample complexities",
            ],
            time: ["5 min", "5 h"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let of = |group: GroupName, name: CurveName| {
            let cost = Place::of(group).iter().map(Place::cost).sum::<f64>();
            let compressor = if name == SGD { "identity" } else { "topk:k=1" };
            Curve { cost, ..Curve::new(group, name, &form(name, ETA, 1), compressor, 1.0) }
        };
        let groups: [(GroupName, &[CurveName]); 7] = [
            (WORKERS, &[SGD, EF14, NEOLITHIC, EF21, BEER, SGDM, SGD2M]),
            (ETA_MANY, &[SGDM, SGD2M]),
            (DELTA, &[SGDM, SGD2M]),
            (ETA_ONE, &[SGDM, SGD2M]),
            (IDEAL, &[SGDM_IDEAL]),
            (BATCH, &[EF21]),
            (INIT, &[SGDM, SGD2M]),
        ];
        groups.into_iter().flat_map(|(group, names)| names.iter().map(move |name| of(group, *name))).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 4, 20)
    }

    fn settings(&self, _: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("f", "||x||^2/2 on the plane, sigma = 1, the noise of Theorem 1's proof; with d coordinates d/2 planes share sigma".into()),
            ("compressor", "top-1".into()),
            ("step size", format!("{GAMMA}, or eta/4 where the panel says so: the theorem's largest is about eta/L")),
            ("eta", format!("{ETA} against n and B_init, 0.1 against d")),
            ("steps", "20 over the step size, six times as many for less than ten workers; the second half is judged".into()),
            ("B_init", format!("from the solution, over 1/eta steps, mean of {REPEATS} repetitions a seed")),
            ("NEOLITHIC", "2 rounds and batches; BEER on the complete graph".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["The theorems are upper bounds with a constant that the poster hides: they are judged with the constant 1, which is less, on the instance of Theorem 1. The table's complexities are upper bounds too; what it says of n is judged as the dependence on n at a constant step.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let places = Place::of(curve.group);
        let total: f64 = places.iter().map(Place::cost).sum();
        let mut begun = 0.0;
        for place in places {
            out.part(begun / total, (begun + place.cost()) / total);
            begun += place.cost();
            match curve.group {
                INIT => Self::early(curve, &place, seed, setup, out)?,
                _ => Self::floor(curve, &place, seed, setup, out)?,
            }
        }
        Ok(())
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let cite = |place: &str| format!("{MOMENTUM}, {place}");
        let share = |curve: CurveName| {
            [ETA_MANY, ETA_ONE, WORKERS, DELTA]
                .map(|group| (format!("{group}, {curve}"), results.seeds(group, curve, SHARE, Summary::Most)))
        };
        let bounded = Bound::at_most("largest share of the bound, over the panel", 1.0);
        let power = |group: GroupName, curve: CurveName| exponents(results, group, curve, FLOOR);
        let with_n = |curve: CurveName| power(WORKERS, curve);
        let falls = |what: &str| Bound::at_most(format!("exponent of {what}"), -0.8);
        let last = |group: GroupName, curve: CurveName| results.seeds(group, curve, FLOOR, Summary::Last);
        let table = cite("table");
        vec![
            Claim::about(
                "Theorem 2: EF21-SGDM stays below eta^3 sigma^2/alpha^2 + eta^2 sigma^2/alpha + eta sigma^2/n",
                cite("Theorem 2"),
            )
            .each(&bounded, share(SGDM))
            .judged(),
            Claim::about("Theorem 2: one worker's level is as eta, and falls as 1/n", cite("Theorem 2"))
                .part("eta", Equality::within("exponent of eta", 1.0 - AROUND, 1.0 + AROUND), power(ETA_ONE, SGDM))
                .part("n", Equality::within("exponent of n", -1.0 - AROUND, -1.0 + AROUND), with_n(SGDM))
                .judged(),
            Claim::about(
                "Theorem 2: with many workers a level as eta^2 is left, which n does not lower",
                cite("Theorem 2"),
            )
            .part("", Equality::within("exponent of eta", 1.6, 2.2), power(ETA_MANY, SGDM))
            .judged(),
            Claim::about(
                "Theorem 2: more coordinates to choose from raise the level by no more than 1/alpha^2",
                cite("Theorem 2"),
            )
            .each(&Bound::at_most("exponent of d = 1/alpha", 2.0), [SGDM, SGD2M].map(|name| (name, power(DELTA, name))))
            .judged(),
            Claim::about("Theorem 3: double momentum does without eta^2 sigma^2/alpha", cite("Theorem 3"))
                .part(
                    "level at the largest eta, with and without",
                    Paired::below("late ||grad f||^2, of EF21-SGD2M and of EF21-SGDM").times(0.25),
                    last(ETA_MANY, SGD2M).zip(last(ETA_MANY, SGDM)),
                )
                .part(
                    "bound of EF21-SGD2M, 100 workers",
                    Bound::at_most("largest share of eta^3 sigma^2/alpha^2 + eta sigma^2/n, over eta", 1.0),
                    Self::share_of_third(results),
                )
                .judged(),
            Claim::about(
                "EF21-SGDM-ideal: what is left of the noise falls as eta^2, whatever n",
                cite("Conceptual fix"),
            )
            .part("", Equality::within("exponent of eta", 1.9, 2.1), power(IDEAL, SGDM_IDEAL))
            .judged(),
            Claim::about("B_init: the error of the first estimate falls as 1/B_init", cite("Algorithm 1, Theorem 2"))
                .each(
                    &Equality::within(
                        "exponent of B_init in ||grad f||^2 over the first 1/eta steps",
                        -1.0 - AROUND,
                        -1.0 + AROUND,
                    ),
                    [SGDM, SGD2M].map(|name| (name, exponents(results, INIT, name, EARLY))),
                )
                .judged(),
            Claim::about("Table, EF14-SGD: one sample a step is enough, and n workers divide the noise by n", &table)
                .part("", falls("n"), with_n(EF14))
                .judged(),
            Claim::about("Table, NEOLITHIC: n workers divide the noise by n", &table)
                .part("", falls("n"), with_n(NEOLITHIC))
                .judged(),
            Claim::about("Table, EF21-SGD: no n in its sample complexity", &table)
                .part("", Bound::at_least("exponent of n", -0.5), with_n(EF21))
                .judged(),
            Claim::about("Table, EF21-SGD: it needs large batches", &table)
                .part("", falls("the batch"), power(BATCH, EF21))
                .judged(),
            Claim::about("Table, BEER: no n in its sample complexity", &table)
                .part("", Bound::at_least("exponent of n", -0.5), with_n(BEER))
                .judged(),
            Claim::about(
                "Behind that: BEER's mean iterate on a quadratic is that of SGD, which n workers improve",
                "this project: V's mean is that of the gradients",
            )
            .part(
                "",
                Bound::at_most("largest squared distance to SGD on the same samples over ||x||^2, over n", 1e-3),
                results.seeds(WORKERS, BEER, APART, Summary::Most),
            )
            .judged(),
            Claim::about("Table, EF21-SGD2M: one sample a step is enough, and n workers divide the noise by n", &table)
                .part("", falls("n"), with_n(SGD2M))
                .judged(),
            Claim::about("Table: EF21-SGDM needs no more samples than SGD does", &table)
                .part(
                    "64 workers",
                    Paired::below("late ||grad f||^2, of EF21-SGDM and of SGD").times(2.0),
                    last(WORKERS, SGDM).zip(last(WORKERS, SGD)),
                )
                .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let xs = |group: GroupName| Place::of(group).into_iter().map(|place| place.x);
        let law = |group: GroupName, a: f64, power: f64| -> Vec<(f64, f64)> {
            xs(group).map(|x| (x, a * x.powf(power))).collect()
        };
        let mut made = Made::default();
        for name in [SGDM, SGD2M] {
            for group in [ETA_MANY, ETA_ONE, WORKERS, DELTA] {
                made = made.with(group, name, SHARE, &steady(0.3));
            }
            made = made.path(ETA_ONE, name, FLOOR, &law(ETA_ONE, 0.1, 1.0));
            made = made.path(DELTA, name, FLOOR, &law(DELTA, 0.001, 1.0));
            made = made.path(INIT, name, EARLY, &law(INIT, 0.001, -1.0));
        }
        for name in [SGD, EF14, NEOLITHIC, SGDM, SGD2M] {
            made = made.path(WORKERS, name, FLOOR, &law(WORKERS, 0.001, -1.0));
        }
        for name in [EF21, BEER] {
            made = made.path(WORKERS, name, FLOOR, &law(WORKERS, 0.001, 0.0));
        }
        made = made
            .path(ETA_MANY, SGDM, FLOOR, &law(ETA_MANY, 0.03, 2.0))
            .path(ETA_MANY, SGD2M, FLOOR, &law(ETA_MANY, 0.001, 1.0))
            .path(IDEAL, SGDM_IDEAL, FLOOR, &law(IDEAL, 1.0 / 30.0, 2.0))
            .path(BATCH, EF21, FLOOR, &law(BATCH, 0.004, -1.0))
            .with(WORKERS, BEER, APART, &steady(1e-6));
        let path = |group: GroupName, curve: CurveName, metric, a, power| {
            made.clone().path(group, curve, metric, &law(group, a, power))
        };
        // One law with every other seed, another with the others.
        let mixed = |group: GroupName, curve: CurveName, metric, a: f64, powers: [f64; 2]| {
            let of = |seed: u64| law(group, a, powers[(seed % 2) as usize]);
            made.clone().paths(group, curve, metric, (1..=MADE_SEEDS).map(|seed| (seed, of(seed))))
        };
        let value = |group: GroupName, curve: CurveName, metric, values: &[f64]| {
            made.clone().with(group, curve, metric, values)
        };
        vec![
            made.all_hold(),
            value(DELTA, SGDM, SHARE, &steady(1.5)).fails("Theorem 2: EF21-SGDM"),
            value(DELTA, SGDM, SHARE, &torn(0.1, 1.8)).undecided("Theorem 2: EF21-SGDM"),
            path(ETA_ONE, SGDM, FLOOR, 0.1, 2.0).fails("Theorem 2: one"),
            mixed(ETA_ONE, SGDM, FLOOR, 0.1, [0.5, 1.5]).undecided("Theorem 2: one"),
            path(ETA_MANY, SGDM, FLOOR, 0.1, 1.0).fails("Theorem 2: with"),
            mixed(ETA_MANY, SGDM, FLOOR, 0.03, [1.0, 2.8]).undecided("Theorem 2: with"),
            path(DELTA, SGDM, FLOOR, 0.1, 3.0).fails("Theorem 2: more"),
            mixed(DELTA, SGDM, FLOOR, 0.1, [1.0, 3.0]).undecided("Theorem 2: more"),
            path(ETA_MANY, SGD2M, FLOOR, 0.03, 2.0).fails("Theorem 3"),
            mixed(ETA_MANY, SGD2M, FLOOR, 0.001, [1.0, 0.0]).undecided("Theorem 3"),
            path(IDEAL, SGDM_IDEAL, FLOOR, 0.03, 1.0).fails("EF21-SGDM-ideal"),
            mixed(IDEAL, SGDM_IDEAL, FLOOR, 0.03, [1.0, 3.0]).undecided("EF21-SGDM-ideal"),
            path(INIT, SGDM, EARLY, 0.03, 0.0).fails("B_init"),
            mixed(INIT, SGDM, EARLY, 0.03, [-0.5, -1.5]).undecided("B_init"),
            path(WORKERS, EF14, FLOOR, 0.03, 0.0).fails("Table, EF14"),
            mixed(WORKERS, EF14, FLOOR, 0.03, [0.0, -1.5]).undecided("Table, EF14"),
            path(WORKERS, NEOLITHIC, FLOOR, 0.03, 0.0).fails("Table, NEOLITHIC"),
            mixed(WORKERS, NEOLITHIC, FLOOR, 0.03, [0.0, -1.5]).undecided("Table, NEOLITHIC"),
            path(WORKERS, EF21, FLOOR, 0.03, -1.0).fails("Table, EF21-SGD: no"),
            mixed(WORKERS, EF21, FLOOR, 0.03, [0.0, -1.1]).undecided("Table, EF21-SGD: no"),
            path(BATCH, EF21, FLOOR, 0.03, 0.0).fails("Table, EF21-SGD: it"),
            mixed(BATCH, EF21, FLOOR, 0.03, [0.0, -1.5]).undecided("Table, EF21-SGD: it"),
            path(WORKERS, BEER, FLOOR, 0.03, -1.0).fails("Table, BEER"),
            mixed(WORKERS, BEER, FLOOR, 0.03, [0.0, -1.1]).undecided("Table, BEER"),
            value(WORKERS, BEER, APART, &steady(1.0)).fails("Behind"),
            value(WORKERS, BEER, APART, &torn(1e-6, 3e-3)).undecided("Behind"),
            path(WORKERS, SGD2M, FLOOR, 0.03, 0.0).fails("Table, EF21-SGD2M"),
            mixed(WORKERS, SGD2M, FLOOR, 0.03, [0.0, -1.5]).undecided("Table, EF21-SGD2M"),
            path(WORKERS, SGDM, FLOOR, 0.01, -1.0).fails("Table: EF21-SGDM"),
            mixed(WORKERS, SGDM, FLOOR, 0.001, [-0.6, -1.4]).undecided("Table: EF21-SGDM"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let panels = results.groups().into_iter().map(|group| {
            let metric = if group == INIT { EARLY } else { FLOOR };
            let mut panel = Panel::of(results, group, metric, Axis::log(Self::axis(group)), Axis::log(metric));
            panel.lines.iter_mut().for_each(|line| line.marked = true);
            panel
        });
        Figure::new(3, panels.collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table = Table::new("Exponents, means over seeds", &["panel", "of", "method", "exponent", "last value"]);
        for (group, curve) in
            results.groups().into_iter().flat_map(|g| results.curves(g).into_iter().map(move |c| (g, c)))
        {
            let metric = if group == INIT { EARLY } else { FLOOR };
            let told = |seeds: Option<Seeds>| seeds.map_or("–".into(), |seeds| short(seeds.mean()));
            let exponent = told(exponents(results, group, curve, metric));
            let last = told(results.seeds(group, curve, metric, Summary::Last));
            table.rows.push(vec![group.into(), Self::axis(group).into(), curve.into(), exponent, last]);
        }
        vec![table]
    }
}

impl MomentumRates {
    /// What is on a panel's x axis.
    fn axis(group: GroupName) -> &'static str {
        match group {
            WORKERS => "n",
            DELTA => "d = 1/alpha",
            INIT => "B_init",
            BATCH => "batch",
            _ => "eta",
        }
    }

    /// EF21-SGD2M's level over Theorem 3's sum, the largest over η.
    fn share_of_third(results: &Results) -> Option<Seeds> {
        let series = results.series(ETA_MANY, SGD2M, FLOOR);
        let share = |(eta, value): &(f64, f64)| value / (eta.powi(3) * 4.0 + eta / 100.0);
        let most = |points: &[(f64, f64)]| points.iter().map(share).fold(f64::NEG_INFINITY, f64::max);
        (!series.is_empty()).then(|| series.iter().map(|(seed, points)| (*seed, most(points))).collect())
    }
}
