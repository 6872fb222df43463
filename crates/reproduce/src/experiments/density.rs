//! Figure 2 of Karimireddy et al. (2019): how dense gradients and error-corrected gradients are.

use backburn_compress::Scope;
use backburn_optim::Vector;
use burn::optim::GradientsParams;

use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Scale, Setup};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::advance::{End, advance, finite, record_bytes};
use crate::loops::owed::{Norms, Owed};
use crate::loops::single::{Found, Single};
use crate::record::judge::{Bound, Paired};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::metric::TRAIN_LOSS;
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary};
use backburn_train::models::ModelKind;
use backburn_train::session::{Schedule, Session};

pub(super) struct Density;

const GROUP: GroupName = GroupName::new("EF-signSGD, batch 128");
const CONSTANT: CurveName = CurveName::new("fixed step");
const DROPPED: CurveName = CurveName::new("step divided by 10");
/// By layer, a mean over the epoch.
const PLAIN: Metric = Metric::new("density of g");
const CORRECTED: Metric = Metric::new("density of g + e");
/// A mean over so many steps as the paper's epochs have: 50,000 images in batches of 128.
const LONG: Metric = Metric::new("density of g + e over 390 steps");
const LONG_STEPS: u64 = 390;
/// φ of the whole vector g + e: another quantity.
const WHOLE: Metric = Metric::new("density of g + e as one vector");
/// [`PLAIN`] times d: 1 in the worst case.
const OVER_WORST: Metric = Metric::new("density of g over 1/d");
/// Of the last epoch before the first drop of γ, and of the first after it.
const BEFORE: Metric = Metric::new("density of g + e before the drop");
const AFTER: Metric = Metric::new("density of g + e after the drop");

/// Σ_l ‖v_l‖₁²/d_l / Σ_l ‖v_l‖² over the layers, 1 of zero: the share of ‖v‖² that the scaled sign of each
/// layer takes, which is the contraction that Lemma 3 needs.
fn by_layer(v: &[f32], layers: impl Iterator<Item = std::ops::Range<usize>>) -> f64 {
    let (mut taken, mut all) = (0.0, 0.0);
    for layer in layers {
        let norms = Norms::of(v[layer].iter().copied());
        taken += norms.density() * norms.square;
        all += norms.square;
    }
    if all == 0.0 { 1.0 } else { taken / all }
}

impl Density {
    fn model(setup: &Setup) -> ModelKind {
        setup.scale.pick(ModelKind::ConvNet, ModelKind::ConvNet, ModelKind::Vgg19Bn)
    }

    fn augmented(setup: &Setup) -> bool {
        setup.scale == Scale::Paper
    }

    fn steps(setup: &Setup, curve: CurveName) -> u64 {
        // 200 epochs of 50,000 images in batches of 128.
        setup.scale.pick(60, if curve == CONSTANT { 780 } else { 400 }, 78_125)
    }
}

