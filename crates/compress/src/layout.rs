//! The model as one flat vector.

use std::ops::Range;

use crate::error::ParameterError;
use crate::key::{hash, mix};
use crate::text::{Args, TextError};

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
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let mut args = Args::parse(text);
        let scope = match args.name() {
            "parameter" => Self::Parameter,
            "global" => Self::Global,
            "bucket" => Self::Bucket(args.required("size")?),
            other => return Err(TextError::unknown("scope", other, ["parameter", "global", "bucket:SIZE"])),
        };
        if scope == Self::Bucket(0) {
            return Err(ParameterError::Zero("the bucket size").into());
        }
        args.finish()?;
        Ok(scope)
    }
}

crate::text::serde_as_text!(Scope);

/// Why a model has no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// No trainable parameters, or none with a coordinate that is not skipped.
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

/// What is done about a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It is compressed. The default.
    #[default]
    Compressed,
    /// It is sent as it is: what is small and matters, biases and norms, say.
    Dense,
    /// It is left out: no coordinate of the vector, nothing is sent of it and nothing moves it.
    Skipped,
}

/// A model as one flat vector: its parameters, and the units that are compressed.
///
/// Units tile the vector. Parameters that are sent dense stand at its end, each a unit of its own, so that the rest
/// stays contiguous for every [`Scope`]. A parameter of rank 0 has one coordinate; one without coordinates has no
/// unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    parameters: Vec<Parameter>,
    skipped: Vec<(String, Vec<usize>)>,
    units: Vec<Unit>,
    len: usize,
    fingerprint: u64,
    scope: Scope,
}

impl Layout {
    /// Lays out parameters given as (path, shape), in the model's visit order; those of fewer than `dense_below`
    /// coordinates are sent dense.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn new(parameters: Vec<(String, Vec<usize>)>, scope: Scope, dense_below: usize) -> Result<Self, LayoutError> {
        let parameters = parameters.into_iter().map(|(path, shape)| (path, shape, Policy::Compressed));
        Self::build(parameters.collect(), scope, dense_below)
    }

    /// Lays out parameters given as (path, shape, policy), in the model's visit order; of those to be compressed,
    /// the ones of fewer than `dense_below` coordinates are sent dense.
    ///
    /// ```
    /// # use backburn_compress::{Layout, Policy, Scope};
    /// let model = [("conv.weight", vec![8, 3, 3, 3]), ("conv.bias", vec![8]), ("scale", vec![])];
    /// let policy = |path: &str, shape: &[usize]| match shape.len() {
    ///     0 => Policy::Skipped,
    ///     1 => Policy::Dense,
    ///     _ if path.starts_with("head.") => Policy::Dense,
    ///     _ => Policy::Compressed,
    /// };
    /// let parameters = model.map(|(path, shape)| (path.to_string(), shape.clone(), policy(path, &shape)));
    /// let layout = Layout::build(parameters.into(), Scope::Parameter, 0)?;
    /// assert_eq!(layout.len(), 216 + 8);
    /// assert_eq!(layout.units().iter().map(|unit| unit.dense).collect::<Vec<_>>(), [false, true]);
    /// # Ok::<(), backburn_compress::LayoutError>(())
    /// ```
    ///
    /// # Errors
    /// Where no coordinate is left, two parameters have one path, buckets have no size, or there are more coordinates
    /// than 32-bit indices reach.
    pub fn build(
        parameters: Vec<(String, Vec<usize>, Policy)>,
        scope: Scope,
        dense_below: usize,
    ) -> Result<Self, LayoutError> {
        if scope == Scope::Bucket(0) {
            return Err(LayoutError::Bucket);
        }
        let mut seen = std::collections::HashSet::new();
        if let Some((path, ..)) = parameters.iter().find(|(path, ..)| !seen.insert(path)) {
            return Err(LayoutError::Duplicate(path.clone()));
        }
        let (skipped, parameters): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|p| p.2 == Policy::Skipped);
        let skipped: Vec<(String, Vec<usize>)> = skipped.into_iter().map(|(path, shape, _)| (path, shape)).collect();
        let total: u128 = parameters.iter().map(|(_, s, _)| s.iter().map(|n| *n as u128).product::<u128>()).sum();
        if total > u128::from(u32::MAX) {
            return Err(LayoutError::TooLarge(total));
        }
        if total == 0 {
            return Err(LayoutError::Empty);
        }
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        let (dense, large): (Vec<_>, Vec<_>) =
            parameters.into_iter().partition(|(_, s, policy)| *policy == Policy::Dense || size(s) < dense_below);
        let (count, compressed) = (large.len(), large.iter().map(|(_, s, _)| size(s)).sum::<usize>());
        let mut offset = 0;
        let place = |(path, shape, _): (String, Vec<usize>, Policy)| {
            let range = offset..offset + size(&shape);
            offset = range.end;
            Parameter { path, shape, range }
        };
        let parameters: Vec<Parameter> = large.into_iter().chain(dense).map(place).collect();
        let single = |p: &Parameter, dense| Unit { range: p.range.clone(), dense, ..Unit::tensor(&p.path, &p.shape) };
        let piece = |name: &str, range: Range<usize>| Unit { range: range.clone(), ..Unit::vector(name, range.len()) };
        let (large, dense) = parameters.split_at(count);
        let mut units: Vec<Unit> = match scope {
            Scope::Parameter => large.iter().map(|p| single(p, false)).collect(),
            Scope::Global => vec![piece("*", 0..compressed)],
            Scope::Bucket(size) => (0..compressed)
                .step_by(size)
                .enumerate()
                .map(|(i, start)| piece(&format!("*{i}"), start..(start + size).min(compressed)))
                .collect(),
        };
        units.extend(dense.iter().map(|p| single(p, true)));
        units.retain(|u| !u.is_empty());
        let fingerprint = fingerprint(&parameters, &skipped, &units, scope);
        Ok(Self { parameters, skipped, units, len: offset, fingerprint, scope })
    }

    /// One vector of this length as a whole model, for problems without a module.
    ///
    /// # Errors
    /// Where there are no coordinates, or more than 32-bit indices reach.
    pub fn flat(len: usize) -> Result<Self, LayoutError> {
        Self::new(vec![("x".into(), vec![len])], Scope::Parameter, 0)
    }

    /// The parameters, in the order of the flat vector.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Paths and shapes of what is left out, see [`Policy::Skipped`].
    pub fn skipped(&self) -> &[(String, Vec<usize>)] {
        &self.skipped
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

    /// A hash of paths, shapes, scope and of what is sent dense or left out: equal in all processes that may exchange
    /// messages, and in all runs that may go on from one another.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The units' slices of a flat vector.
    pub(crate) fn split<'a, T>(&self, mut x: &'a mut [T]) -> Vec<&'a mut [T]> {
        let mut pieces = Vec::with_capacity(self.units.len());
        for unit in &self.units {
            let (piece, rest) = x.split_at_mut(unit.len());
            pieces.push(piece);
            x = rest;
        }
        pieces
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

