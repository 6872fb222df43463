//! Theorems II and III of Karimireddy et al. (2019) and their remarks: how fast, and where δ enters; and
//! what a message costs.

use backburn_compress::{Layout, Scope};
use backburn_optim::{Ask, Cluster, Reply, RoundError, Vector};

use super::names::{EF, SGD};
use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Descent, Length};
use crate::problems::{Problem, SumOfMagnitudes, Wells};
use crate::record::judge::{Bound, Equality, Exact, Paired};
#[cfg(test)]
use crate::record::made::{MADE_SEEDS, Made, Witness, steady};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary};
use crate::words::short;

pub(super) struct Rates;

const SMOOTH: GroupName = GroupName::new("smooth, not convex");
const UNBIASED: GroupName = GroupName::new("smooth, unbiased quantisation");
const KINKED: GroupName = GroupName::new("convex, not smooth");
const MESSAGE: GroupName = GroupName::new("a message of VGG-19");
/// Over the steps; theorems bound the least, or that of the mean x, which are less.
const GRADIENT: Metric = Metric::new("mean squared gradient norm");
const GAP: Metric = Metric::new("mean f(x_t) - f*");
/// The same, over the theorem's bound.
const SHARE: Metric = Metric::new("share of the bound");
/// Mean ‖e_t‖² over the steps, over the bound of Lemma 3.
const OWED: Metric = Metric::new("share of the bound of Lemma 3");
const EXCESS: Metric = Metric::new("excess over SGD");
const BITS: Metric = Metric::new("bits over the sum of d_l + 32");
const SAVED: Metric = Metric::new("bits of 32-bit floats over bits");
/// d.
const D: usize = 50;
const NOISE: f32 = 1.0;
const PLAIN: CurveName = CurveName::new("QSGD, no feedback");
const FED: CurveName = CurveName::new("QSGD/k, feedback");
/// random-k with δ = k/d over almost two decades.
const DELTAS: [(CurveName, usize); 4] = [
    (CurveName::new("delta = 0.5"), 25),
    (CurveName::new("delta = 0.2"), 10),
    (CurveName::new("delta = 0.06"), 3),
    (CurveName::new("delta = 0.02"), 1),
];
/// Of these the excess over SGD stands out of what a run's noise is.
const FEW: [CurveName; 2] = [DELTAS[2].0, DELTAS[3].0];
const TOP: CurveName = CurveName::new("top-1");
/// E‖U(x)‖² ≤ k‖x‖² of QSGD with one level: k = 1 + √d.
const K: f64 = 8.071_067_811_865_476;

/// The channels of VGG-19's convolutions (Karimireddy et al. 2019, A.2).
const VGG: [usize; 16] = [64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512];

/// VGG-19's parameters: each convolution with its bias, its normalisation's two, and the last layer.
fn layers() -> Vec<(String, Vec<usize>)> {
    let mut list = Vec::new();
    let mut from = 3;
    for (i, to) in VGG.into_iter().enumerate() {
        list.push((format!("conv{i}.weight"), vec![to, from, 3, 3]));
        list.extend(["conv.bias", "norm.weight", "norm.bias"].map(|name| (format!("{i}.{name}"), vec![to])));
        from = to;
    }
    list.push(("linear.weight".into(), vec![from, 10]));
    list.push(("linear.bias".into(), vec![10]));
    list
}

/// The numbers of steps; γ = 1/√(T + 1).
fn lengths(setup: &Setup) -> &'static [u64] {
    setup.scale.pick(
        &[20, 40][..],
        &[1000, 4000, 16_000, 64_000][..],
        &[1000, 4000, 16_000, 64_000, 256_000, 1_024_000][..],
    )
}

fn gamma(steps: u64) -> f64 {
    1.0 / ((steps + 1) as f64).sqrt()
}

const PROBLEM: Wells = Wells { dimension: D, deviation: NOISE };

