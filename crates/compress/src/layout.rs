//! The model as one flat vector.

use std::ops::Range;

use crate::key::{hash, mix};
use crate::spec::{Args, SpecError};

/// One trainable parameter's place in the flat vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its path in the module, as `conv1.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its coordinates.
    pub range: Range<usize>,
}

/// What a compressor sees as one vector: a parameter, the whole model, or a bucket of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Names the unit's random streams: a hash of its path, the same in every process.
    pub key: u64,
    /// Its coordinates in the flat vector.
    pub range: Range<usize>,
    /// The parameter's shape, or `[len]` where the unit is not one parameter.
    pub shape: Vec<usize>,
    /// Sent as it is instead of compressed.
    pub dense: bool,
}

impl Unit {
    /// A unit by itself, of a one-dimensional parameter.
    pub fn vector(path: &str, len: usize) -> Self {
        Self::tensor(path, &[len])
    }

    /// A unit by itself, of a parameter of this shape.
    pub fn tensor(path: &str, shape: &[usize]) -> Self {
        Self { key: hash(path.as_bytes()), range: 0..shape.iter().product(), shape: shape.to_vec(), dense: false }
    }

    /// Its number of coordinates.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether it has no coordinates.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

/// What a compressor is applied to at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Each parameter by itself (Karimireddy et al. 2019, §6). The default.
    #[default]
    Parameter,
    /// The whole model as one vector.
    Global,
    /// The whole model in buckets of this many coordinates; the last may be shorter.
    Bucket(usize),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parameter => f.write_str("parameter"),
            Self::Global => f.write_str("global"),
            Self::Bucket(size) => write!(f, "bucket:{size}"),
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut args = Args::parse(text);
        let scope = match args.name() {
            "parameter" => Self::Parameter,
            "global" => Self::Global,
            "bucket" => Self::Bucket(args.required("size")?),
            other => return Err(SpecError::unknown("scope", other, ["parameter", "global", "bucket:SIZE"])),
        };
        if scope == Self::Bucket(0) {
            return Err(crate::ParameterError::Zero("the bucket size").into());
        }
        args.finish()?;
        Ok(scope)
    }
}

crate::spec::serde_as_text!(Scope);

/// Why a model has no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// No trainable parameters.
    #[error("the model has no trainable parameters")]
    Empty,
    /// Two parameters of one path.
    #[error("two parameters have the path `{0}`")]
    Duplicate(String),
    /// More coordinates than 32-bit indices reach.
    #[error("the model has {0} coordinates; the limit is 4294967295")]
    TooLarge(u128),
    /// Buckets of no size.
    #[error("the bucket size must be at least 1")]
    Bucket,
}

/// A model as one flat vector: its parameters, and the units that are compressed.
///
/// Units tile the vector. Parameters under `dense_below` coordinates stand at its end, each a unit of its
/// own, so that the rest stays contiguous for every [`Scope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    parameters: Vec<Parameter>,
    units: Vec<Unit>,
    len: usize,
    fingerprint: u64,
    scope: Scope,
}