/// Everything that two layouts may differ by, in an order that leaves no two readings.
fn fingerprint(parameters: &[Parameter], skipped: &[(String, Vec<usize>)], units: &[Unit], scope: Scope) -> u64 {
    let tensor = |h: u64, path: &str, shape: &[usize]| {
        let h = mix(mix(h ^ hash(path.as_bytes())) ^ shape.len() as u64);
        shape.iter().fold(h, |h, n| mix(h ^ *n as u64))
    };
    let h = mix(hash(scope.to_string().as_bytes()) ^ parameters.len() as u64);
    let h = parameters.iter().fold(h, |h, p| tensor(h, &p.path, &p.shape));
    let h = skipped.iter().fold(mix(h ^ skipped.len() as u64), |h, (path, shape)| tensor(h, path, shape));
    units.iter().fold(h, |h, u| mix(h ^ u.range.end as u64 ^ u64::from(u.dense) << 63))
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
    fn fingerprints_tell_apart_whatever_differs() {
        let build = |parameters: &[(&str, &[usize], Policy)], scope, dense_below| {
            let own = parameters.iter().map(|(path, shape, policy)| (path.to_string(), shape.to_vec(), *policy));
            Layout::build(own.collect(), scope, dense_below).unwrap().fingerprint()
        };
        use Policy::{Compressed, Dense, Skipped};
        let a = ("a", [2usize, 3].as_slice(), Compressed);
        let b = ("b", [4usize].as_slice(), Compressed);
        let mut all = vec![
            build(&[a, b], Scope::Parameter, 0),
            build(&[b, a], Scope::Parameter, 0),
            build(&[("a", &[3, 2], Compressed), b], Scope::Parameter, 0),
            build(&[("a", &[6], Compressed), b], Scope::Parameter, 0),
            build(&[("c", &[2, 3], Compressed), b], Scope::Parameter, 0),
            build(&[a, b], Scope::Global, 0),
            build(&[a, b], Scope::Bucket(10), 0),
            build(&[a, b], Scope::Parameter, 5),
            build(&[a, b], Scope::Parameter, 50),
            build(&[a, ("b", &[4], Skipped)], Scope::Parameter, 0),
            build(&[a], Scope::Parameter, 0),
            build(&[a], Scope::Global, 0),
            build(&[a, b, ("s", &[], Skipped)], Scope::Parameter, 0),
            build(&[a, b, ("s", &[0], Compressed)], Scope::Parameter, 0),
        ];
        // What `dense_below` says and what a policy says is the same thing.
        assert_eq!(build(&[a, ("b", &[4], Dense)], Scope::Parameter, 0), build(&[a, b], Scope::Parameter, 5));
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    #[test]
    fn policies_decide_what_is_sent_and_how() {
        let parameters = vec![
            ("w".into(), vec![4, 5], Policy::Compressed),
            ("scale".into(), vec![], Policy::Dense),
            ("embedding".into(), vec![100], Policy::Skipped),
            ("empty".into(), vec![0, 3], Policy::Compressed),
            ("v".into(), vec![], Policy::Compressed),
        ];
        for scope in [Scope::Parameter, Scope::Global, Scope::Bucket(8)] {
            let layout = Layout::build(parameters.clone(), scope, 0).unwrap();
            assert_eq!(layout.len(), 22);
            assert_eq!(layout.units().iter().map(Unit::len).sum::<usize>(), 22);
            assert!(layout.units().iter().all(|u| !u.is_empty() && u.dense == (u.range == (21..22))));
            assert_eq!(layout.skipped(), [("embedding".to_string(), vec![100])]);
            assert_eq!(layout.parameters().len(), 4);
            assert_eq!(layout.parameter_at(20).unwrap().path, "v");
            assert_eq!(layout.parameter_at(21).unwrap().path, "scale");
        }
        let only = |shape: Vec<usize>, policy| Layout::build(vec![("a".into(), shape, policy)], Scope::Global, 0);
        assert_eq!(only(vec![3], Policy::Skipped), Err(LayoutError::Empty));
        assert_eq!(only(vec![0], Policy::Compressed), Err(LayoutError::Empty));
        assert_eq!(only(vec![3], Policy::Dense).unwrap().units().len(), 1);
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
