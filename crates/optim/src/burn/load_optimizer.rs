//! An optimizer's record, loaded with a look at what becomes of it: Burn's own loading drops silently what it cannot
//! read, and panics where a record is damaged.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use ::burn::module::{Module, ModuleVisitor, Param, ParamId};
use ::burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use ::burn::store::RecordError;
use ::burn::tensor::{DType, Tensor};

use crate::burn::found::{Path, track_path};
use crate::burn::solo::{LEAF, count_misfits};

/// Why an optimizer's record was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not a record, or a damaged one.
    #[error("cannot read the optimizer record `{}`", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// A record that contradicts itself.
    #[error("the optimizer record `{}` is damaged: {why}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A state of a parameter that this model does not have.
    #[error("the optimizer record `{}` has a state of `{path}`, and the model no such parameter", file.display())]
    Unknown {
        /// The file.
        file: PathBuf,
        /// The parameter's path, or its id where the record has no path.
        path: String,
    },
    /// Some states do not fit this optimizer; Burn alone would have dropped them silently.
    #[error("{lost} of {saved} parameter states in `{}` do not fit this optimizer and model", file.display())]
    Lost {
        /// The file.
        file: PathBuf,
        /// States that do not fit.
        lost: usize,
        /// States in the file.
        saved: usize,
    },
}

/// Loads an optimizer's record for this model. Its states are found by the parameters' paths, so the model may have
/// been made or loaded apart from the one that was saved; each must be readable and fit the optimizer and its
/// parameter's shape.
///
/// # Errors
/// Where the file is damaged, has a state of an unknown parameter, or any state does not fit.
pub fn load_optimizer<M: Module>(
    optim: ModuleOptimizer,
    model: &M,
    file: impl AsRef<std::path::Path>,
) -> Result<ModuleOptimizer, LoadError> {
    let file = file.as_ref();
    let unreadable = |source: burn_pack::Error| LoadError::Record { file: file.into(), source: source.into() };
    let saved = Record::read(burn_pack::Reader::from_file(file).map_err(unreadable)?).map_err(unreadable)?;
    let saved = saved.for_model(&Parameters::of(model), file)?;
    let states = saved.states();
    let read = || -> Result<ModuleOptimizer, RecordError> {
        let optim = optim.load_record(OptimizerRecord::from_bytes(saved.writer().into_bytes()?)?);
        Ok(optim)
    };
    let optim = read().map_err(|source| LoadError::Record { file: file.into(), source })?;

    let kept = optim.into_bytes().and_then(|bytes| Ok(Record::read(burn_pack::Reader::from_bytes(bytes)?)?));
    let kept = kept.map_err(|source| LoadError::Record { file: file.into(), source })?.states();
    let dropped = states.iter().filter(|(id, leaves)| kept.get(id).is_none_or(|k| !k.is_superset(leaves))).count();
    let ours = states.iter().filter(|(_, leaves)| leaves.contains(LEAF)).map(|(id, _)| ParamId::from(*id));
    let misfits = count_misfits(|| {
        let mut zeros = Zeros { ids: ours.collect(), grads: GradientsParams::new() };
        model.visit(&mut zeros);
        drop(optim.clone().step(0.0, model.clone(), zeros.grads));
    });
    match dropped.max(misfits) {
        0 => Ok(optim),
        lost => Err(LoadError::Lost { file: file.into(), lost, saved: states.len() }),
    }
}

/// A record in pieces. Its tensors and numbers are named `id.leaf`, its texts hold the paths by id.
pub(crate) struct Record {
    pub tensors: Vec<burn_pack::Tensor>,
    pub scalars: BTreeMap<String, burn_pack::Scalar>,
    pub paths: BTreeMap<String, String>,
}

/// The number in which Burn keeps a parameter's rank.
const RANK: &str = "__rank";

impl Record {
    pub fn read(reader: burn_pack::Reader) -> Result<Self, burn_pack::Error> {
        let (scalars, paths) = (reader.scalars().clone(), reader.metadata().clone());
        Ok(Self { tensors: reader.into_tensors()?, scalars, paths })
    }

