//! Figure 2 of Avdiukhin and Yaroslavtsev (2021): an autoencoder's plateau, with and without noise.

use backburn_compress::{Key, Philox, Scope, Stream};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use crate::error::ReproduceError;
use crate::experiment::papers::ESCAPING;
use crate::experiment::{About, Experiment, Scale, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::advance::{ENOUGH, End, advance, finite, record_bytes};
use crate::loops::single::{Found, Single};
use crate::record::judge::{Bound, Paired};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::metric::{TEST_LOSS, TRAIN_LOSS};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary, mean};
use crate::words::short;
use backburn_train::data::{Images, Normalisation};
use backburn_train::models::Autoencoder;
use backburn_train::session::Session;

pub(super) struct AutoencoderSaddle;

const NORM: Metric = Metric::new("mean gradient norm");
const ESCAPE: Metric = Metric::new("steps on the plateau");
/// The smallest of that on the plateau, and the largest after it.
const FLAT: Metric = Metric::new("gradient norm on the plateau");
const STEEP: Metric = Metric::new("largest gradient norm after the plateau");
/// Loss at the plateau's middle over that at its end, smoothed.
const FALLEN: Metric = Metric::new("loss at the middle of the plateau over the level");
const QUIET: CurveName = CurveName::new("without noise");
const NOISY: CurveName = CurveName::new("with noise");
const RANDOM: GroupName = GroupName::new("random-k");
const GROUPS: [GroupName; 3] = [GroupName::new("uncompressed"), GroupName::new("top-k"), RANDOM];
/// Where the noise begins to fade, as a share of the run.
const FADE: f64 = 0.6;
/// Steps over which the gradient's norm is averaged.
const LAST: u64 = 100;

/// Where a step's gradient norm is kept.
fn norm(step: u64) -> String {
    format!("norm {}", step % LAST)
}

/// Where the smoothed loss of so many hundred steps is kept.
fn smoothed(hundreds: u64) -> String {
    format!("smoothed {hundreds}")
}

/// The mean loss over so many of the images.
fn tested(model: &Autoencoder, images: &Images, probe: &[usize], device: &Device) -> f64 {
    let model = model.valid();
    let loss = |chunk: &[usize]| {
        let batch = images.batch(chunk, None, device);
        f64::from(model.loss(batch.images).into_scalar::<f32>()) * chunk.len() as f64
    };
    probe.chunks(500).map(loss).sum::<f64>() / probe.len() as f64
}

/// The mean squared distance of pixels to the mean image: the loss of the best constant output.
fn plateau(images: &Images) -> f64 {
    let pixels: usize = images.shape().iter().product();
    let (mut sum, mut squares) = (vec![0.0f64; pixels], 0.0);
    for i in 0..images.len() {
        for (sum, pixel) in sum.iter_mut().zip(images.image(i)) {
            let value = f64::from(*pixel) / 255.0;
            *sum += value;
            squares += value * value;
        }
    }
    let n = images.len().max(1) as f64;
    (squares / n - sum.iter().map(|s| (s / n).powi(2)).sum::<f64>()) / pixels as f64
}

impl AutoencoderSaddle {
    /// σ of the noise on each coordinate. A plateau that is T steps long lets it walk as far as γσ√T: on the
    /// shorter one it is as much larger.
    fn sigma(setup: &Setup) -> f64 {
        setup.scale.pick(0.025, 0.025, 0.01)
    }

    /// Of the mean squared error.
    fn weight(setup: &Setup) -> f64 {
        setup.scale.pick(20.0, 20.0, 1.0)
    }

    /// Steps: 10 epochs, for random-k 100.
    fn steps(setup: &Setup, group: GroupName) -> u64 {
        let epoch = 60_000 / 64;
        let random = group == RANDOM;
        setup.scale.pick(6, if random { 4000 } else { 2000 }, if random { 100 * epoch } else { 10 * epoch })
    }
}

