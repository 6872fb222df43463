//! A finite gradient never gives a model or a state that is not: what is looked at, and when.
//!
//! Every gradient, every message and every move is looked at in passes that are made anyway or read no more
//! than is sent. Only where numbers are so large that f32 might not hold what comes of them is the round
//! taken *carefully*: states are kept aside first, all of them are looked at, and put back where one is not
//! finite.

use backburn_compress::{Layout, Memo, Message, Payload, Vector};
use rayon::prelude::*;

use crate::host::RoundError;
use crate::host::cluster::States;
use crate::method::{Move, Owner, Residual, Role, Visitor};

/// Numbers below this, times step sizes, are squared and summed in f32 without harm.
pub(crate) const LOUD: f64 = 1e12;

/// Others' numbers are below this where none of them is loud: 10⁶ steps' worth of what was not, owed and paid at once.
/// Squares of such are within f32.
pub(crate) const HEARD: f64 = 1e18;

/// Adding less than this moves no f32 beyond the largest: it is under half its last place.
const STILL: f64 = (1u128 << 102) as f64;

/// The path of the parameter that holds this coordinate.
pub(crate) fn path_at(coordinate: usize, layout: &Layout) -> String {
    layout.parameter_at(coordinate).map(|p| p.path.clone()).unwrap_or_default()
}

/// An upper bound of a payload's decoded magnitudes; infinite or NaN where it is not finite.
pub(crate) fn bound_of(payload: &Payload) -> f64 {
    let bound = payload.bound();
    if bound <= f64::from(f32::MAX) || !bound.is_finite() {
        return bound;
    }
    // The bound is too wide: a sum whose parts cancel, a product of large factors.
    f64::from(Vector::from(payload.decode()).peak())
}

/// The same of a message, or the path of what is not finite.
pub(crate) fn bound(message: &Message, layout: &Layout) -> Result<f64, String> {
    let units = layout.units();
    let place = |i: usize| match units.get(i % units.len().max(1)) {
        Some(unit) => path_at(unit.range.start, layout),
        None => String::new(),
    };
    // One is as parallel as it can be by itself.
    let bounds: Vec<f64> = match message.payloads.as_slice() {
        [one] => vec![bound_of(one)],
        all => all.par_iter().map(|p| bound_of(p)).collect(),
    };
    if let Some(i) = bounds.iter().position(|b| !b.is_finite()) {
        return Err(place(i));
    }
    let notes = message.notes.iter().map(backburn_compress::Note::bound);
    let notes = notes.fold(0.0, |m: f64, n| if n.is_finite() { m.max(n) } else { f64::INFINITY });
    // Notes are distances, counts and losses: not finite is wrong, and large is not loud.
    if notes.is_finite() { Ok(bounds.into_iter().fold(0.0, f64::max)) } else { Err("notes".into()) }
}

/// Refuses a move that is not finite, or from which x would not be; gives a bound of how far x moves. `known` is a bound
/// of its message, where there is one, and `x` gives the common x.
pub(crate) fn check_move(
    moved: &Move,
    known: Option<f64>,
    lr: f64,
    step: u64,
    layout: &Layout,
    x: impl FnOnce() -> Option<Vector>,
) -> Result<f64, RoundError> {
    let overflow = |what, path| RoundError::Overflow { step, what, path };
    let (message, scale) = match moved {
        Move::Own => return Ok(0.0),
        Move::Jump(y) => return finite(y, layout).map(|()| f64::MAX).map_err(|path| overflow("x", path)),
        Move::Direction(d) => (d, lr),
        Move::Update(u) => (u, 1.0),
    };
    let bound = known.map_or_else(|| bound(message, layout), Ok).map_err(|path| overflow("the step", path))?;
    if bound * scale < STILL {
        return Ok(bound * scale);
    }
    // Loud enough to ask x itself.
    let mut x = x().filter(|x| x.len() == layout.len()).ok_or_else(|| overflow("x", path_at(0, layout)))?;
    super::decided::apply(moved, lr, None, &mut x, layout);
    finite(&x, layout).map(|()| bound * scale).map_err(|path| overflow("x", path))
}

/// The path of the first coordinate that is not finite.
fn finite(x: &Vector, layout: &Layout) -> Result<(), String> {
    match x.first_non_finite() {
        None => Ok(()),
        Some(at) => Err(path_at(at, layout)),
    }
}

/// Refuses states that are not finite.
pub(crate) fn check_states(states: &mut States, seats: usize, step: u64, layout: &Layout) -> Result<(), RoundError> {
    let mut look = Look { layout, worker: true, bad: None };
    states.visit(seats, &mut look, layout);
    match look.bad {
        None => Ok(()),
        Some((worker, path)) => {
            let what = if worker { "a worker's state" } else { "the shared state" };
            Err(RoundError::Overflow { step, what, path })
        }
    }
}

struct Look<'a> {
    layout: &'a Layout,
    worker: bool,
    bad: Option<(bool, String)>,
}

impl Look<'_> {
    fn at(&mut self, x: &Vector) {
        if let Err(path) = finite(x, self.layout) {
            self.bad.get_or_insert((self.worker, path));
        }
    }
}

impl Visitor for Look<'_> {
    fn enter(&mut self, owner: Owner) {
        self.worker = matches!(owner, Owner::Worker(_));
    }

    fn vector(&mut self, _: &str, _: Role, x: &mut Vector) {
        self.at(x);
    }

    fn scalar(&mut self, name: &str, x: &mut f64) {
        if !x.is_finite() {
            self.bad.get_or_insert((self.worker, name.into()));
        }
    }

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        for memo in memos {
            if memo.values.iter().any(|x| !x.is_finite()) || memo.scalars.iter().any(|x| !x.is_finite()) {
                self.bad.get_or_insert((self.worker, name.into()));
            }
        }
    }

    fn residual(&mut self, name: &str, residual: &mut Residual, _: &Layout) {
        self.at(residual.corrected());
        // What is left of p may be larger than p where one coordinate's message is made of many's, as a transform is.
        if let Some(applied) = residual.applied() {
            let mut owed = residual.corrected().clone();
            owed.add_decoded(-1.0, applied, self.layout);
            self.at(&owed);
        }
        self.memos(name, residual.memos_mut());
    }
}
