//! Recorded runs, replayed through the same code that training uses.
//!
//! A [`Case`] holds a method, a compressor, step sizes, every worker's gradients at every step and,
//! where they were worked out by somebody else, the iterates. [`run`] puts it through a
//! [`Group`] on a Burn module on any device, [`run_flat`] through a [`Cluster`].

use backburn_compress::TextError;
use backburn_compress::{AnyCompressor, Layout, Memo, Scope};
use backburn_optim::{
    AnyAlgorithm, Ask, Cluster, Group, GroupConfig, ModuleHost, Move, Places, Reply, Role, RoundError, SetupError,
    Traffic, Vector, Visitor, device,
};
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Shape, Tensor, TensorData};
use serde::{Deserialize, Serialize};

#[path = "replay_local.rs"]
mod local;

/// One recorded run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Case {
    /// Names it.
    pub id: String,
    /// `{"name": …}` and the method's options.
    pub method: Options,
    /// `{"kind": …}` and the compressor's options; `scope`: `global` or `parameter`.
    pub compressor: Options,
    /// γ_t of every step.
    pub lr: Vec<f64>,
    /// The parameters at the start.
    pub x0: Vec<Array>,
    /// The gradients, by step, worker and parameter: the same wherever x is.
    pub trace: Vec<Vec<Vec<Array>>>,
    /// Added to the gradients.
    #[serde(default)]
    pub noise: Option<Vec<Vec<Vec<Array>>>>,
    /// x_0 … x_T as they ought to be.
    #[serde(default)]
    pub iterates: Option<Vec<Vec<Array>>>,
}

/// A JSON object of names and plain values.
pub type Options = serde_json::Map<String, serde_json::Value>;

/// Nested lists of numbers, of one shape.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Array {
    /// A number.
    Number(f64),
    /// A list.
    List(Vec<Array>),
}

impl Array {
    /// Nested lists of this shape.
    pub fn new(values: &[f32], shape: &[usize]) -> Self {
        match shape {
            [] => Self::Number(values.first().copied().map_or(f64::NAN, f64::from)),
            [n, rest @ ..] => {
                Self::List(values.chunks((values.len() / n).max(1)).map(|v| Self::new(v, rest)).collect())
            }
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::List(items) => {
                std::iter::once(items.len()).chain(items.first().map_or(vec![], Self::shape)).collect()
            }
        }
    }

    /// Appends all numbers; `None` where the lists are not of this shape.
    fn read(&self, shape: &[usize], out: &mut Vec<f64>) -> Option<()> {
        match (self, shape) {
            (Self::Number(x), []) => out.push(*x),
            (Self::List(items), [n, rest @ ..]) if items.len() == *n => {
                items.iter().try_for_each(|item| item.read(rest, out))?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// Why a case was not run to its end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// A method, a compressor or an option that this build does not have.
    #[error("{0}")]
    Unsupported(String),
    /// Lists of other lengths or shapes than the case needs.
    #[error("{0}")]
    Malformed(String),
    /// The run failed.
    #[error(transparent)]
    Round(#[from] RoundError),
}

impl From<SetupError> for ReplayError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Compressor(_) => Self::Unsupported(error.to_string()),
            _ => Self::Malformed(error.to_string()),
        }
    }
}

impl From<TextError> for ReplayError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Unknown { .. } | TextError::Refused(_) => Self::Unsupported(error.to_string()),
            _ => Self::Malformed(error.to_string()),
        }
    }
}

/// What a replay came to, as it is printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// The case's.
    pub id: String,
    /// What was computed.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Replayed {
    /// Whether the case ran, and agrees with its iterates where it has any. Unsupported cases are
    /// neither right nor wrong, and count as agreeing.
    pub fn agrees(&self) -> bool {
        match &self.outcome {
            Outcome::Ran(ran) => ran.agrees,
            Outcome::Unsupported { .. } => true,
            Outcome::Failed { .. } => false,
        }
    }
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It ran.
    Ran(Ran),
    /// It needs something that this build does not have.
    Unsupported {
        /// What.
        unsupported: String,
    },
    /// It is malformed or its run failed.
    Failed {
        /// Why.
        error: String,
    },
}

/// A run's results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ran {
    /// x_0 … x_T; under gossip node 0's.
    pub iterates: Vec<Vec<Array>>,
    /// Bytes that the workers sent, over all workers and steps.
    pub bytes_up: u64,
    /// Bytes that reached the workers from a server, or from their neighbours.
    pub bytes_down: u64,
    /// ‖e_i‖₂ of every worker at the end.
    pub residual_norms: Vec<f64>,
    /// The largest difference from the case's iterates, where it has any; the largest number there is where
    /// an iterate is none.
    pub max_error: Option<f64>,
    /// Whether every difference is within [`tolerance`].
    #[serde(skip)]
    pub agrees: bool,
}

