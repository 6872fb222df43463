//! What the two logistic experiments of Fatkhullin et al. (2023) share.

use std::sync::Arc;

use super::vector::{Descent, Length};
use crate::error::ReproduceError;
use crate::experiment::{Scale, Setup, Table};
use crate::figure::{Axis, Panel};
use crate::problems::{Rows, SoftmaxRegression};
use crate::record::metric::{MEGABYTES_UP, SQUARED_GRADIENT};
use crate::record::{Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary};
use crate::words::short;
use backburn_train::data::Partition;
use backburn_train::data::catalog::{self, Entry, Location, Part};

const SAMPLES: Metric = Metric::new("samples a worker");
pub(crate) const LAMBDA: f64 = 1e-3;
/// R of NEOLITHIC.
const ROUNDS: usize = 4;
/// What is judged: the mean over so much of a run's end.
pub(crate) const LATE: f64 = 0.25;

/// A method of the poster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Sgd,
    Ef14,
    Ef21,
    Sgdm,
    Sgd2m,
    Neolithic,
    Beer,
}

impl Method {
    pub const ALL: [Self; 7] =
        [Self::Sgd, Self::Ef14, Self::Ef21, Self::Sgdm, Self::Sgd2m, Self::Neolithic, Self::Beer];

    pub fn name(self) -> CurveName {
        CurveName::new(match self {
            Self::Sgd => "SGD",
            Self::Ef14 => "EF14-SGD",
            Self::Ef21 => "EF21-SGD",
            Self::Sgdm => "EF21-SGDM",
            Self::Sgd2m => "EF21-SGD2M",
            Self::Neolithic => "NEOLITHIC",
            Self::Beer => "BEER",
        })
    }

    /// Workers, at least: a lone node has nobody to gossip with.
    pub fn needs(self) -> usize {
        if self == Self::Beer { 2 } else { 1 }
    }

    /// As text; α is what the compressor keeps, of which BEER's gossip step is a multiple, and η the weights of single
    /// and double momentum.
    fn form(self, alpha: f64, [single, double]: [f64; 2]) -> String {
        match self {
            Self::Sgd => "sgd".into(),
            Self::Ef14 => "ef-sgd".into(),
            Self::Ef21 => "ef21-sgd".into(),
            Self::Sgdm => format!("ef21-sgdm:eta={single}"),
            Self::Sgd2m => format!("ef21-sgd2m:eta={double}"),
            Self::Neolithic => format!("neolithic:rounds={ROUNDS}"),
            Self::Beer => format!("beer:gossip={},graph=complete", (5.0 * alpha).min(0.4)),
        }
    }

    /// Each seed's mean squared gradient norm over the end of its run.
    pub fn late(self, results: &Results, group: GroupName) -> Option<Seeds> {
        results.seeds(group, self.name(), SQUARED_GRADIENT, Summary::Tail(LATE))
    }

    /// The same over the last points before so many megabytes were sent by a worker.
    pub fn at(self, results: &Results, group: GroupName, budget: f64) -> Option<Seeds> {
        let sent = results.series(group, self.name(), MEGABYTES_UP);
        let values = results.series(group, self.name(), SQUARED_GRADIENT);
        let of = |(seed, points): &(u64, Vec<(f64, f64)>)| {
            let sent = &sent.iter().find(|(other, _)| other == seed)?.1;
            let within = |x: f64| sent.iter().any(|(at, sent)| *at == x && *sent <= budget);
            let kept: Vec<(f64, f64)> = points.iter().copied().filter(|(x, v)| v.is_infinite() || within(*x)).collect();
            Some((*seed, Summary::Tail(LATE).of(&kept)?))
        };
        (!values.is_empty()).then(|| values.iter().map(of).collect::<Option<Seeds>>())?
    }
}

/// The most that every compressed method of a group has sent, in megabytes a worker.
pub(crate) fn budget(results: &Results, group: GroupName) -> Option<f64> {
    let compressed = Method::ALL.into_iter().filter(|method| *method != Method::Sgd);
    let sent = compressed.filter_map(|m| Some(results.seeds(group, m.name(), MEGABYTES_UP, Summary::Last)?.least()));
    sent.min_by(f64::total_cmp)
}

/// The exponents of two of the step sizes for [`Method::ALL`].
pub(crate) type Steps = [i32; 7];

/// What a report says of the step sizes.
pub(crate) const STEP_SIZES: &str =
    "1 for every method; with --tune the best power of two from 2^-4 to 2^3 for every method and panel";

pub(crate) fn curves(
    group: GroupName,
    (workers, batch): (usize, usize),
    (k, alpha, eta): (usize, f64, [f64; 2]),
    steps: Steps,
    cost: f64,
) -> impl Iterator<Item = Curve> {
    let methods = Method::ALL.into_iter().zip(steps).filter(move |(method, _)| method.needs() <= workers);
    methods.map(move |(method, exponent)| {
        let compressor = if method == Method::Sgd { "identity".into() } else { format!("topk:k={k}") };
        let cost = if method == Method::Neolithic { ROUNDS as f64 * cost } else { cost };
        let lr = 2f64.powi(exponent);
        Curve { workers, batch, cost, ..Curve::new(group, method.name(), &method.form(alpha, eta), &compressor, lr) }
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
    out: &mut Recorder,
) -> Result<(), ReproduceError> {
    let problem = data.problem(partition, curve, seed)?;
    let start = vec![0.0; data.rows.features() * data.classes];
    let samples = curve.batch * if curve.name == Method::Neolithic.name() { ROUNDS } else { 1 };
    Descent::new(curve, &problem, seed, start, length, SQUARED_GRADIENT).run(out, |simulation, step, out| {
        out.record(SQUARED_GRADIENT, step, simulation.squared_gradient());
        out.record(SAMPLES, step, step * samples as f64);
    })
}

/// Every method's level in these groups.
pub(crate) fn table(results: &Results, title: String, groups: &[(String, GroupName)]) -> Table {
    let mut table = Table::new(title, &["method"]);
    table.head.extend(groups.iter().map(|(head, _)| head.clone()));
    for method in Method::ALL {
        let cell = |(_, group): &(String, GroupName)| {
            let late = if results.has(*group, method.name()) { method.late(results, *group) } else { None };
            late.map_or("–".into(), |seeds| short(seeds.mean()))
        };
        table.rows.push(std::iter::once(method.name().into()).chain(groups.iter().map(cell)).collect());
    }
    table
}

/// A group's two panels: against what was sent, and against samples.
pub(crate) fn panels(results: &Results, group: GroupName) -> [Panel; 2] {
    let y = || Axis::log("squared gradient norm");
    [
        Panel::against(results, group, SQUARED_GRADIENT, MEGABYTES_UP, Axis::log("megabytes sent by a worker"), y()),
        Panel::against(results, group, SQUARED_GRADIENT, SAMPLES, Axis::linear("samples a worker"), y()),
    ]
}