impl Experiment for Density {
    fn about(&self) -> About {
        About {
            name: "density",
            title: "How dense gradients and error-corrected gradients are while a network trains",
            source: "Karimireddy et al. 2019, §4, Figure 2, Lemma 8",
            claims: &[
                "the density of g + e by layer, a mean over the paper's epoch, stays above 0.13",
                "gradients themselves are dense",
                "the density dips where the step size drops",
            ],
            time: ["4 min", "1 day"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        // What a curve records are several densities.
        let of =
            |name| Curve { batch: 128, ..Curve::new(GROUP, name, "ef-sgd:weight-decay=0.0005", "sign:scaled", 0.056) };
        vec![of(CONSTANT), of(DROPPED)]
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 8, 3)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let [fixed, dropped] = [CONSTANT, DROPPED].map(|curve| Self::steps(setup, curve));
        vec![
            ("model", format!("{} on {}", Self::model(setup).name(), setup.image_set("cifar10"))),
            ("steps", format!("{fixed}; {dropped} where the step size is divided by 10 at half and three quarters")),
            ("augmentation", if Self::augmented(setup) { "crops (padding 4) and flips" } else { "none" }.into()),
            ("density", "sum of ||p_l||_1^2/d_l over sum of ||p_l||^2 over the layers; a mean over each epoch, and over the 390 steps of the paper's".into()),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        let mut list = vec!["The paper does not say whether its density is by layer, nor over what it is a mean: by layer it is the contraction that its Lemma 3 needs, and by epoch its figure has as many points as it has.".into()];
        if setup.scale != Scale::Paper {
            list.push("A small network without batch normalisation instead of VGG-19, few images, no augmentation. A pass over them has 16 steps, where an epoch of the paper has 390: means are over either. The paper's step size drops; here the minimum is that of a fixed one, and the dip after a drop is a claim of its own.".into());
        }
        list
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let split = setup.images("cifar10")?;
        let images = &split.train;
        let device = setup.device.device()?.autodiff();
        let model = Self::model(setup).build(images.shape(), images.classes(), seed, &device)?;
        let schedule = match curve.name == CONSTANT {
            true => Schedule::constant(curve.lr),
            false => Schedule { lr: curve.lr, ..Schedule::default() },
        };
        let steps = Self::steps(setup, curve.name);
        let worker = Single::new(model, curve, Scope::Parameter, images.len(), seed, |look| {
            let batch = images.batch(&look.draw.indices, Self::augmented(setup).then_some(look.draw.key), &device);
            let loss = look.model.loss(batch.images, batch.targets);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            let grads = GradientsParams::from_grads(loss.backward(), look.model);
            let g = look.places.flatten(look.model, grads)?;
            let mut owed = Owed::default();
            look.cluster.visit(&mut owed);
            let layout = look.cluster.layout();
            let layers = || layout.parameters().iter().map(|parameter| parameter.range.clone());
            // e is in units of the step, so p = γg + e; φ does not see the scale.
            let p: Vector = match owed.0.is_empty() {
                true => g.vector.clone(),
                false => Vector::sum(look.lr as f32, &g.vector, 1.0, &owed.0),
            };
            let whole = Norms::of(p.as_slice().iter().copied()).density();
            let seen = [by_layer(g.vector.as_slice(), layers()), by_layer(p.as_slice(), layers()), whole];
            Ok(Found { loss: value, gradient: g, seen })
        })?;
        let epoch = (images.len() as u64 / curve.batch as u64).max(1);
        // Where γ drops first, in epochs that begin there.
        let drop = steps / 2;
        let mut session = Session::new(worker, schedule, steps);
        let (end, _) = advance(&mut session, Some("checkpoint"), out, |session, step, sums, out| {
            let d = session.trains().dimension() as f64;
            let Some([plain, corrected, whole]) = session.trains().seen().copied() else { return Ok(()) };
            let taken = step.number + 1;
            [(PLAIN, plain), (CORRECTED, corrected), (WHOLE, whole), (TRAIN_LOSS, step.loss)]
                .iter()
                .for_each(|(metric, value)| sums.average(metric.name(), *value));
            if taken.is_multiple_of(epoch) || taken == steps {
                let x = taken as f64 / epoch as f64;
                for metric in [PLAIN, CORRECTED, WHOLE] {
                    let mean = sums.take_average(metric.name());
                    out.record(metric, x, mean);
                    if metric == PLAIN {
                        out.record(OVER_WORST, x, d * mean);
                    }
                }
                out.record(TRAIN_LOSS, x, finite(sums.take_average(TRAIN_LOSS.name())));
                record_bytes(session.so_far().bytes, x, out);
            }
            sums.average(LONG.name(), corrected);
            if taken.is_multiple_of(LONG_STEPS) || taken == steps && steps < LONG_STEPS {
                out.record(LONG, taken as f64 / epoch as f64, sums.take_average(LONG.name()));
            }
            let near = epoch.min(drop);
            for (metric, from) in [(BEFORE, drop - near), (AFTER, drop)] {
                if (from..from + near).contains(&step.number) {
                    sums.average(metric.name(), corrected);
                    if taken == from + near {
                        out.record(metric, 0.0, sums.take_average(metric.name()));
                    }
                }
            }
            Ok(())
        })?;
        if end == End::Diverged {
            let taken = session.progress().0;
            (taken + 1..=steps).filter(|taken| taken.is_multiple_of(epoch) || *taken == steps).for_each(|taken| {
                out.record(TRAIN_LOSS, taken as f64 / epoch as f64, f64::INFINITY);
            });
        }
        Ok(())
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let figure = format!("{FIXES}, Figure 2");
        let of = |curve: CurveName, metric, summary| results.seeds(GROUP, curve, metric, summary);
        let pair = |curve| of(curve, AFTER, Summary::Last).zip(of(curve, BEFORE, Summary::Last));
        let fall = pair(DROPPED).and_then(|(after, before): (Seeds, Seeds)| after.over(&before));
        vec![
            Claim::about(
                "The density of the error-corrected gradient, by layer, stays above 0.13 over every 390 steps, an epoch of the paper",
                &figure,
            )
            .part("", Bound::at_least("smallest mean, fixed step", 0.13), of(CONSTANT, LONG, Summary::Least))
            .judged(),
            Claim::about(
                "On a small set, of which the paper says nothing: over every pass of it too, which is 16 steps",
                "ours, on Figure 2",
            )
            .part("", Bound::at_least("smallest mean, fixed step", 0.13), of(CONSTANT, CORRECTED, Summary::Least))
            .judged(),
            Claim::about(
                "Gradients of deep networks are dense: far from the worst case 1/d",
                format!("{FIXES}, §4, after Lemma 8"),
            )
            .part(
                "",
                Bound::at_least("smallest mean of an epoch over 1/d", 100.0),
                of(CONSTANT, OVER_WORST, Summary::Least),
            )
            .judged(),
            Claim::about(
                "Where the step size drops the density dips, since what is owed is of the old step",
                "ours, on Figure 2",
            )
            .part(
                "mean of the epoch after the drop, and of that before",
                Paired::below("density of g + e"),
                pair(DROPPED),
            )
            .part(
                "their ratio less that at a fixed step",
                Bound::at_most("difference", 0.0),
                pair(CONSTANT)
                    .and_then(|(after, before)| after.over(&before))
                    .and_then(|fixed| fall?.with(&fixed, |a, b| a - b)),
            )
            .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let made = Made::default()
            .with(GROUP, CONSTANT, CORRECTED, &steady(0.14))
            .with(GROUP, CONSTANT, LONG, &steady(0.2))
            .with(GROUP, CONSTANT, OVER_WORST, &steady(3000.0))
            .with(GROUP, CONSTANT, BEFORE, &steady(0.15))
            .with(GROUP, CONSTANT, AFTER, &steady(0.15))
            .with(GROUP, DROPPED, BEFORE, &steady(0.15))
            .with(GROUP, DROPPED, AFTER, &steady(0.05));
        let with = |curve: CurveName, metric, values: &[f64]| made.clone().with(GROUP, curve, metric, values);
        vec![
            made.all_hold(),
            with(CONSTANT, LONG, &steady(0.1)).fails("The density"),
            with(CONSTANT, LONG, &torn(0.1, 0.165)).undecided("The density"),
            with(CONSTANT, CORRECTED, &steady(0.1)).fails("On a small set"),
            with(CONSTANT, CORRECTED, &torn(0.1, 0.165)).undecided("On a small set"),
            with(CONSTANT, OVER_WORST, &steady(10.0)).fails("Gradients"),
            with(CONSTANT, OVER_WORST, &torn(0.0, 210.0)).undecided("Gradients"),
            with(DROPPED, AFTER, &steady(0.2)).fails("Where the step"),
            with(DROPPED, AFTER, &torn(0.05, 0.24)).undecided("Where the step"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let epoch = || Axis::linear("epoch");
        let panel = |metric: Metric, y: Axis| Panel::of(results, GROUP, metric, epoch(), y).titled(metric);
        let density = || Axis::linear("density phi");
        Figure::new(
            2,
            vec![
                panel(CORRECTED, density()),
                panel(PLAIN, density()),
                panel(WHOLE, density()),
                panel(TRAIN_LOSS, Axis::log("train loss")),
            ],
        )
    }
}
