//! What the two logistic experiments of Fatkhullin et al. (2023) share.

use std::sync::Arc;

use super::vector::{Length, simulate};
use crate::error::ReproduceError;
use crate::experiment::{Scale, Setup};
use crate::figure::{Axis, Panel};
use crate::problems::{Rows, SoftmaxRegression};
use crate::record::metric::{MEGABYTES_UP, SQUARED_GRADIENT};
use crate::record::{Curve, Metric, Recorder, Results};
use backburn_train::data::Partition;
use backburn_train::data::catalog::{self, Entry, Location, Part};

const SAMPLES: Metric = Metric::new("samples a worker");
pub(crate) const LAMBDA: f64 = 1e-3;
/// R of NEOLITHIC.
const ROUNDS: usize = 4;

/// What a report says of the step sizes.
pub(crate) const STEP_SIZES: &str =
    "one power of two a method, whatever the batch, n and data; with --tune the best power of two for every curve";

/// The methods, each with one step size for all settings. `--tune` gives every curve its own.
pub(crate) fn methods() -> [(&'static str, String, f64); 7] {
    [
        ("SGD", "sgd".into(), 1.0),
        ("EF14-SGD", "ef-sgd".into(), 1.0),
        ("EF21-SGD", "ef21-sgd".into(), 0.25),
        ("EF21-SGDM", "ef21-sgdm:eta=0.1".into(), 0.25),
        ("EF21-SGD2M", "ef21-sgd2m:eta=0.1".into(), 0.25),
        ("NEOLITHIC", format!("neolithic:rounds={ROUNDS}"), 1.0),
        ("BEER", "beer".into(), 0.125),
    ]
}

pub(crate) fn curves(group: String, workers: usize, batch: usize, k: usize, cost: f64) -> impl Iterator<Item = Curve> {
    let methods = methods().into_iter().filter(move |(name, ..)| workers > 1 || *name != "BEER");
    methods.map(move |(name, algorithm, lr)| {
        let compressor = if name == "SGD" { "identity".into() } else { format!("topk:k={k}") };
        let cost = if name == "NEOLITHIC" { ROUNDS as f64 * cost } else { cost };
        Curve { workers, batch, cost, ..Curve::new(group.clone(), name, &algorithm, &compressor, lr) }
    })
}

/// Rows and labels of one set.
#[derive(Clone, Debug)]
pub(crate) struct Labelled {
    pub rows: Rows,
    pub labels: Arc<Vec<u8>>,
    pub classes: usize,
}

impl Labelled {
    /// The training images of `published` or its stand-in; at small scale so many, in blocks of
    /// 2 × 2 pixels.
    pub fn images(setup: &Setup, published: &'static str) -> Result<Arc<Self>, ReproduceError> {
        let split = setup.images(published)?;
        setup.shared(&format!("rows {}", setup.image_set(published)), || {
            let (count, pool) = setup.scale.pick((200, 4), (2000, 2), (usize::MAX, 1));
            let chosen: Vec<usize> = (0..split.train.len().min(count)).collect();
            let train = split.train.subset(&chosen);
            let rows = Rows::of_images(&train, pool);
            Ok(Self { rows, labels: Arc::new(train.labels().to_vec()), classes: train.classes() })
        })
    }

    /// A published set of rows from the data directory or the cache; `None` where it is not there.
    pub fn rows(setup: &Setup, name: &str) -> Result<Option<Arc<Self>>, ReproduceError> {
        let Some((entry, location)) = rows_at(setup, name) else {
            return Ok(None);
        };
        let labelled = setup.shared(&format!("rows of {name}"), || {
            let rows = entry.read_rows(Part::Train, &location)?;
            let labels = rows.labels().iter().map(|l| u8::from(*l > 0.0)).collect();
            Ok(Self { rows: Rows::Sparse(Arc::new(rows)), labels: Arc::new(labels), classes: 2 })
        })?;
        Ok(Some(labelled))
    }

    fn problem(&self, partition: Partition, curve: &Curve, seed: u64) -> Result<SoftmaxRegression, ReproduceError> {
        let shards = Arc::new(partition.split(&self.labels, curve.workers, seed)?);
        Ok(SoftmaxRegression::new(self.rows.clone(), self.labels.clone(), self.classes, shards, curve.batch, LAMBDA))
    }
}

/// Where the training rows of a published set lie; the smallest form looks nowhere.
pub(crate) fn rows_at(setup: &Setup, name: &str) -> Option<(&'static Entry, Location)> {
    if setup.scale == Scale::Smoke {
        return None;
    }
    let entry = catalog::find(name)?;
    Some((entry, entry.locate_part(Part::Train, &setup.data)?))
}

pub(crate) fn run(
    data: &Labelled,
    partition: Partition,
    curve: &Curve,
    seed: u64,
    length: Length,
    out: &mut Recorder<'_>,
) -> Result<(), ReproduceError> {
    let problem = data.problem(partition, curve, seed)?;
    let start = vec![0.0; data.rows.features() * data.classes];
    let (lr, batch) = (curve.lr, curve.batch);
    let draws = if curve.name == "NEOLITHIC" { ROUNDS } else { 1 };
    simulate(
        curve,
        &problem,
        seed,
        start,
        length,
        move |_| lr,
        SQUARED_GRADIENT,
        out,
        |simulation, step, out| {
            out.record(SQUARED_GRADIENT, step, simulation.squared_gradient());
            out.record(SAMPLES, step, step * (batch * draws) as f64);
        },
    )
}

/// A group's two panels: against what was sent, and against samples.
pub(crate) fn panels(results: &Results, group: &str) -> [Panel; 2] {
    let y = || Axis::log("squared gradient norm");
    [
        Panel::against(results, group, SQUARED_GRADIENT, MEGABYTES_UP, Axis::log("megabytes sent by a worker"), y()),
        Panel::against(results, group, SQUARED_GRADIENT, SAMPLES, Axis::linear("samples a worker"), y()),
    ]
}
