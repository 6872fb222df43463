//! A whole model in a snapshot: trainable and frozen parameters, running statistics, integers and booleans, each
//! exactly as it was, by path.

use std::collections::{HashMap, HashSet};

use ::burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use ::burn::tensor::{Bool, Bytes, DType, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::burn::data::tensor;
use crate::burn::found::{Path, track_path};
use crate::burn::weights::Ties;
use crate::checkpoint::{Snapshot, SnapshotError};

/// What a saved tensor is, in a text beside its vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kind {
    dtype: DType,
    shape: Vec<usize>,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.dtype, self.shape)
    }
}

fn name(path: &str) -> String {
    format!("model/{path}")
}

/// Writes every tensor of the model; pending running statistics are flushed first, which Burn's own records drop.
pub(crate) fn save<M: Module>(model: &M, snapshot: &mut Snapshot) {
    drop(model.valid());
    model.visit(&mut Saver { path: Path::default(), seen: HashSet::new(), snapshot });
}

struct Saver<'a> {
    path: Path,
    seen: HashSet<ParamId>,
    snapshot: &'a mut Snapshot,
}

impl Saver<'_> {
    fn put(&mut self, id: ParamId, data: impl FnOnce() -> TensorData) {
        if !self.seen.insert(id) {
            return;
        }
        let data = data();
        let kind = Kind { dtype: data.dtype(), shape: data.shape().to_vec() };
        let name = name(&self.path.join());
        let values = match data.as_slice::<f32>() {
            Ok(values) => values.to_vec(),
            Err(_) => words(data.as_bytes()),
        };
        self.snapshot.texts.insert(name.clone(), serde_json::to_string(&kind).expect("a kind is plain data"));
        self.snapshot.vectors.insert(name, values);
    }
}

impl ModuleVisitor for Saver<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        self.put(p.id, || p.base().into_data());
    }

    fn visit_int<const D: usize>(&mut self, p: &Param<Tensor<D, Int>>) {
        self.put(p.id, || p.base().into_data());
    }

    fn visit_bool<const D: usize>(&mut self, p: &Param<Tensor<D, Bool>>) {
        self.put(p.id, || p.base().into_data());
    }
}

/// Bytes of another type than f32, four to a word, the last filled up with zeros.
pub(crate) fn words(bytes: &[u8]) -> Vec<f32> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        f32::from_bits(u32::from_le_bytes(word))
    };
    bytes.chunks(4).map(word).collect()
}

/// The first `len` bytes of such words.
pub(crate) fn bytes(words: &[f32], len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|x| x.to_bits().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

/// The model with every tensor as it was saved.
///
/// # Errors
/// As [`check`]; then nothing has changed.
pub(crate) fn load<M: Module>(model: M, snapshot: &Snapshot) -> Result<M, SnapshotError> {
    let data = check(&model, snapshot)?;
    // Flushes: what is still pending would later overwrite what is loaded.
    drop(model.valid());
    Ok(model.map(&mut Loader { path: Path::default(), data, ties: Ties::default() }))
}

/// The model's tensors as they were saved, by path.
///
/// # Errors
/// Where the snapshot lacks a tensor of this model or has it in another shape or type.
pub(crate) fn check<M: Module>(model: &M, snapshot: &Snapshot) -> Result<HashMap<String, TensorData>, SnapshotError> {
    let mut check = Check { path: Path::default(), seen: HashSet::new(), snapshot, data: HashMap::new(), error: None };
    model.visit(&mut check);
    check.error.map_or(Ok(check.data), Err)
}

struct Check<'a> {
    path: Path,
    seen: HashSet<ParamId>,
    snapshot: &'a Snapshot,
    data: HashMap<String, TensorData>,
    error: Option<SnapshotError>,
}

impl Check<'_> {
    fn find(&self, path: &str, own: &TensorData) -> Result<TensorData, SnapshotError> {
        let name = name(path);
        let damaged = |why: String| SnapshotError::Damaged { name: name.clone(), why };
        let kind: Kind = serde_json::from_str(self.snapshot.text(&name)?).map_err(|e| damaged(e.to_string()))?;
        let expected = Kind { dtype: own.dtype(), shape: own.shape().to_vec() };
        if kind != expected {
            let found = format!("`{path}` as {kind}");
            return Err(SnapshotError::Other { what: "a model with", found, expected: expected.to_string() });
        }
        let values = self.snapshot.vector(&name)?;
        let (words, len) = (values.len(), own.as_bytes().len());
        if words != len.div_ceil(4) {
            return Err(damaged(format!("it has {words} words for {len} bytes")));
        }
        Ok(TensorData::from_bytes(Bytes::from_bytes_vec(bytes(values, len)), own.shape().clone(), kind.dtype))
    }

    fn look(&mut self, id: ParamId, own: impl FnOnce() -> TensorData) {
        if self.error.is_some() || !self.seen.insert(id) {
            return;
        }
        let path = self.path.join();
        match self.find(&path, &own()) {
            Ok(data) => drop(self.data.insert(path, data)),
            Err(error) => self.error = Some(error),
        }
    }
}

impl ModuleVisitor for Check<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        self.look(p.id, || p.base().into_data());
    }

    fn visit_int<const D: usize>(&mut self, p: &Param<Tensor<D, Int>>) {
        self.look(p.id, || p.base().into_data());
    }

    fn visit_bool<const D: usize>(&mut self, p: &Param<Tensor<D, Bool>>) {
        self.look(p.id, || p.base().into_data());
    }
}

struct Loader {
    path: Path,
    data: HashMap<String, TensorData>,
    ties: Ties,
}

impl Loader {
    fn take(&mut self) -> Option<TensorData> {
        self.data.remove(&self.path.join())
    }
}

impl ModuleMapper for Loader {
    track_path!();

    fn map_float<const D: usize>(&mut self, p: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let data = self.take();
        self.ties.replace(
            p,
            data.map(|data| {
                |old: Tensor<D>| {
                    let dtype = data.dtype();
                    tensor(data, &old.device(), dtype)
                }
            }),
        )
    }

    fn map_int<const D: usize>(&mut self, p: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let Some(data) = self.take() else { return p };
        let dtype = data.dtype();
        p.map(|old| Tensor::from_data(data, (&old.device(), dtype)))
    }

    fn map_bool<const D: usize>(&mut self, p: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        let Some(data) = self.take() else { return p };
        p.map(|old| Tensor::from_data(data, &old.device()))
    }
}
