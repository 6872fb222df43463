//! Figure 2 of Karimireddy et al. (2019): how dense gradients and error-corrected gradients are.

use backburn_compress::{Memo, Scope};
use backburn_optim::{Role, Vector, Visitor, device};
use burn::optim::GradientsParams;

use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Scale, Setup};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::advance::{End, advance, finite, record_bytes};
use crate::loops::single::{Found, Single};

use crate::record::metric::TRAIN_LOSS;
use crate::record::{Claim, Curve, Metric, Recorder, Results};
use crate::words::short;
use backburn_train::models::ModelKind;
use backburn_train::session::{MeanBytes, Schedule, Session};

pub(super) struct Density;

const GROUP: &str = "EF-signSGD, batch 128";
const EF: &str = "EF-signSGD";
const PLAIN: Metric = Metric::new("density of g");
const COORDINATES: Metric = Metric::new("coordinates");
const CORRECTED: Metric = Metric::new("density of g + e");

/// φ(v) = ‖v‖₁²/(d‖v‖₂²), 1 of zero.
fn density(v: &[f32]) -> f64 {
    let (sum, squares) = v.iter().fold((0.0, 0.0), |(s, q), v| (s + f64::from(v.abs()), q + f64::from(*v).powi(2)));
    if squares == 0.0 { 1.0 } else { sum * sum / (v.len() as f64 * squares) }
}

/// Takes the residual of the only worker.
#[derive(Default)]
struct Owed(Vector);

impl Visitor for Owed {
    fn vector(&mut self, _: &str, role: Role, x: &mut Vector) {
        if role == Role::Residual {
            self.0.clone_from(x);
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}
}

impl Density {
    fn model(setup: &Setup) -> ModelKind {
        setup.scale.pick(ModelKind::ConvNet, ModelKind::ConvNet, ModelKind::Vgg19Bn)
    }

    fn augmented(setup: &Setup) -> bool {
        setup.scale == Scale::Paper
    }

    fn steps(setup: &Setup) -> u64 {
        // 200 epochs of 50,000 images in batches of 128.
        setup.scale.pick(6, 600, 78_125)
    }
}

impl Experiment for Density {
    fn about(&self) -> About {
        About {
            name: "density",
            title: "How dense gradients and error-corrected gradients are while a network trains",
            source: "Karimireddy et al. 2019, §4, Figure 2, Lemma 8",
            claims: &["the density of g + e stays well above the worst case 1/d", "gradients themselves are dense"],
            time: ["2 min", "12 h"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        // One curve; what it records are two densities.
        vec![Curve { batch: 128, ..Curve::new(GROUP, EF, "ef-sgd:weight-decay=0.0005", "sign:scaled", 0.056) }]
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 3, 3)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("model", format!("{} on {}", Self::model(setup).name(), setup.image_set("cifar10"))),
            ("steps", Self::steps(setup).to_string()),
            ("augmentation", if Self::augmented(setup) { "crops (padding 4) and flips" } else { "none" }.into()),
            ("density", "of the whole model's vector; the compressor works by parameter".into()),
        ]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let split = setup.images("cifar10")?;
        let images = &split.train;
        let device = device(&setup.device)?.autodiff();
        let model = Self::model(setup).build(images.shape(), images.classes(), seed, &device)?;
        let (steps, schedule) = (Self::steps(setup), Schedule { lr: curve.lr, ..Schedule::default() });
        let every = (steps / 200).max(1);
        let worker = Single::new(model, curve, Scope::Parameter, images.len(), seed, |look| {
            let batch = images.batch(&look.draw.indices, Self::augmented(setup).then_some(look.draw.key), &device);
            let loss = look.model.loss(batch.images, batch.targets);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            let grads = GradientsParams::from_grads(loss.backward(), look.model);
            let g = look.places.flatten(look.model, grads)?;
            let densities = look.step.is_multiple_of(every).then(|| {
                let mut owed = Owed::default();
                look.cluster.visit(&mut owed);
                // e is in units of the step, so p = γg + e; φ does not see the scale.
                let p: Vector = g.vector.iter().zip(owed.0.iter()).map(|(g, e)| look.lr as f32 * g + e).collect();
                [density(&g.vector), density(if owed.0.is_empty() { &g.vector } else { &p })]
            });
            Ok(Found { loss: value, gradient: g, seen: densities })
        })?;
        let mut session = Session::new(worker, schedule, steps);
        let (end, _) = advance(&mut session, Some("checkpoint"), out, |session, step, _, out| {
            if let Some([plain, corrected]) = session.trains().seen().copied().flatten() {
                let x = step.number as f64;
                out.record(PLAIN, x, plain);
                out.record(CORRECTED, x, corrected);
                out.record(TRAIN_LOSS, x, finite(step.loss));
                out.record(COORDINATES, x, session.trains().dimension() as f64);
                // What was sent before the step.
                let MeanBytes { up, down } = session.so_far().bytes;
                let before = MeanBytes { up: up - step.bytes.up, down: down - step.bytes.down };
                record_bytes(before, x, out);
            }
            Ok(())
        })?;
        if end == End::Diverged {
            let taken = session.progress().0;
            (taken..steps).filter(|step| step.is_multiple_of(every)).for_each(|step| {
                out.record(TRAIN_LOSS, step as f64, f64::INFINITY);
            });
        }
        Ok(())
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let source = format!("{FIXES}, Figure 2");
        let of = |metric| results.smallest(GROUP, EF, metric).into_iter().min_by(f64::total_cmp);
        vec![
            Claim::judge(
                "The density of the error-corrected gradient stays far above the worst case 1/d",
                &source,
                "the smallest density of g + e over steps and seeds at least 0.13, as in the paper",
                || {
                    let d = results.last(GROUP, EF, COORDINATES)?;
                    let least = of(CORRECTED)?;
                    Some((least >= 0.13, format!("{}, 1/d = {}", short(least), short(1.0 / d))))
                },
            ),
            Claim::judge(
                "Gradients of deep networks are dense: far from the worst case 1/d",
                &format!("{FIXES}, §4, after Lemma 8"),
                "the smallest density of g over steps and seeds at least 100/d",
                || {
                    let d = results.last(GROUP, EF, COORDINATES)?;
                    let least = of(PLAIN)?;
                    Some((least >= 100.0 / d, format!("{}, 100/d = {}", short(least), short(100.0 / d))))
                },
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let line = |metric: Metric| {
            let panel = Panel::of(results, GROUP, metric, Axis::default(), Axis::default());
            panel.lines.into_iter().map(|line| crate::figure::Line { label: metric.into(), ..line }).collect::<Vec<_>>()
        };
        let lines = [line(PLAIN), line(CORRECTED)].concat();
        let densities =
            Panel { title: "density".into(), x: Axis::linear("step"), y: Axis::linear("density phi"), lines };
        let loss = Panel::of(results, GROUP, TRAIN_LOSS, Axis::linear("step"), Axis::log("train loss"));
        Figure::new(2, vec![densities, loss.titled("train loss")])
    }
}