/// How far a value may lie from the recorded one: 1e-5 + 1e-4·|y|.
pub fn tolerance(y: f64) -> f64 {
    1e-5 + 1e-4 * y.abs()
}

/// Reads a JSON array of cases; one that is malformed does not keep the others from running.
pub fn read(json: &str) -> Result<Vec<Result<Case, Replayed>>, serde_json::Error> {
    let cases: Vec<serde_json::Value> = serde_json::from_str(json.trim_start_matches('\u{feff}'))?;
    let case = |(i, case): (usize, serde_json::Value)| {
        let id = case.get("id").and_then(|id| id.as_str()).map_or_else(|| format!("case {i}"), str::to_string);
        let failed = |e: serde_json::Error| Replayed { id, outcome: Outcome::Failed { error: e.to_string() } };
        serde_json::from_value(case).map_err(failed)
    };
    Ok(cases.into_iter().enumerate().map(case).collect())
}

/// Replays a case through a [`Group`] on a Burn module on this device.
pub fn run(case: &Case, device: &Device) -> Replayed {
    replay(case, device, |setup, algorithm, compressor| OnModule::new(setup, algorithm, compressor, device))
}

/// Replays a case on flat vectors, or where an optimizer steps between rounds on a module on the CPU.
pub fn run_flat(case: &Case) -> Replayed {
    let device = device("auto").unwrap_or_default();
    replay(case, &device, OnVectors::new)
}

/// What a case comes to as numbers.
struct Setup {
    shapes: Vec<Vec<usize>>,
    scope: Scope,
    workers: usize,
    x0: Vector,
    /// By round, and within it by step and worker.
    gradients: Vec<Vec<Vector>>,
    iterates: Option<Vec<Vec<f64>>>,
    /// The first Q of every parameter, transposed; empty where the case has none.
    q0: Vec<Vec<f32>>,
}

/// Something that takes steps.
trait Runner {
    fn step(&mut self, lr: f64, gradients: &[Vector]) -> Result<Traffic, ReplayError>;
    fn x(&self) -> Vector;
    fn residual_norms(&mut self) -> Vec<f64>;
}

fn replay<R: Runner>(
    case: &Case,
    device: &Device,
    start: impl FnOnce(&Setup, AnyAlgorithm, AnyCompressor) -> Result<R, ReplayError>,
) -> Replayed {
    let outcome = match try_replay(case, device, start) {
        Ok(ran) => Outcome::Ran(ran),
        Err(ReplayError::Unsupported(unsupported)) => Outcome::Unsupported { unsupported },
        Err(error) => Outcome::Failed { error: error.to_string() },
    };
    Replayed { id: case.id.clone(), outcome }
}

fn try_replay<R: Runner>(
    case: &Case,
    device: &Device,
    start: impl FnOnce(&Setup, AnyAlgorithm, AnyCompressor) -> Result<R, ReplayError>,
) -> Result<Ran, ReplayError> {
    let compressor = compressor(&case.compressor)?;
    if let Some(own) = local::Local::of(&case.method)? {
        let setup = Setup::of(case, own.steps)?;
        let runner = local::OnLocal::new(&setup, own, compressor, device)?;
        return follow(case, &setup, runner);
    }
    let algorithm = method(&case.method)?;
    let setup = Setup::of(case, 1)?;
    let runner = start(&setup, algorithm, compressor)?;
    follow(case, &setup, runner)
}

fn follow<R: Runner>(case: &Case, setup: &Setup, mut runner: R) -> Result<Ran, ReplayError> {
    let mut xs = vec![runner.x()];
    let (mut bytes_up, mut bytes_down) = (0, 0);
    for (lr, gradients) in case.lr.iter().zip(&setup.gradients) {
        let traffic = runner.step(*lr, gradients)?;
        bytes_up += traffic.total().up;
        bytes_down += traffic.total().down;
        xs.push(runner.x());
    }
    let pairs = setup.iterates.iter().flat_map(|ys| xs.iter().zip(ys)).flat_map(|(x, y)| x.as_slice().iter().zip(y));
    let errors: Vec<(f64, f64)> = pairs.map(|(x, y)| ((f64::from(*x) - y).abs(), *y)).collect();
    Ok(Ran {
        iterates: xs.iter().map(|x| setup.nested(x.as_slice())).collect(),
        bytes_up,
        bytes_down,
        residual_norms: runner.residual_norms(),
        max_error: setup
            .iterates
            .as_ref()
            .map(|_| errors.iter().fold(0.0, |most, (e, _)| if e.is_finite() { e.max(most) } else { f64::MAX })),
        agrees: errors.iter().all(|(e, y)| *e <= tolerance(*y)),
    })
}

