//! A Burn optimizer's states in a snapshot, by path, so that they are of a model that was built anew too.

use std::collections::BTreeMap;

use ::burn::module::Module;
use ::burn::optim::{ModuleOptimizer, OptimizerRecord};
use ::burn::tensor::{Bytes, DType};
use burn_pack::Scalar;

use crate::burn::load_optimizer::{Parameters, Record, split};
use crate::burn::model_state::{bytes, words};
use crate::checkpoint::{Snapshot, SnapshotError};

/// Writes every state, its pieces named `{prefix}{leaf}/{path}`.
pub(crate) fn save<M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    prefix: &str,
    snapshot: &mut Snapshot,
) -> Result<(), SnapshotError> {
    let damaged = |why: String| SnapshotError::Damaged { name: format!("{prefix}*"), why };
    let packed = optim.into_bytes().map_err(|e| damaged(e.to_string()))?;
    let record = burn_pack::Reader::from_bytes(packed).and_then(Record::read).map_err(|e| damaged(e.to_string()))?;
    let paths: BTreeMap<u64, String> = Parameters::of(model).by_path.into_iter().map(|(path, id)| (id, path)).collect();
    let name = |name: &str| {
        let (id, leaf) = split(name)?;
        Some(format!("{prefix}{leaf}/{}", paths.get(&id)?))
    };
    let foreign = |name: &str| damaged(format!("`{name}` is of no parameter of this model"));
    for tensor in record.tensors {
        let name = name(&tensor.name).ok_or_else(|| foreign(&tensor.name))?;
        let (dtype, shape) = (tensor.dtype, tensor.shape.to_vec());
        let values = words(&tensor.into_bytes().map_err(|e| damaged(e.to_string()))?);
        let kind = serde_json::to_string(&(dtype, shape)).expect("a kind is plain data");
        snapshot.texts.insert(name.clone(), kind);
        snapshot.vectors.insert(name, values);
    }
    for (key, scalar) in record.scalars {
        let name = name(&key).ok_or_else(|| foreign(&key))?;
        let text = match scalar {
            Scalar::Int(x) => format!("int {x}"),
            Scalar::UInt(x) => format!("uint {x}"),
            Scalar::Float(x) => format!("float {}", x.to_bits()),
            Scalar::Bool(x) => format!("bool {x}"),
        };
        snapshot.texts.insert(name, text);
    }
    Ok(())
}

/// This optimizer with the states that were saved under the prefix.
///
/// # Errors
/// Where a state is damaged, is of a parameter that the model does not have, or does not fit the optimizer.
pub(crate) fn load<M: Module>(
    optim: ModuleOptimizer,
    model: &M,
    prefix: &str,
    snapshot: &Snapshot,
) -> Result<ModuleOptimizer, SnapshotError> {
    let damaged = |why: String| SnapshotError::Damaged { name: format!("{prefix}*"), why };
    let ids = Parameters::of(model).by_path;
    let (mut tensors, mut scalars, mut paths) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for (name, text) in snapshot.texts.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix)) {
        let (leaf, path) = name[prefix.len()..].split_once('/').ok_or_else(|| damaged(format!("`{name}`")))?;
        let id = *ids.get(path).ok_or_else(|| SnapshotError::Leftover(name.clone()))?;
        paths.insert(id.to_string(), path.to_owned());
        let key = format!("{id}.{leaf}");
        if let Some(scalar) = scalar(text) {
            scalars.insert(key, scalar);
            continue;
        }
        let kind: (DType, Vec<usize>) = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        let len = kind.0.size() * kind.1.iter().product::<usize>();
        let values = snapshot.vector(name)?;
        if values.len() != len.div_ceil(4) {
            return Err(damaged(format!("`{name}` has {} words for {len} bytes", values.len())));
        }
        let data = Bytes::from_bytes_vec(bytes(values, len));
        tensors.push(burn_pack::Tensor::new(key, kind.0, kind.1, Some(id), data));
    }
    if tensors.is_empty() && scalars.is_empty() {
        return Ok(optim);
    }
    let saved = Record { tensors, scalars, paths };
    let states = saved.states();
    let packed = saved.writer().into_bytes().map_err(|e| damaged(e.to_string()))?;
    let optim = optim.load_record(OptimizerRecord::from_bytes(packed).map_err(|e| damaged(e.to_string()))?);
    let kept = optim.into_bytes().map_err(|e| damaged(e.to_string()))?;
    let kept = burn_pack::Reader::from_bytes(kept).and_then(Record::read).map_err(|e| damaged(e.to_string()))?.states();
    match states.iter().find(|(id, leaves)| kept.get(id).is_none_or(|k| !k.is_superset(leaves))) {
        None => Ok(optim),
        Some((id, _)) => {
            let path = ids.iter().find(|(_, own)| *own == id).map_or("", |(path, _)| path);
            Err(damaged(format!("the state of `{path}` is not this optimizer's")))
        }
    }
}

fn scalar(text: &str) -> Option<Scalar> {
    let (kind, value) = text.split_once(' ')?;
    match kind {
        "int" => value.parse().ok().map(Scalar::Int),
        "uint" => value.parse().ok().map(Scalar::UInt),
        "float" => value.parse().ok().map(|bits| Scalar::Float(f64::from_bits(bits))),
        "bool" => value.parse().ok().map(Scalar::Bool),
        _ => None,
    }
}