impl Layout {
    /// Lays out parameters given as (path, shape), in the model's visit order.
    pub fn new(parameters: Vec<(String, Vec<usize>)>, scope: Scope, dense_below: usize) -> Result<Self, LayoutError> {
        let total: u128 = parameters.iter().map(|(_, s)| s.iter().map(|n| *n as u128).product::<u128>()).sum();
        if total > u128::from(u32::MAX) {
            return Err(LayoutError::TooLarge(total));
        }
        if total == 0 {
            return Err(LayoutError::Empty);
        }
        if scope == Scope::Bucket(0) {
            return Err(LayoutError::Bucket);
        }
        let mut seen = std::collections::HashSet::new();
        if let Some((path, _)) = parameters.iter().find(|(path, _)| !seen.insert(path.clone())) {
            return Err(LayoutError::Duplicate(path.clone()));
        }
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        let (small, large): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|(_, s)| size(s) < dense_below);
        let compressed: usize = large.iter().map(|(_, s)| size(s)).sum();
        let mut offset = 0;
        let parameters: Vec<Parameter> = large
            .into_iter()
            .chain(small)
            .map(|(path, shape)| {
                let range = offset..offset + size(&shape);
                offset = range.end;
                Parameter { path, shape, range }
            })
            .collect();
        let single = |p: &Parameter, dense| Unit { range: p.range.clone(), dense, ..Unit::tensor(&p.path, &p.shape) };
        let piece = |name: &str, range: Range<usize>| Unit { range: range.clone(), ..Unit::vector(name, range.len()) };
        let (large, small) = parameters.split_at(parameters.partition_point(|p| p.range.start < compressed));
        let mut units: Vec<Unit> = match scope {
            Scope::Parameter => large.iter().map(|p| single(p, false)).collect(),
            Scope::Global if compressed > 0 => vec![piece("*", 0..compressed)],
            Scope::Global => Vec::new(),
            Scope::Bucket(size) => (0..compressed)
                .step_by(size)
                .enumerate()
                .map(|(i, start)| piece(&format!("*{i}"), start..(start + size).min(compressed)))
                .collect(),
        };
        units.extend(small.iter().map(|p| single(p, true)));
        units.retain(|u| !u.is_empty());
        let fingerprint = parameters.iter().fold(mix(units.len() as u64), |h, p| {
            p.shape.iter().fold(mix(h ^ hash(p.path.as_bytes())), |h, n| mix(h ^ *n as u64))
        });
        let fingerprint = units.iter().fold(fingerprint, |h, u| mix(h ^ u.range.end as u64 ^ u64::from(u.dense) << 63));
        Ok(Self { parameters, units, len: offset, fingerprint, scope })
    }

    /// One vector of this length as a whole model, for problems without a module.
    pub fn flat(len: usize) -> Result<Self, LayoutError> {
        Self::new(vec![("x".into(), vec![len])], Scope::Parameter, 0)
    }

    /// The parameters, in the order of the flat vector.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The units, which tile the flat vector in order.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The number of coordinates.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no coordinates (never: such a model has no layout).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A hash of paths, shapes and units: equal in all processes that may exchange messages.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The scope it was made with.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The parameter that holds this coordinate.
    pub fn parameter_at(&self, coordinate: usize) -> Option<&Parameter> {
        let i = self.parameters.partition_point(|p| p.range.end <= coordinate);
        self.parameters.get(i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Vec<(String, Vec<usize>)> {
        vec![("b".into(), vec![3]), ("w".into(), vec![4, 5]), ("c".into(), vec![2]), ("v".into(), vec![10])]
    }

    #[test]
    fn units_tile_the_vector_in_every_scope() {
        for scope in [Scope::Parameter, Scope::Global, Scope::Bucket(7), Scope::Bucket(100)] {
            for dense_below in [0, 4, 1000] {
                let layout = Layout::new(model(), scope, dense_below).unwrap();
                let mut end = 0;
                for unit in layout.units() {
                    assert_eq!(unit.range.start, end);
                    assert_eq!(unit.shape.iter().product::<usize>(), unit.len());
                    end = unit.range.end;
                }
                assert_eq!(end, 35);
                let dense: usize = layout.units().iter().filter(|u| u.dense).map(Unit::len).sum();
                assert_eq!(dense, [0, 5, 35][[0, 4, 1000].iter().position(|d| *d == dense_below).unwrap()]);
            }
        }
    }

    #[test]
    fn keys_come_from_paths() {
        let a = Layout::new(model(), Scope::Parameter, 0).unwrap();
        let mut reversed = model();
        reversed.reverse();
        let b = Layout::new(reversed, Scope::Parameter, 0).unwrap();
        let mut keys = [a, b].map(|l| l.units().iter().map(|u| u.key).collect::<Vec<_>>());
        keys[1].reverse();
        assert_eq!(keys[0], keys[1]);
    }

    #[test]
    fn refuses_what_cannot_be_laid_out() {
        assert_eq!(Layout::new(vec![], Scope::Parameter, 0), Err(LayoutError::Empty));
        let twice = vec![("a".into(), vec![1]), ("a".into(), vec![2])];
        assert_eq!(Layout::new(twice, Scope::Parameter, 0), Err(LayoutError::Duplicate("a".into())));
        let huge = vec![("a".into(), vec![1 << 20, 1 << 20])];
        assert!(matches!(Layout::new(huge, Scope::Parameter, 0), Err(LayoutError::TooLarge(_))));
    }

    #[test]
    fn scope_round_trips_as_text() {
        for scope in [Scope::Parameter, Scope::Global, Scope::Bucket(4096)] {
            assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
        }
        assert!("bucket:0".parse::<Scope>().is_err());
        assert!("layer".parse::<Scope>().unwrap_err().to_string().contains("parameter, global"));
    }
}