impl Setup {
    /// With the gradients of so many steps to a round.
    fn of(case: &Case, steps: usize) -> Result<Self, ReplayError> {
        let shapes: Vec<Vec<usize>> = case.x0.iter().map(Array::shape).collect();
        if shapes.is_empty() || shapes.iter().any(|shape| shape.contains(&0)) {
            return Err(ReplayError::Malformed("`x0` must hold at least one parameter, and none may be empty".into()));
        }
        let flat = |arrays: &[Array], what: &str| -> Result<Vec<f64>, ReplayError> {
            let mut out = Vec::new();
            let fits = arrays.len() == shapes.len();
            let read = arrays.iter().zip(&shapes).try_for_each(|(a, shape)| a.read(shape, &mut out));
            read.filter(|()| fits).ok_or_else(|| ReplayError::Malformed(format!("{what} has not the shapes of x0")))?;
            Ok(out)
        };
        let workers = case.trace.first().map_or(0, Vec::len);
        if workers == 0 || case.trace.len() < case.lr.len() * steps || case.trace.iter().any(|t| t.len() != workers) {
            return Err(ReplayError::Malformed(
                "`trace` must hold every worker's gradients at every step of `lr`".into(),
            ));
        }
        let mut gradients = Vec::new();
        for (t, step) in case.trace.iter().enumerate().take(case.lr.len() * steps) {
            let mut flats = Vec::new();
            for (w, arrays) in step.iter().enumerate() {
                let mut g = flat(arrays, "`trace`")?;
                if let Some(noise) = &case.noise {
                    let noise = noise.get(t).and_then(|n| n.get(w)).map_or(&[][..], Vec::as_slice);
                    g.iter_mut().zip(flat(noise, "`noise`")?).for_each(|(g, n)| *g += n);
                }
                flats.push(g.into_iter().map(|g| g as f32).collect());
            }
            gradients.push(flats);
        }
        let gradients = gradients.chunks(steps).map(<[_]>::concat).collect();
        let q0 = q0(case, &shapes)?;
        let iterates = match &case.iterates {
            None => None,
            Some(xs) if xs.len() == case.lr.len() + 1 => {
                Some(xs.iter().map(|x| flat(x, "`iterates`")).collect::<Result<_, _>>()?)
            }
            Some(_) => return Err(ReplayError::Malformed("`iterates` must hold one more than `lr`".into())),
        };
        let scope = match case.compressor.get("scope") {
            None | Some(serde_json::Value::Null) => Scope::Parameter,
            Some(serde_json::Value::String(text)) => text.parse()?,
            Some(other) => return Err(ReplayError::Malformed(format!("`scope` is {other}, not a word"))),
        };
        let x0: Vec<f32> = flat(&case.x0, "`x0`")?.into_iter().map(|x| x as f32).collect();
        if let Some(at) = x0.iter().position(|x| !x.is_finite()) {
            return Err(ReplayError::Malformed(format!("coordinate {at} of `x0` is more than f32 holds")));
        }
        let x0 = Vector::from(x0);
        Ok(Self { shapes, scope, workers, x0, gradients, iterates, q0 })
    }

    /// Begins with the case's Q.
    fn begin(&self, cluster: &mut Cluster) {
        cluster.visit(&mut FirstQ(&self.q0));
    }

    fn nested(&self, x: &[f32]) -> Vec<Array> {
        let mut rest = x;
        let mut take = |shape: &Vec<usize>| {
            let (own, after) = rest.split_at(shape.iter().product());
            rest = after;
            Array::new(own, shape)
        };
        self.shapes.iter().map(&mut take).collect()
    }
}

