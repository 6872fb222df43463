//! Where a module's parameters stand in the flat vector: found by path, so that a model loaded, built or moved
//! anew, with other `ParamId`s, is the same model.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use ::burn::module::Module;
use backburn_compress::{Layout, Scope};

use crate::burn::found::{Found, find, untrainable};
use crate::host::ModelError;

/// The places of a layout's parameters, by path. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    by_path: HashMap<String, Place>,
    /// Parameters that are left out on purpose: their gradients are dropped.
    skipped: HashSet<String>,
    len: usize,
}

/// One parameter's place.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Which parameter of the layout.
    pub index: usize,
    pub range: Range<usize>,
    pub shape: Vec<usize>,
}

impl Places {
    /// Lays out a module's trainable parameters.
    ///
    /// # Errors
    /// Where nothing is trainable, or the layout is refused.
    pub fn new<M: Module>(module: &M, scope: Scope, dense_below: usize) -> Result<(Layout, Self), ModelError> {
        let found = find(module);
        let named: Vec<_> = found.iter().filter(|f| f.trainable).map(|f| (f.path.clone(), f.shape.clone())).collect();
        if named.is_empty() {
            return Err(untrainable(&found));
        }
        let layout = Layout::new(named, scope, dense_below)?;
        let places = Self::of(&layout, HashSet::new());
        Ok((layout, places))
    }

    /// The places of this layout.
    pub(crate) fn of(layout: &Layout, skipped: HashSet<String>) -> Self {
        let place = |(index, p): (usize, &backburn_compress::Parameter)| {
            (p.path.clone(), Place { index, range: p.range.clone(), shape: p.shape.clone() })
        };
        let by_path = layout.parameters().iter().enumerate().map(place).collect();
        Self(Arc::new(Inner { by_path, skipped, len: layout.len() }))
    }

    /// The parameter's place, if it is laid out.
    pub(crate) fn get(&self, path: &str) -> Option<&Place> {
        self.0.by_path.get(path)
    }

    /// All of them, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Place> {
        self.0.by_path.values()
    }

    /// Whether a policy leaves this parameter out.
    pub(crate) fn is_skipped(&self, path: &str) -> bool {
        self.0.skipped.contains(path)
    }

    /// The number of coordinates.
    pub(crate) fn len(&self) -> usize {
        self.0.len
    }

    /// The number of parameters.
    pub(crate) fn parameters(&self) -> usize {
        self.0.by_path.len()
    }

    /// Whether the module has every parameter, in its shape.
    ///
    /// # Errors
    /// With the parameter that is missing or of another shape.
    pub fn check<M: Module>(&self, module: &M) -> Result<(), ModelError> {
        self.check_found(&find(module))
    }

    pub(crate) fn check_found(&self, found: &[Found]) -> Result<(), ModelError> {
        let mut there = HashSet::new();
        for f in found {
            let Some(place) = self.get(&f.path) else { continue };
            if place.shape != f.shape {
                let (path, found, expected) = (f.path.clone(), f.shape.clone(), place.shape.clone());
                return Err(ModelError::Shape { path, found, expected });
            }
            there.insert(f.path.as_str());
        }
        let missing = self.0.by_path.keys().filter(|path| !there.contains(path.as_str())).min();
        missing.map_or(Ok(()), |path| Err(ModelError::Missing { path: path.clone() }))
    }
}
