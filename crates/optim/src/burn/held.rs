//! What parameters hold, where their type holds less than f32 or they move by more than the round does.

use std::ops::Range;

use ::burn::module::{Module, ModuleVisitor, Param};
use ::burn::tensor::{DType, Tensor};

use crate::burn::data::copy_into;
use crate::burn::found::{Found, Path, track_path};
use crate::burn::places::Places;
use crate::host::{Change, Outgrown};

/// Adding less than this moves no f32 beyond the largest: it is under half its last place.
const STILL: f64 = (1u128 << 102) as f64;

/// The least f32 that becomes infinite in this type; `None` where it holds all of f32.
fn limit(dtype: DType) -> Option<f32> {
    match dtype {
        DType::F16 => Some(65520.0),
        DType::BF16 => Some(f32::from_bits(0x7f7f_8000)),
        DType::F64 => None,
        _ => Some(f32::INFINITY),
    }
}

/// Whether a type holds less than f32.
pub(crate) fn is_narrow(dtype: DType) -> bool {
    limit(dtype).is_some_and(f32::is_finite)
}

/// By how much a tensor of this type may move, in steps of which it takes `share`, and surely stay finite.
pub(crate) fn room_of<const D: usize>(x: &Tensor<D>, share: f32) -> f64 {
    let room = match limit(x.dtype()) {
        None => return f64::INFINITY,
        _ if x.shape().num_elements() == 0 => return f64::INFINITY,
        Some(limit) if limit.is_finite() => {
            let peak = x.clone().abs().max().into_data().iter::<f32>().next().unwrap_or(0.0);
            room_beside(x.dtype(), peak)
        }
        Some(_) if share == 1.0 => return f64::INFINITY,
        Some(_) => STILL,
    };
    room / f64::from(share).max(1.0)
}

/// By how much what is no larger than `peak` may move and surely stay finite in a narrow type.
pub(crate) fn room_beside(narrow: DType, peak: f32) -> f64 {
    limit(narrow).map_or(f64::INFINITY, |limit| f64::from(limit) - f64::from(peak))
}

/// Whether all of x, changed, is finite in this type.
pub(crate) fn holds(dtype: DType, x: &[f32], change: Piece<'_>, share: f32) -> bool {
    let limit = limit(dtype).unwrap_or(f32::INFINITY);
    match change {
        Piece::To(y) => y.iter().all(|y| y.abs() < limit),
        Piece::By(u) => x.iter().zip(u).all(|(x, u)| (x + u * share).abs() < limit),
    }
}

/// A [`Change`], or what of it is one parameter's.
#[derive(Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// x ← x + u.
    By(&'a [f32]),
    /// x ← y.
    To(&'a [f32]),
}

impl Change {
    /// All of it.
    pub(crate) fn whole(&self) -> Piece<'_> {
        match self {
            Self::By(u) => Piece::By(u.as_slice()),
            Self::To(y) => Piece::To(y.as_slice()),
        }
    }
}

impl Piece<'_> {
    /// One parameter's.
    pub fn within(&self, range: Range<usize>) -> Self {
        match self {
            Self::By(u) => Self::By(&u[range]),
            Self::To(y) => Self::To(&y[range]),
        }
    }
}

/// What a type is called, and the largest number that it holds.
pub(crate) fn outgrown(path: String, dtype: DType) -> Outgrown {
    let (dtype, largest) = match dtype {
        DType::F16 => ("f16", 65504.0),
        DType::BF16 => ("bf16", f32::from_bits(0x7f7f_0000)),
        _ => ("f32", f32::MAX),
    };
    Outgrown { path, dtype, largest }
}

/// A module's parameters, as a round's host is asked about them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// Whether any is of a narrow type.
    narrow: bool,
    /// Each one's share of the step; empty where all are 1.
    share: Vec<f32>,
}

impl Held {
    pub fn new(found: &[Found], share: &[f32]) -> Self {
        let narrow = found.iter().any(|f| f.trainable && is_narrow(f.dtype));
        Self { narrow, share: share.to_vec() }
    }

    fn share(&self, index: usize) -> f32 {
        self.share.get(index).copied().unwrap_or(1.0)
    }

    /// By how much x may move, before shares, and surely stay finite in all parameters.
    pub fn room<M: Module>(&self, places: &Places, model: &M) -> f64 {
        if !self.narrow && self.share.is_empty() {
            return f64::INFINITY;
        }
        let mut visitor = Room { held: self, places, path: Path::default(), least: f64::INFINITY };
        model.visit(&mut visitor);
        visitor.least
    }

    /// The first parameter that would not be finite.
    pub fn outgrown<M: Module>(&self, places: &Places, model: &M, change: &Change) -> Option<Outgrown> {
        let mut visitor = Outgrow { held: self, places, path: Path::default(), change, found: None };
        model.visit(&mut visitor);
        visitor.found
    }
}

struct Room<'a> {
    held: &'a Held,
    places: &'a Places,
    path: Path,
    least: f64,
}

impl ModuleVisitor for Room<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        if let Some(place) = self.places.get(&self.path.join()) {
            let room = room_of(&p.base().inner(), self.held.share(place.index));
            // One that is not finite already has none.
            self.least = if room.is_nan() { f64::NEG_INFINITY } else { self.least.min(room) };
        }
    }
}

struct Outgrow<'a> {
    held: &'a Held,
    places: &'a Places,
    path: Path,
    change: &'a Change,
    found: Option<Outgrown>,
}

impl ModuleVisitor for Outgrow<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        let path = self.path.join();
        let Some(place) = self.places.get(&path).filter(|_| self.found.is_none()) else { return };
        let mut x = vec![0.0; place.range.len()];
        copy_into(p.base().into_data(), &mut x);
        let (dtype, piece) = (p.dtype(), self.change.whole().within(place.range.clone()));
        if !holds(dtype, &x, piece, self.held.share(place.index)) {
            self.found = Some(outgrown(path, dtype));
        }
    }
}