/// The method of a recorded run: its name and options as our textual form.
fn method(options: &Options) -> Result<AnyAlgorithm, ReplayError> {
    let (name, mut words) = form(options, "name", &["q0", "betas"])?;
    for (i, beta) in options.get("betas").and_then(|b| b.as_array()).into_iter().flatten().enumerate() {
        words.push(format!("beta{}={beta}", i + 1));
    }
    let (name, flag) = match name.as_str() {
        "ef-sgd-outer" => ("ef-sgd", Some("outside")),
        name => (name, None),
    };
    if name == "ef21-sgd" {
        // Its v is the gradient itself.
        words.retain(|w| !w.starts_with("eta="));
    }
    // A flag is a bare word.
    words.retain(|w| !w.ends_with("=false"));
    words.iter_mut().for_each(|w| *w = w.strip_suffix("=true").unwrap_or(w).to_string());
    words.iter_mut().filter(|w| *w == "aggregate=majority-vote").for_each(|w| *w = "majority-vote".into());
    words.retain(|w| w != "aggregate=mean");
    parse(name, flag, words)
}

/// Puts these in the place of Dion's first Q.
struct FirstQ<'a>(&'a [Vec<f32>]);

impl Visitor for FirstQ<'_> {
    fn vector(&mut self, _: &str, _: Role, _: &mut Vector) {}

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        if name == "q" {
            memos.iter_mut().zip(self.0).for_each(|(memo, q)| memo.values.clone_from(q));
        }
    }
}

/// The first Q of Dion's matrices, columns × rank, transposed.
fn q0(case: &Case, shapes: &[Vec<usize>]) -> Result<Vec<Vec<f32>>, ReplayError> {
    let Some(given) = case.method.get("q0") else { return Ok(Vec::new()) };
    let malformed = || ReplayError::Malformed("`q0` must hold columns × rank numbers for every parameter".into());
    let given: Vec<Vec<Vec<f32>>> = serde_json::from_value(given.clone()).map_err(|_| malformed())?;
    let fits = |(q, shape): (&Vec<Vec<f32>>, &Vec<usize>)| {
        let rank = q.first().map_or(0, Vec::len);
        shape.len() == 2 && q.len() == shape[1] && q.iter().all(|row| row.len() == rank)
    };
    if given.len() != shapes.len() || !given.iter().zip(shapes).all(fits) {
        return Err(malformed());
    }
    let turned = |q: Vec<Vec<f32>>| {
        (0..q.first().map_or(0, Vec::len)).flat_map(|k| q.iter().map(|row| row[k]).collect::<Vec<_>>()).collect()
    };
    Ok(given.into_iter().map(turned).collect())
}

/// The compressor of a recorded run.
fn compressor(options: &Options) -> Result<AnyCompressor, ReplayError> {
    let (name, words) = form(options, "kind", &["scope"])?;
    let (name, flag) = match name.as_str() {
        "scaled-sign" => ("sign", Some("scaled")),
        "hard-threshold" => ("threshold", None),
        "one-bit" => ("onebit", None),
        "random-k" => ("randk", None),
        name => (name, None),
    };
    parse(name, flag, words)
}

/// The name, and the other options as `key=value`, with hyphens.
fn form(options: &Options, key: &str, without: &[&str]) -> Result<(String, Vec<String>), ReplayError> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.replace('_', "-"),
        // A whole number may be written as 3.0.
        serde_json::Value::Number(x) => x.as_f64().map_or_else(|| x.to_string(), |x| x.to_string()),
        other => other.to_string(),
    };
    let name = options.get(key).map(text).ok_or_else(|| ReplayError::Malformed(format!("there is no `{key}`")))?;
    let others = options.iter().filter(|(k, _)| *k != key && !without.contains(&k.as_str()));
    Ok((name, others.map(|(k, v)| format!("{}={}", k.replace('_', "-"), text(v))).collect()))
}

fn parse<T: std::str::FromStr<Err = TextError>>(
    name: &str,
    flag: Option<&str>,
    words: Vec<String>,
) -> Result<T, ReplayError> {
    let words: Vec<String> = flag.map(str::to_string).into_iter().chain(words).collect();
    let text = format!("{name}:{}", words.join(","));
    Ok(text.parse()?)
}

struct OnVectors {
    cluster: Cluster,
    x: Vector,
}

impl OnVectors {
    fn new(setup: &Setup, algorithm: AnyAlgorithm, compressor: AnyCompressor) -> Result<Self, ReplayError> {
        let named = setup.shapes.iter().enumerate().map(|(i, shape)| (format!("parameters.{i}"), shape.clone()));
        let layout = Layout::new(named.collect(), setup.scope, 0).map_err(SetupError::from)?;
        let mut cluster = Cluster::new(algorithm, compressor, layout, setup.workers, 0, setup.x0.as_slice())?;
        setup.begin(&mut cluster);
        Ok(Self { cluster, x: setup.x0.clone() })
    }
}

