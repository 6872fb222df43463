//! A module's float parameters as a walk finds them.

use std::collections::HashSet;

use ::burn::module::{Module, ModuleVisitor, Param, ParamId};
use ::burn::tensor::{DType, Device, Tensor};

use crate::host::ModelError;

/// One float parameter as it was found in a module.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub id: ParamId,
    pub path: String,
    pub shape: Vec<usize>,
    pub device: Device,
    pub dtype: DType,
    pub autodiff: bool,
    pub trainable: bool,
}

/// Every float parameter, in visit order; tied ones once, at their first path; quantised ones not at all.
pub(crate) fn find<M: Module>(module: &M) -> Vec<Found> {
    let mut visitor = Find::default();
    module.visit(&mut visitor);
    visitor.found
}

/// Why nothing of these is trainable.
pub(crate) fn untrainable(found: &[Found]) -> ModelError {
    let plain = found.iter().all(|f| !f.autodiff);
    if plain && !found.is_empty() { ModelError::NoAutodiff } else { ModelError::Untrainable { frozen: found.len() } }
}

/// The path of the parameter that a walk is at.
#[derive(Default)]
pub(crate) struct Path(Vec<String>);

impl Path {
    pub fn enter(&mut self, name: &str) {
        self.0.push(name.into());
    }

    pub fn exit(&mut self) {
        self.0.pop();
    }

    pub fn join(&self) -> String {
        self.0.join(".")
    }
}

/// A walk's bookkeeping of where it is, the same in every visitor and mapper.
macro_rules! track_path {
    () => {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.enter(name);
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    };
}
pub(crate) use track_path;

#[derive(Default)]
struct Find {
    path: Path,
    found: Vec<Found>,
    seen: HashSet<ParamId>,
}

impl ModuleVisitor for Find {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        let dtype = p.dtype();
        if !matches!(dtype, DType::QFloat(_)) && self.seen.insert(p.id) {
            self.found.push(Found {
                id: p.id,
                path: self.path.join(),
                shape: p.lazy_shape().to_vec(),
                device: p.lazy_device().inner(),
                dtype,
                autodiff: p.lazy_device().is_autodiff(),
                trainable: p.is_require_grad(),
            });
        }
    }
}
