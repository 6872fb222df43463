//! Figure 2 of Avdiukhin and Yaroslavtsev (2021): an autoencoder's plateau, with and without noise.

use backburn_compress::{Key, Philox, Scope};
use backburn_optim::module::Places;
use backburn_optim::{Cluster, Given, device};
use burn::optim::GradientsParams;

use super::ESCAPING;
use crate::data::{Images, Normalisation, Sampler};
use crate::models::Autoencoder;
use crate::reproduce::figure::{Axis, Figure, Panel};
use crate::reproduce::{
    About, Claim, Curve, Experiment, Recorder, ReproduceError, Results, Scale, Setup, Table, mean, short,
};

pub(super) struct AutoencoderSaddle;

const LOSS: &str = "train loss";
const TEST: &str = "test loss";
const NORM: &str = "mean gradient norm";
const ESCAPE: &str = "steps on the plateau";
const QUIET: &str = "without noise";
const NOISY: &str = "with noise";
const GROUPS: [&str; 3] = ["uncompressed", "top-k", "random-k"];
/// σ of the noise on each coordinate.
const SIGMA: f32 = 0.01;
/// Where the noise begins to fade, as a share of the run.
const FADE: f64 = 0.6;

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
        let mut model = Autoencoder::new(seed, &device);
        let (layout, places) = Places::new(&model, Scope::Global, 0)?;
        let mut x = places.read(&model);
        let mut cluster = Cluster::new(curve.algorithm.parse()?, curve.compressor.parse()?, layout, 1, seed, &x)?;
        let mut sampler = Sampler::new((0..train.len()).collect(), curve.batch, seed, 0)?;
        let level = 0.8 * plateau(&train);
        let steps = Self::steps(setup, &curve.group);
        let every = (steps / 60).max(1);
        let (mut losses, mut norms, mut smooth) = (Vec::new(), Vec::new(), f64::NAN);
        let mut escaped = None;
        let probe: Vec<usize> = (0..test.len().min(500)).collect();
        let mut sent = [0.0; 2];
        for step in 0..steps {
            out.tick(step, steps)?;
            let batch = train.batch(&sampler.next_draw().indices, None, &device);
            let loss = model.loss(batch.images);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            let grads = (loss * WEIGHT).backward();
            let mut g = places.flatten(&model, GradientsParams::from_grads(grads, &model));
            losses.push(value);
            norms.push(crate::problems::square(&g).sqrt());
            smooth = if smooth.is_nan() { value } else { 0.95 * smooth + 0.05 * value };
            if smooth < level {
                escaped.get_or_insert(step);
            }
            let done = step as f64 / steps as f64;
            let sigma = curve.setting * ((1.0 - done) / (1.0 - FADE)).min(1.0);
            if sigma > 0.0 {
                let mut random = Philox::new(Key { step, stream: 0x5add, ..Key::new(seed) }.draw());
                g.iter_mut().for_each(|g| *g += sigma as f32 * random.normal());
            }
            let decided = cluster.round(curve.lr, &x, &mut Given(vec![Some(g)]))?;
            sent[0] += decided.traffic.up_per_worker() / 1e6;
            sent[1] += decided.traffic.down_per_worker() / 1e6;
            cluster.apply(&decided.moved, curve.lr, &mut x);
            model = places.write(model, &x);
            if (step + 1).is_multiple_of(every) {
                use burn::module::Module;
                let batch = test.batch(&probe, None, &device.clone().inner());
                let tested = f64::from(model.valid().loss(batch.images).into_scalar::<f32>());
                let last = &norms[norms.len().saturating_sub(100)..];
                out.record(LOSS, (step + 1) as f64, mean(losses.drain(..)).unwrap_or(f64::NAN));
                out.record(TEST, (step + 1) as f64, tested);
                out.record(NORM, (step + 1) as f64, mean(last.iter().copied()).unwrap_or(f64::NAN));
                out.record("megabytes up", (step + 1) as f64, sent[0]);
                out.record("megabytes down", (step + 1) as f64, sent[1]);
            }
        }
        out.record(ESCAPE, 0.0, escaped.unwrap_or(steps) as f64);
        Ok(())
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
        let row = |metric: &'static str, y: &'static str| {
            GROUPS.into_iter().map(move |group| {
                Panel::of(results, group, metric, Axis::linear("step"), Axis::log(y)).titled(format!("{group}: {y}"))
            })
        };
        Figure::new(3, row(TEST, "test loss").chain(row(NORM, "gradient norm, last 100 steps")).collect())
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table =
            Table::new("Plateau and end", &["compressor", "noise", "steps on the plateau", "last test loss"]);
        for (group, curve) in GROUPS.into_iter().flat_map(|g| [(g, QUIET), (g, NOISY)]) {
            let cells = [results.last(group, curve, ESCAPE), results.last(group, curve, TEST)];
            let cells = cells.map(|c| c.map_or("–".into(), short));
            table.rows.push([group.into(), curve.into()].into_iter().chain(cells).collect());
        }
        vec![table]
    }
}

/// What the mean squared error is multiplied by: with 1 a step of 0.1 moves next to nothing, with the
/// number of pixels (the sum of the squares) the outputs are all black after a few steps and stay so.
const WEIGHT: f64 = 20.0;