impl Runner for OnVectors {
    fn step(&mut self, lr: f64, gradients: &[Vector]) -> Result<Traffic, ReplayError> {
        let mut host = |worker: usize, ask: &Ask| match ask {
            Ask::Gradient { .. } => Ok(Reply::gradient(gradients[worker].clone())),
            Ask::Loss { .. } => Err(RoundError::Unserved("a loss")),
        };
        let decided = self.cluster.round(lr, &self.x, &mut host)?;
        decided.apply(&mut self.x);
        if matches!(decided.moved, Move::Own)
            && let Some(first) = self.cluster.node(0)
        {
            self.x.clone_from(first);
        }
        Ok(decided.traffic)
    }

    fn x(&self) -> Vector {
        self.x.clone()
    }

    fn residual_norms(&mut self) -> Vec<f64> {
        self.cluster.observe().residual_norms
    }
}

/// Parameters of ranks 1 to 4; a number stands as a vector of one.
#[derive(Module, Debug)]
struct Parameters {
    parameters: Vec<Parameter>,
}

#[derive(Module, Debug)]
enum Parameter {
    One(Param<Tensor<1>>),
    Two(Param<Tensor<2>>),
    Three(Param<Tensor<3>>),
    Four(Param<Tensor<4>>),
}

impl Parameter {
    fn new(values: &[f32], shape: &[usize], device: &Device) -> Option<Self> {
        let flat = Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), device);
        let to = Shape::from(shape.to_vec());
        Some(match shape.len() {
            0 | 1 => Self::One(Param::from_tensor(flat)),
            2 => Self::Two(Param::from_tensor(flat.reshape::<2, _>(to))),
            3 => Self::Three(Param::from_tensor(flat.reshape::<3, _>(to))),
            4 => Self::Four(Param::from_tensor(flat.reshape::<4, _>(to))),
            _ => return None,
        })
    }
}

struct OnModule {
    group: Group,
    model: Parameters,
    places: Places,
    gossip: bool,
}

impl OnModule {
    fn new(
        setup: &Setup,
        algorithm: AnyAlgorithm,
        compressor: AnyCompressor,
        device: &Device,
    ) -> Result<Self, ReplayError> {
        let model = module(setup, device)?;
        let gossip = algorithm.is_gossip();
        let config = GroupConfig::any(algorithm, compressor).with_workers(setup.workers).with_scope(setup.scope);
        let mut group = config.init(&model)?;
        setup.begin(group.cluster_mut());
        let (_, places) = Places::new(&model, setup.scope, 0).map_err(SetupError::from)?;
        Ok(Self { group, model, places, gossip })
    }
}

/// The case's parameters as a module.
fn module(setup: &Setup, device: &Device) -> Result<Parameters, ReplayError> {
    {
        let device = device.clone().autodiff();
        let mut rest = setup.x0.as_slice();
        let mut parameters = Vec::new();
        for shape in &setup.shapes {
            let (own, after) = rest.split_at(shape.iter().product());
            rest = after;
            let parameter = Parameter::new(own, shape, &device);
            let unsupported =
                || ReplayError::Unsupported(format!("a parameter of rank {}; known: 1 to 4", shape.len()));
            parameters.push(parameter.ok_or_else(unsupported)?);
        }
        Ok(Parameters { parameters })
    }
}

/// Serves the recorded gradients, wherever they are wanted.
struct Recorded<'a> {
    gradients: &'a [Vector],
    places: &'a Places,
}

impl ModuleHost<Parameters> for Recorded<'_> {
    fn gradient(&mut self, worker: usize, at: &Parameters, _: usize) -> Result<GradientsParams, RoundError> {
        Ok(self.places.unflatten(at, self.gradients[worker].as_slice()))
    }
}

impl Runner for OnModule {
    fn step(&mut self, lr: f64, gradients: &[Vector]) -> Result<Traffic, ReplayError> {
        let mut host = Recorded { gradients, places: &self.places };
        let round = self.group.round_with(lr, &self.model, &mut host)?;
        let traffic = round.traffic().clone();
        self.model = round.apply(self.model.clone());
        Ok(traffic)
    }

    fn x(&self) -> Vector {
        // Under gossip the nodes' mean would hide gossip and compression alike.
        let first = self.gossip.then(|| self.group.model_of(0, &self.model));
        self.group.parameters(first.as_ref().unwrap_or(&self.model)).expect("the model is the group's own")
    }

    fn residual_norms(&mut self) -> Vec<f64> {
        self.group.observe().residual_norms
    }
}