/// x₀ = (1, …, 1).
fn start() -> Vec<f32> {
    vec![1.0; D]
}

/// Theorem II, or Remark 5's form of it for an unbiased compressor; without feedback the standard analysis
/// with k times the variance.
fn smooth_bound(name: CurveName, delta: f64, steps: u64) -> f64 {
    let (l, sigma, gamma) = (Wells::SMOOTHNESS, PROBLEM.second_moment(), gamma(steps));
    let first = 2.0 * PROBLEM.loss(0, &start()) / (gamma * (steps + 1) as f64);
    match name {
        PLAIN => first + 0.5 * gamma * l * K * sigma,
        _ => first + 0.5 * gamma * l * sigma + 4.0 * (gamma * l / delta).powi(2) * sigma * (1.0 - delta),
    }
}

/// Theorem III.
fn kinked_bound(delta: f64, steps: u64) -> f64 {
    let (d, gamma) = (D as f64, gamma(steps));
    d / (2.0 * gamma * (steps + 1) as f64) + gamma * d * (0.5 + 2.0 * (1.0 - delta).sqrt() / delta)
}

/// The exponent a of a seed's values ~ T^a by least squares on logarithms; not a number where one is not positive.
fn exponents(results: &Results, group: GroupName, curve: CurveName, metric: Metric) -> Option<Seeds> {
    let series = results.series(group, curve, metric);
    let slope = |points: &[(f64, f64)]| {
        let logs: Vec<(f64, f64)> = points.iter().map(|(t, v)| (t.ln(), v.ln())).collect();
        let n = logs.len() as f64;
        let (x, y) = (logs.iter().map(|l| l.0).sum::<f64>() / n, logs.iter().map(|l| l.1).sum::<f64>() / n);
        let along: f64 = logs.iter().map(|l| (l.0 - x) * (l.1 - y)).sum();
        along / logs.iter().map(|l| (l.0 - x).powi(2)).sum::<f64>()
    };
    (!series.is_empty()).then(|| series.iter().map(|(seed, points)| (*seed, slope(points))).collect())
}

/// A curve's values less SGD's of the same seed and T.
fn excess(results: &Results, group: GroupName, curve: CurveName, metric: Metric) -> Option<Results> {
    let sgd = results.series(group, SGD, metric);
    let mut rows = Vec::new();
    for (seed, points) in results.series(group, curve, metric) {
        let others = &sgd.iter().find(|(other, _)| *other == seed)?.1;
        for (x, value) in points {
            let other = others.iter().find(|point| point.0 == x)?.1;
            rows.push(crate::record::Row { group, curve, seed, metric: EXCESS, x, value: value - other });
        }
    }
    (!rows.is_empty()).then(|| Results::new(rows))
}

fn excess_exponents(results: &Results, group: GroupName, curve: CurveName, metric: Metric) -> Option<Seeds> {
    exponents(&excess(results, group, curve, metric)?, group, curve, EXCESS)
}

impl Rates {
    /// One round of EF-signSGD on a network's layers: what it sent against what the paper says.
    fn message(curve: &Curve, seed: u64, out: &mut Recorder) -> Result<(), ReproduceError> {
        let layout = Layout::new(layers(), Scope::Parameter, 0)?;
        let said: f64 = layers().iter().map(|(_, shape)| shape.iter().product::<usize>() as f64 + 32.0).sum();
        let floats = 32.0 * layout.len() as f64;
        let x = Vector::zeros(layout.len());
        let g: Vec<f32> = (0..x.len()).map(|j| (j as f32 * 0.618).sin()).collect();
        let mut cluster =
            Cluster::new(curve.algorithm.parse()?, curve.compressor.parse()?, layout, 1, seed, x.as_slice())?;
        let mut host = |_: usize, ask: &Ask| match ask {
            Ask::Gradient { .. } => Ok(Reply::gradient(g.clone())),
            Ask::Loss { .. } => Err(RoundError::Unserved("a loss")),
        };
        let bits = 8.0 * cluster.round(curve.lr, &x, &mut host)?.traffic.per_worker().up;
        out.record(BITS, 0.0, bits / said);
        out.record(SAVED, 0.0, floats / bits);
        Ok(())
    }
}

