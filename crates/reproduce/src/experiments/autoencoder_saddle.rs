//! Figure 2 of Avdiukhin and Yaroslavtsev (2021): an autoencoder's plateau, with and without noise.

use backburn_compress::{Key, Philox, Scope, Stream};
use backburn_optim::device;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use crate::error::ReproduceError;
use crate::experiment::papers::ESCAPING;
use crate::experiment::{About, Experiment, Scale, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::advance::{End, advance, finite, record_bytes};
use crate::loops::single::{Found, Single};

use crate::record::metric::{TEST_LOSS, TRAIN_LOSS};
use crate::record::{Claim, Curve, Metric, Recorder, Results, mean};
use crate::words::short;
use backburn_train::data::{Images, Normalisation};
use backburn_train::models::Autoencoder;
use backburn_train::session::Session;

pub(super) struct AutoencoderSaddle;

const NORM: Metric = Metric::new("mean gradient norm");
const ESCAPE: Metric = Metric::new("steps on the plateau");
const QUIET: &str = "without noise";
const NOISY: &str = "with noise";
const GROUPS: [&str; 3] = ["uncompressed", "top-k", "random-k"];
/// σ of the noise on each coordinate.
const SIGMA: f32 = 0.01;
/// Where the noise begins to fade, as a share of the run.
const FADE: f64 = 0.6;
/// Steps over which the gradient's norm is averaged.
const LAST: u64 = 100;

/// Where a step's gradient norm is kept.
fn norm(step: u64) -> String {
    format!("norm {}", step % LAST)
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
    /// Steps: 10 epochs, for random-k 100.
    fn steps(setup: &Setup, group: &str) -> u64 {
        let epoch = 60_000 / 64;
        setup.scale.pick(6, 2000, if group == "random-k" { 100 * epoch } else { 10 * epoch })
    }
}

impl Experiment for AutoencoderSaddle {
    fn about(&self) -> About {
        About {
            name: "autoencoder-saddle",
            title: "Noise shortens an autoencoder's plateau, with and without compression",
            source: "Avdiukhin, Yaroslavtsev 2021, §4, Figure 2",
            claims: &["noise shortens the plateau, for none, top-k and random-k"],
            time: ["9 min", "1 day"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        // At small scale random-k has too few steps for 0.1 %.
        let compressors = ["identity", "topk:0.001", setup.scale.pick("randk:0.01", "randk:0.01", "randk:0.001")];
        let pair = |(group, compressor): (&str, &str)| {
            [(QUIET, 0.0), (NOISY, f64::from(SIGMA))].map(|(name, sigma)| Curve {
                batch: 64,
                setting: sigma,
                ..Curve::new(group, name, "ef-sgd:outside", compressor, 0.1)
            })
        };
        GROUPS.into_iter().zip(compressors).flat_map(pair).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 2, 10)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("data", setup.image_set("mnist").into()),
            ("steps", format!("{}, random-k {}", Self::steps(setup, ""), Self::steps(setup, "random-k"))),
            (
                "noise",
                "N(0, 0.01^2) on every coordinate of the gradient, fading linearly to 0 from 60 % of the run".into(),
            ),
            ("test loss", setup.scale.pick("200 images", "500 images", "all images").into()),
            ("loss", format!("{WEIGHT} times the mean squared error")),
            ("compressor", "of the whole model as one vector".into()),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        let mut list = vec!["The paper names neither the loss nor the last activation: here the squared error, times 20, and the logistic function.".into()];
        if setup.scale != Scale::Paper {
            list.push("Fewer steps and seeds; random-k 1 % instead of 0.1 %. Where MNIST is not at hand, the embedded slice of Fashion-MNIST.".into());
        }
        list
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let split = setup.images("mnist")?;
        let [train, test] = [&split.train, &split.test].map(|i| i.clone().with_normalisation(Normalisation::unit(1)));
        let (train, test) = (train?, test?);
        let device = device(&setup.device)?.autodiff();
        let model = Autoencoder::new(seed, &device);
        let level = 0.8 * plateau(&train);
        let steps = Self::steps(setup, &curve.group);
        let every = (steps / 60).max(1);
        let epoch = |taken: u64| taken as f64 * curve.batch as f64 / train.len() as f64;
        let probe: Vec<usize> = (0..setup.scale.pick(200, 500, usize::MAX).min(test.len())).collect();
        let worker = Single::new(model, curve, Scope::Global, train.len(), seed, |look| {
            let batch = train.batch(&look.draw.indices, None, &device);
            let loss = look.model.loss(batch.images);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            let grads = GradientsParams::from_grads((loss * WEIGHT).backward(), look.model);
            let mut g = look.places.flatten(look.model, grads)?;
            let norm = crate::problems::square(&g.vector).sqrt();
            let done = look.step as f64 / steps as f64;
            let sigma = curve.setting * ((1.0 - done) / (1.0 - FADE)).min(1.0);
            if sigma > 0.0 {
                let mut random =
                    Philox::new(Key { step: look.step, stream: Stream::AUTOENCODER, ..Key::new(seed) }.draw());
                g.vector.iter_mut().for_each(|g| *g += sigma as f32 * random.normal());
            }
            Ok(Found { loss: value, gradient: g, seen: norm })
        })?;
        let lr = curve.lr;
        let mut session = Session::new(worker, move |_: u64, _: u64| lr, steps);
        let (end, sums) = advance(&mut session, Some("checkpoint"), out, |session, step, sums, out| {
            let (worker, number) = (session.trains(), step.number);
            sums.average(TRAIN_LOSS.name(), step.loss);
            sums.set(&norm(number), worker.seen().copied().unwrap_or(f64::NAN));
            let smooth = sums.get("smooth").map_or(step.loss, |smooth| 0.95 * smooth + 0.05 * step.loss);
            sums.set("smooth", smooth);
            if smooth < level && sums.get(ESCAPE.name()).is_none() {
                sums.set(ESCAPE.name(), number as f64);
            }
            if (number + 1).is_multiple_of(every) {
                let x = epoch(number + 1);
                out.record(TRAIN_LOSS, x, finite(sums.take_average(TRAIN_LOSS.name())));
                out.record(TEST_LOSS, x, finite(tested(worker.model(), &test, &probe, &device.clone().inner())));
                let norms = (number.saturating_sub(LAST - 1)..=number).filter_map(|step| sums.get(&norm(step)));
                out.record(NORM, x, mean(norms).unwrap_or(f64::NAN));
                record_bytes(session.so_far().bytes, x, out);
            }
            Ok(())
        })?;
        // Where it diverged.
        for x in (session.progress().0 + 1..=steps).filter(|taken| taken.is_multiple_of(every)).map(epoch) {
            [TRAIN_LOSS, TEST_LOSS, NORM].iter().for_each(|metric| out.record(*metric, x, f64::INFINITY));
        }
        let escaped = sums.get(ESCAPE.name()).filter(|_| end == End::Whole);
        out.record(ESCAPE, 0.0, escaped.unwrap_or(steps as f64));
        Ok(())
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let source = format!("{ESCAPING}, Figure 2");
        let claim = |group: &'static str| {
            Claim::judge(
                &format!("Noise shortens the saddle plateau, {group}"),
                &source,
                "mean steps, over seeds, until the smoothed loss is below 0.8 of the best constant output's: at most 80 % of those without noise",
                || {
                    let of = |curve| results.last(group, curve, ESCAPE);
                    let (quiet, noisy) = (of(QUIET)?, of(NOISY)?);
                    Some((noisy <= 0.8 * quiet, format!("{} with noise, {} without", short(noisy), short(quiet))))
                },
            )
        };
        GROUPS.into_iter().map(claim).collect()
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

/// What the mean squared error is multiplied by: with 1 a step of 0.1 moves next to nothing, with the
/// number of pixels (the sum of the squares) the outputs are all black after a few steps and stay so.
const WEIGHT: f64 = 20.0;