    pub fn writer(self) -> burn_pack::Writer {
        let writer = burn_pack::Writer::new(self.tensors);
        let writer = self.scalars.iter().fold(writer, |writer, (name, value)| writer.with_scalar(name, *value));
        self.paths.iter().fold(writer, |writer, (id, path)| writer.with_metadata(id, path))
    }

    /// What each parameter's state is made of.
    pub fn states(&self) -> BTreeMap<u64, BTreeSet<String>> {
        let mut states: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        let names = self.tensors.iter().map(|t| t.name.as_str()).chain(self.scalars.keys().map(String::as_str));
        for (id, leaf) in names.filter_map(split) {
            states.entry(id).or_default().insert(leaf.into());
        }
        states
    }

    /// The record under the ids of this model's parameters, found by path.
    fn for_model(self, parameters: &Parameters, file: &std::path::Path) -> Result<Self, LoadError> {
        let damaged = |why: String| LoadError::Damaged { file: file.into(), why };
        let mut ids: HashMap<u64, u64> = HashMap::new();
        for (id, _) in self.states() {
            let path = self.paths.get(&id.to_string());
            let own = match path {
                Some(path) => parameters.by_path.get(path.as_str()).copied(),
                None => parameters.ranks.contains_key(&id).then_some(id),
            };
            let unknown = || path.cloned().unwrap_or_else(|| format!("id {id}"));
            let own = own.ok_or_else(|| LoadError::Unknown { file: file.into(), path: unknown() })?;
            if ids.values().any(|other| *other == own) {
                return Err(damaged(format!("it has two states of `{}`", unknown())));
            }
            let rank = self.scalars.get(&format!("{id}.{RANK}")).and_then(|rank| usize::try_from(*rank).ok());
            if rank != parameters.ranks.get(&own).copied() {
                return Err(LoadError::Lost { file: file.into(), lost: 1, saved: self.states().len() });
            }
            ids.insert(id, own);
        }
        let rename = |name: &str| {
            let (id, leaf) = split(name).ok_or_else(|| damaged(format!("`{name}` is of no parameter")))?;
            Ok::<_, LoadError>((ids[&id], format!("{}.{leaf}", ids[&id])))
        };
        let mut tensors = Vec::new();
        for mut tensor in self.tensors {
            let old = split(&tensor.name).map(|(id, _)| id);
            if tensor.param_id.is_none() || tensor.param_id != old {
                return Err(damaged(format!("`{}` is said to be of {:?}", tensor.name, tensor.param_id)));
            }
            let (id, name) = rename(&tensor.name)?;
            (tensor.name, tensor.param_id) = (name, Some(id));
            tensors.push(tensor);
        }
        let scalars = self.scalars.into_iter().map(|(name, value)| Ok((rename(&name)?.1, value)));
        let scalars = scalars.collect::<Result<_, LoadError>>()?;
        let mut paths = BTreeMap::new();
        for (id, path) in self.paths {
            let own = id.parse().ok().and_then(|id: u64| ids.get(&id));
            paths.insert(own.ok_or_else(|| damaged(format!("`{path}` has no state")))?.to_string(), path);
        }
        Ok(Self { tensors, scalars, paths })
    }
}

pub(crate) fn split(name: &str) -> Option<(u64, &str)> {
    let (id, leaf) = name.split_once('.')?;
    Some((id.parse().ok()?, leaf))
}

/// A model's float parameters, as an optimizer's record names them.
#[derive(Default)]
pub(crate) struct Parameters {
    path: Path,
    pub by_path: HashMap<String, u64>,
    ranks: HashMap<u64, usize>,
}

impl Parameters {
    pub fn of<M: Module>(model: &M) -> Self {
        let mut parameters = Self::default();
        model.visit(&mut parameters);
        parameters
    }
}

impl ModuleVisitor for Parameters {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        self.by_path.insert(self.path.join(), p.id.val());
        self.ranks.insert(p.id.val(), D);
    }
}

/// Gradients of zero for some parameters.
struct Zeros {
    ids: HashSet<ParamId>,
    grads: GradientsParams,
}

impl ModuleVisitor for Zeros {
    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        if self.ids.contains(&p.id) && !matches!(p.dtype(), DType::QFloat(_)) {
            self.grads.register(p.id, p.base().inner().zeros_like());
        }
    }
}