impl Experiment for Rates {
    fn about(&self) -> About {
        About {
            name: "rates",
            title: "Compression quality enters the higher-order term of EF-SGD's rate, or the leading one where f is not smooth",
            source: "Karimireddy et al. 2019, §4, Theorems II, III, Remarks 4 to 7; §6.1",
            claims: &[
                "Lemma 3; Theorem II and Remark 4: the bounds, and delta in the 1/T term only",
                "Remark 5: unbiased compressors gain from feedback",
                "Theorem III, Remarks 6 and 7: the bound, and delta in the leading term; top-1 converges",
                "a message has the sum of d_l + 32 bits",
            ],
            time: ["1 min", "1 h"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let of = |group: GroupName, name: CurveName, algorithm: &str, compressor: &str, delta: f64| Curve {
            setting: delta,
            ..Curve::new(group, name, algorithm, compressor, 1.0)
        };
        let mut curves = Vec::new();
        for group in [SMOOTH, KINKED] {
            curves.push(of(group, SGD, "sgd", "identity", 1.0));
            for (name, k) in DELTAS {
                curves.push(of(group, name, "ef-sgd", &format!("randk:k={k}"), k as f64 / D as f64));
            }
            curves.push(of(group, TOP, "ef-sgd", "topk:k=1", 1.0 / D as f64));
        }
        curves.push(of(UNBIASED, SGD, "sgd", "identity", 1.0));
        curves.push(of(UNBIASED, PLAIN, "compressed-sgd", "qsgd:s=1", 1.0));
        curves.push(of(UNBIASED, FED, "ef-sgd", "qsgd:s=1,scaled", 1.0 / K));
        curves.push(Curve { cost: 0.1, ..of(MESSAGE, EF, "ef-sgd", "sign:scaled", 1.0) });
        curves
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 8, 20)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let steps: Vec<String> = lengths(setup).iter().map(u64::to_string).collect();
        vec![
            ("T", steps.join(", ")),
            ("step size", "1/sqrt(T + 1)".into()),
            ("smooth", format!("sum of x^2/(1 + x^2), d = {D}, N(0, {NOISE}) noise on each coordinate: L = 2")),
            ("not smooth", format!("||x||_1, d = {D}, full subgradients with sign(0) = +1")),
            ("x0", "(1, ..., 1)".into()),
            ("sigma^2", format!("the most that E||g||^2 can be: {} and {D}", short(PROBLEM.second_moment()))),
            ("layers", "VGG-19 with batch normalisation for CIFAR-10".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["The paper proves the rates and does not draw them; the functions are ours. Means over the steps are shown, which the proofs bound too: the theorems state what is less, the smallest gradient and f of the mean x.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        if curve.group == MESSAGE {
            return Self::message(curve, seed, out);
        }
        let kinked = SumOfMagnitudes { dimension: D };
        let smooth = curve.group != KINKED;
        let problem: &dyn Problem = if smooth { &PROBLEM } else { &kinked };
        let metric = if smooth { GRADIENT } else { GAP };
        let total: u64 = lengths(setup).iter().sum();
        let mut begun = 0;
        for steps in lengths(setup).iter().copied() {
            let share = |steps: u64| steps as f64 / total as f64;
            out.part(share(begun), share(begun + steps));
            begun += steps;
            let (mut sum, mut owed, mut count) = (0.0, 0.0, 0u64);
            let fed = curve.algorithm == "ef-sgd";
            let length = Length { steps, points: steps };
            let lr = curve.lr * gamma(steps);
            Descent::new(curve, problem, seed, start(), length, metric).with_lr(move |_| lr).run(
                out,
                |simulation, _, _| {
                    sum += if smooth { simulation.squared_gradient() } else { simulation.objective() };
                    if fed {
                        owed += simulation.cluster().observe().residual_norm().powi(2);
                    }
                    count += 1;
                },
            )?;
            let mean = if count == steps + 1 { sum / count as f64 } else { f64::INFINITY };
            let bound = match smooth {
                true => smooth_bound(curve.name, curve.setting, steps),
                false => kinked_bound(curve.setting, steps),
            };
            out.record(metric, steps as f64, mean);
            if fed && curve.setting < 1.0 {
                let delta = curve.setting;
                let sigma = if smooth { PROBLEM.second_moment() } else { D as f64 };
                let bound = 4.0 * (1.0 - delta) * (lr / delta).powi(2) * sigma;
                out.record(OWED, steps as f64, owed / count as f64 / bound);
            }
            out.record(SHARE, steps as f64, mean / bound);
        }
        Ok(())
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let share = |group: GroupName, names: &[CurveName]| -> Vec<(CurveName, Option<Seeds>)> {
            names.iter().map(|name| (*name, results.seeds(group, *name, SHARE, Summary::Most))).collect()
        };
        let all: Vec<CurveName> = DELTAS.iter().map(|delta| delta.0).chain([TOP]).collect();
        let last = |group: GroupName, curve: CurveName, metric| results.seeds(group, curve, metric, Summary::Last);
        let cite = |place: &str| format!("{FIXES}, {place}");
        let bounded = Bound::at_most("largest share of the theorem's bound, over T", 1.0);
        let few = |group: GroupName, metric| FEW.map(|name| (name, excess_exponents(results, group, name, metric)));
        vec![
            Claim::about(
                "Theorem II: the squared gradient norm stays below its bound, for every delta and T",
                cite("Theorem II"),
            )
            .each(&bounded, share(SMOOTH, &all))
            .judged(),
            Claim::about("Lemma 3: the residual stays within its bound, for every delta and T", cite("Lemma 3"))
                .each(
                    &Bound::at_most("largest share of the lemma's bound, over T, of the mean of ||e_t||^2", 1.0),
                    [SMOOTH, KINKED].iter().flat_map(|group| all.iter().map(move |name| (*group, *name))).map(
                        |(group, name)| (format!("{name}, {group}"), results.seeds(group, name, OWED, Summary::Most)),
                    ),
                )
                .judged(),
            Claim::about(
                "Remark 4: SGD falls as 1/sqrt(T), and what a small delta adds falls faster, towards 1/T",
                cite("Remark 4"),
            )
            .part(SGD, Equality::within("exponent of T", -0.65, -0.35), exponents(results, SMOOTH, SGD, GRADIENT))
            .each(&Bound::at_most("exponent of T in the excess over SGD", -0.75), few(SMOOTH, GRADIENT))
            .judged(),
            Claim::about("Remark 4: the rate catches up with SGD's once T is far beyond 1/delta^2", cite("Remark 4"))
                .each(
                    &Bound::at_most("at the largest T, ratio to SGD", 1.25),
                    DELTAS[..2].iter().map(|(name, _)| {
                        let ratio = last(SMOOTH, *name, GRADIENT).and_then(|ef| ef.over(&last(SMOOTH, SGD, GRADIENT)?));
                        (*name, ratio)
                    }),
                )
                .judged(),
            Claim::about(
                "Remark 5: with an unbiased compressor both bounds hold, without feedback and with it",
                cite("Remark 5"),
            )
            .each(&bounded, share(UNBIASED, &[PLAIN, FED]))
            .judged(),
            Claim::about(
                "Remark 5: without feedback the quantiser's k is in the leading term, with U/k and feedback it is not",
                cite("Remark 5"),
            )
            .part(
                "excess over SGD at the largest T, with feedback and without",
                Paired::below("excess").times(0.5),
                excess(results, UNBIASED, FED, GRADIENT)
                    .and_then(|r| r.seeds(UNBIASED, FED, EXCESS, Summary::Last))
                    .zip(
                        excess(results, UNBIASED, PLAIN, GRADIENT)
                            .and_then(|r| r.seeds(UNBIASED, PLAIN, EXCESS, Summary::Last)),
                    ),
            )
            .part(
                "without",
                Equality::within("exponent of T in the excess", -0.65, -0.35),
                excess_exponents(results, UNBIASED, PLAIN, GRADIENT),
            )
            .part(
                "with",
                Bound::at_most("exponent of T in the excess", -0.75),
                excess_exponents(results, UNBIASED, FED, GRADIENT),
            )
            .judged(),
            Claim::about("Theorem III: f(x) - f* stays below its bound, for every delta and T", cite("Theorem III"))
                .each(&bounded, share(KINKED, &all))
                .judged(),
            Claim::about("Remark 6: where f is not smooth, what delta adds falls only as 1/sqrt(T)", cite("Remark 6"))
                .each(&Equality::within("exponent of T in the excess over SGD", -0.65, -0.35), few(KINKED, GAP))
                .judged(),
            Claim::about(
                "Remark 7: greedy coordinate descent, EF-SGD with top-1, converges where f is not smooth",
                cite("Remark 7"),
            )
            .part(
                "",
                Equality::within("exponent of T in f(x) - f*", -0.65, -0.35),
                exponents(results, KINKED, TOP, GAP),
            )
            .judged(),
            Claim::about("EF-signSGD sends d_l + 32 bits for each layer", cite("§6.1"))
                .part(
                    "",
                    Exact::within(
                        "bits sent over the sum, with a byte's rounding and a head for each layer",
                        1.0,
                        1.001,
                    ),
                    last(MESSAGE, EF, BITS).map(|seeds| seeds.most()),
                )
                .judged(),
            Claim::about("That is about 32 times less one way, and so 64 both ways", cite("§1, §6.1"))
                .part(
                    "",
                    Exact::within("bits of 32-bit floats over bits sent", 31.5, 32.0),
                    last(MESSAGE, EF, SAVED).map(|seeds| seeds.least()),
                )
                .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        // a/√T + b/T.
        let law = |a: f64, b: f64| [1e3, 4e3, 1.6e4, 6.4e4].map(|t: f64| (t, a / t.sqrt() + b / t));
        let mut made = Made::default();
        for (group, metric) in [(SMOOTH, GRADIENT), (KINKED, GAP), (UNBIASED, GRADIENT)] {
            made = made.path(group, SGD, metric, &law(30.0, 0.0));
        }
        for (name, _) in DELTAS {
            made = made.path(SMOOTH, name, GRADIENT, &law(30.0, 100.0)).path(KINKED, name, GAP, &law(60.0, 0.0));
        }
        made = made.path(KINKED, TOP, GAP, &law(60.0, 0.0));
        made = made.path(UNBIASED, PLAIN, GRADIENT, &law(150.0, 0.0)).path(UNBIASED, FED, GRADIENT, &law(30.0, 100.0));
        for (group, name) in
            [SMOOTH, KINKED].iter().flat_map(|g| DELTAS.iter().map(|d| d.0).chain([TOP]).map(move |n| (*g, n)))
        {
            made = made.with(group, name, SHARE, &steady(0.2)).with(group, name, OWED, &steady(0.2));
        }
        made = [PLAIN, FED].into_iter().fold(made, |made, name| made.with(UNBIASED, name, SHARE, &steady(0.2)));
        made = made.with(MESSAGE, EF, BITS, &steady(1.0005)).with(MESSAGE, EF, SAVED, &steady(31.9));
        made = made.with(MESSAGE, EF, BITS, &[1.0005]).with(MESSAGE, EF, SAVED, &[31.9]);
        let path =
            |group: GroupName, curve: CurveName, metric, a, b| made.clone().path(group, curve, metric, &law(a, b));
        let shares =
            |group: GroupName, curve: CurveName, values: &[f64]| made.clone().with(group, curve, SHARE, values);
        let wild = crate::record::made::torn(0.1, 1.9);
        // Of every other seed the values are those of one law, of the others of another.
        let mixed = |group: GroupName, curve: CurveName, metric, one: (f64, f64), other: (f64, f64)| {
            let of = |seed: u64| if seed.is_multiple_of(2) { law(one.0, one.1) } else { law(other.0, other.1) };
            made.clone().paths(group, curve, metric, (1..=MADE_SEEDS).map(|seed| (seed, of(seed).to_vec())))
        };
        vec![
            made.all_hold(),
            shares(SMOOTH, TOP, &steady(1.2)).fails("Theorem II:"),
            shares(SMOOTH, TOP, &wild).undecided("Theorem II:"),
            made.clone().with(KINKED, TOP, OWED, &steady(1.2)).fails("Lemma 3"),
            made.clone().with(KINKED, TOP, OWED, &wild).undecided("Lemma 3"),
            path(SMOOTH, FEW[1], GRADIENT, 60.0, 0.0).fails("Remark 4: SGD"),
            mixed(SMOOTH, FEW[1], GRADIENT, (60.0, 0.0), (30.0, 100.0)).undecided("Remark 4: SGD"),
            path(SMOOTH, DELTAS[0].0, GRADIENT, 60.0, 0.0).fails("Remark 4: the rate"),
            mixed(SMOOTH, DELTAS[0].0, GRADIENT, (30.0, 0.0), (45.0, 0.0)).undecided("Remark 4: the rate"),
            shares(UNBIASED, FED, &steady(1.2)).fails("Remark 5: with an"),
            shares(UNBIASED, FED, &wild).undecided("Remark 5: with an"),
            path(UNBIASED, FED, GRADIENT, 150.0, 0.0).fails("Remark 5: without"),
            mixed(UNBIASED, FED, GRADIENT, (33.0, 0.0), (30.0, 100.0)).undecided("Remark 5: without"),
            shares(KINKED, TOP, &steady(1.2)).fails("Theorem III"),
            shares(KINKED, TOP, &wild).undecided("Theorem III"),
            path(KINKED, FEW[0], GAP, 30.0, 100.0).fails("Remark 6"),
            mixed(KINKED, FEW[0], GAP, (30.0, 100.0), (60.0, 0.0)).undecided("Remark 6"),
            path(KINKED, TOP, GAP, 0.0, 100.0).fails("Remark 7"),
            mixed(KINKED, TOP, GAP, (0.0, 100.0), (60.0, 0.0)).undecided("Remark 7"),
            made.clone().with(MESSAGE, EF, BITS, &[1.5]).fails("EF-signSGD sends"),
            made.clone().with(MESSAGE, EF, SAVED, &[20.0]).fails("That is"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let panels = [(SMOOTH, GRADIENT), (UNBIASED, GRADIENT), (KINKED, GAP)];
        let panels = panels.into_iter().filter(|(group, _)| results.groups().contains(group));
        let panels = panels.map(|(group, metric)| Panel::of(results, group, metric, Axis::log("T"), Axis::log(metric)));
        Figure::new(3, panels.collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table = Table::new(
            "Exponents of T, means over seeds",
            &["group", "curve", "of the value", "of the excess over SGD"],
        );
        for (group, metric) in [(SMOOTH, GRADIENT), (UNBIASED, GRADIENT), (KINKED, GAP)] {
            for curve in results.curves(group) {
                let told = |seeds: Option<Seeds>| seeds.map_or("–".into(), |seeds| short(seeds.mean()));
                let excess = if curve == SGD { None } else { excess_exponents(results, group, curve, metric) };
                let own = exponents(results, group, curve, metric);
                table.rows.push(vec![group.into(), curve.into(), told(own), told(excess)]);
            }
        }
        vec![table]
    }
}