impl Experiment for AutoencoderSaddle {
    fn about(&self) -> About {
        About {
            name: "autoencoder-saddle",
            title: "Noise shortens an autoencoder's plateau, with and without compression",
            source: "Avdiukhin, Yaroslavtsev 2021, §4, Figure 2",
            claims: &["noise shortens the plateau, for none, top-k and random-k", "the plateau is a saddle"],
            time: ["8 min", "1 day"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let compressors = ["identity", "topk:0.001", "randk:0.001"];
        let pair = |(group, compressor): (GroupName, &str)| {
            [(QUIET, 0.0), (NOISY, Self::sigma(setup))].map(|(name, sigma)| Curve {
                batch: setup.scale.pick(64, 16, 64),
                cost: if group == RANDOM { 2.0 } else { 1.0 },
                setting: sigma,
                ..Curve::new(group, name, "ef-sgd:outside", compressor, 0.1)
            })
        };
        GROUPS.into_iter().zip(compressors).flat_map(pair).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 5, 10)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("data", setup.image_set("mnist").into()),
            ("steps", format!("{}, random-k {}", Self::steps(setup, GROUPS[0]), Self::steps(setup, RANDOM))),
            (
                "noise",
                format!(
                    "N(0, {}^2) on every coordinate of the gradient, fading linearly to 0 from 60 % of the run",
                    Self::sigma(setup)
                ),
            ),
            ("test loss", setup.scale.pick("200 images", "500 images", "all images").into()),
            ("loss", format!("the mean squared error, with weight {}", Self::weight(setup))),
            ("compressor", "by parameter".into()),
            (
                "end",
                setup.scale.pick("after the last step", "400 steps after the plateau", "after the last step").into(),
            ),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        let mut list = vec!["The paper names neither the loss nor the last activation: here the mean squared error and the logistic function. Compressors work by parameter: under one mask for the whole model the output's bias waits 1000 steps, saturates, and the output is black for good.".into()];
        if setup.scale != Scale::Paper {
            list.push("Weight 20 on the mean squared error: with 1 the loss of the first seed stood at 0.126 for all of 2000 steps, with noise and without; and so that the noise walks as far on the shorter plateau as in the paper, which is gamma sigma sqrt(steps), sigma = 0.025. Fewer steps, five seeds, batches of 16, since a step of 64 takes as long as four of these; a run ends 400 steps after its plateau. Where MNIST is not at hand, the embedded slice of Fashion-MNIST.".into());
        }
        list
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let split = setup.images("mnist")?;
        let [train, test] = [&split.train, &split.test].map(|i| i.clone().with_normalisation(Normalisation::unit(1)));
        let (train, test) = (train?, test?);
        let device = setup.device.device()?.autodiff();
        let model = Autoencoder::new(seed, &device);
        let weight = Self::weight(setup);
        let level = 0.8 * plateau(&train);
        let steps = Self::steps(setup, curve.group);
        let every = (steps / 60).max(1);
        let epoch = |taken: u64| taken as f64 * curve.batch as f64 / train.len() as f64;
        let probe: Vec<usize> = (0..setup.scale.pick(200, 500, usize::MAX).min(test.len())).collect();
        let worker = Single::new(model, curve, Scope::Parameter, train.len(), seed, |look| {
            let batch = train.batch(&look.draw.indices, None, &device);
            let loss = look.model.loss(batch.images);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            let grads = GradientsParams::from_grads((loss * weight).backward(), look.model);
            let mut g = look.places.flatten(look.model, grads)?;
            let norm = crate::problems::square(g.vector.as_slice()).sqrt();
            let done = look.step as f64 / steps as f64;
            let sigma = curve.setting * ((1.0 - done) / (1.0 - FADE)).min(1.0);
            if sigma > 0.0 {
                let mut random =
                    Philox::new(Key { step: look.step, stream: Stream::AUTOENCODER, ..Key::new(seed) }.draw());
                g.vector.as_mut_slice().iter_mut().for_each(|g| *g += sigma as f32 * random.normal());
            }
            Ok(Found { loss: value, gradient: g, seen: norm })
        })?;
        let (lr, brief) = (curve.lr, setup.scale == Scale::Small);
        let mut session = Session::new(worker, move |_: u64, _: u64| lr, steps);
        let (end, sums) = advance(&mut session, Some("checkpoint"), out, |session, step, sums, out| {
            let (worker, number) = (session.trains(), step.number);
            sums.average(TRAIN_LOSS.name(), step.loss);
            sums.set(&norm(number), worker.seen().copied().unwrap_or(f64::NAN));
            let smooth = sums.get("smooth").map_or(step.loss, |smooth| 0.95 * smooth + 0.05 * step.loss);
            sums.set("smooth", smooth);
            let norms = (number.saturating_sub(LAST - 1)..=number).filter_map(|step| sums.get(&norm(step)));
            let average = mean(norms).unwrap_or(f64::NAN);
            let escaped = sums.get(ESCAPE.name());
            // The first steps fall from the start to the plateau.
            if number + 1 >= 2 * LAST {
                let (metric, better): (_, fn(f64, f64) -> f64) =
                    if escaped.is_none() { (FLAT, f64::min) } else { (STEEP, f64::max) };
                let so_far = sums.get(metric.name()).map_or(average, |so_far| better(so_far, average));
                sums.set(metric.name(), so_far);
            }
            if escaped.is_none() {
                sums.set(&smoothed(number / LAST), smooth);
                if smooth < level {
                    sums.set(ESCAPE.name(), number as f64);
                }
            }
            if brief && escaped.is_some_and(|escaped| number as f64 >= escaped + 400.0) {
                sums.set(ENOUGH, 1.0);
            }
            if (number + 1).is_multiple_of(every) {
                let x = epoch(number + 1);
                out.record(TRAIN_LOSS, x, finite(sums.take_average(TRAIN_LOSS.name())));
                out.record(TEST_LOSS, x, finite(tested(worker.model(), &test, &probe, &device.clone().inner())));
                out.record(NORM, x, average);
                record_bytes(session.so_far().bytes, x, out);
            }
            Ok(())
        })?;
        if end == End::Diverged {
            for x in (session.progress().0 + 1..=steps).filter(|taken| taken.is_multiple_of(every)).map(epoch) {
                [TRAIN_LOSS, TEST_LOSS, NORM].iter().for_each(|metric| out.record(*metric, x, f64::INFINITY));
            }
        }
        let escaped = sums.get(ESCAPE.name()).filter(|_| end == End::Whole).unwrap_or(steps as f64);
        out.record(ESCAPE, 0.0, escaped);
        [FLAT, STEEP].iter().for_each(|m| out.record(*m, 0.0, sums.get(m.name()).unwrap_or(f64::NAN)));
        let middle = sums.get(&smoothed(escaped as u64 / 2 / LAST)).unwrap_or(f64::NAN);
        out.record(FALLEN, 0.0, middle / plateau(&train));
        Ok(())
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let source = format!("{ESCAPING}, Figure 2");
        let of = |group: GroupName, curve: CurveName, metric| results.seeds(group, curve, metric, Summary::Last);
        let shorter = |group: GroupName| {
            Claim::about(format!("Noise shortens the plateau, {group}"), &source)
                .part(
                    "with noise, and without",
                    Paired::below("steps until the smoothed loss is below 0.8 of the best constant output's"),
                    of(group, NOISY, ESCAPE).zip(of(group, QUIET, ESCAPE)),
                )
                .judged()
        };
        let each = |find: &dyn Fn(GroupName) -> Option<Seeds>| GROUPS.map(|group| (group, find(group)));
        let steep = |group: GroupName| {
            let pair = of(group, NOISY, FLAT).zip(of(group, NOISY, STEEP));
            (group, pair)
        };
        let mut claims: Vec<Claim> = GROUPS.into_iter().map(shorter).collect();
        claims.push(
            Claim::about(
                "The plateau is a saddle: the loss stands and the gradient is small, and then both fall or grow",
                &source,
            )
            .each(
                &Bound::at_least("smoothed loss at half of the plateau, over the best constant output's", 0.9),
                each(&|group| of(group, QUIET, FALLEN)),
            )
            .each(
                &Paired::below("gradient norm over 100 steps, the smallest on the plateau and the largest after it")
                    .times(0.5),
                GROUPS.map(steep),
            )
            .judged(),
        );
        claims
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let mut made = Made::default();
        for group in GROUPS {
            made = made.with(group, QUIET, ESCAPE, &steady(1500.0)).with(group, NOISY, ESCAPE, &steady(500.0));
            made = made.with(group, NOISY, FLAT, &steady(0.01)).with(group, NOISY, STEEP, &steady(0.1));
            made = made.with(group, QUIET, FALLEN, &steady(0.99));
        }
        let with = |group: GroupName, curve: CurveName, metric, values: &[f64]| {
            made.clone().with(group, curve, metric, values)
        };
        let mut list = vec![made.all_hold()];
        let claims = [
            "Noise shortens the plateau, uncompressed",
            "Noise shortens the plateau, top-k",
            "Noise shortens the plateau, random-k",
        ];
        for (group, claim) in GROUPS.into_iter().zip(claims) {
            list.push(with(group, NOISY, ESCAPE, &steady(1700.0)).fails(claim));
            list.push(with(group, NOISY, ESCAPE, &torn(1000.0, 1950.0)).undecided(claim));
        }
        list.push(with(GROUPS[0], NOISY, STEEP, &steady(0.011)).fails("The plateau"));
        list.push(with(GROUPS[1], QUIET, FALLEN, &steady(0.5)).fails("The plateau"));
        list.push(with(GROUPS[1], QUIET, FALLEN, &torn(0.8, 1.02)).undecided("The plateau"));
        list
    }

    fn figure(&self, results: &Results) -> Figure {
        let row = |metric: Metric, y: &'static str| {
            GROUPS.into_iter().map(move |group| {
                Panel::of(results, group, metric, Axis::linear("epoch"), Axis::log(y)).titled(format!("{group}: {y}"))
            })
        };
        Figure::new(3, row(TEST_LOSS, "test loss").chain(row(NORM, "gradient norm, last 100 steps")).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table =
            Table::new("Plateau and end", &["compressor", "noise", "steps on the plateau", "last test loss"]);
        for (group, curve) in GROUPS.into_iter().flat_map(|g| [(g, QUIET), (g, NOISY)]) {
            let cells = [results.last(group, curve, ESCAPE), results.last(group, curve, TEST_LOSS)];
            let cells = cells.map(|c| c.map_or("–".into(), short));
            table.rows.push([group.into(), curve.into()].into_iter().chain(cells).collect());
        }
        vec![table]
    }
}
