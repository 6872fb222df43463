//! A worker that has no gradient for a parameter counts as absent there.
//!
//! The step runs with zeros in its place, of gradient, x and state, so that decay and momentum add nothing; the
//! unit's payload becomes an explicit zero, so that all stays owed; and what stood in the state is put back when
//! the step ends, residuals in units of the step size in those of the new one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use backburn_compress::{Layout, Memo, Message, Payload, Vector};

use crate::host::mail::Letter;
use crate::method::erased::Slot;
use crate::method::{Residual, Role, Visitor};

/// The units of which one state's owner says nothing in a step, and what stood there.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    units: Vec<u32>,
    ranges: Vec<Range<usize>>,
    vectors: BTreeMap<String, Vec<Vec<f32>>>,
    memos: BTreeMap<String, Vec<Memo>>,
    x: Option<Vector>,
    /// The step size in units of which residuals stood.
    lr: f64,
}

impl Silence {
    /// A worker's, for the parameters that it misses; its state is zero there until the step ends.
    pub fn begin(missing: &[usize], x: &Vector, local: &mut Slot, layout: &Layout) -> Self {
        if missing.is_empty() {
            return Self::default();
        }
        let mut silence = Self::of(units_of(missing, layout), layout);
        if silence.units.is_empty() {
            return silence;
        }
        local.visit(&mut Aside { silence: &mut silence, len: layout.len(), clear: true }, layout);
        if x.len() == layout.len() {
            let mut x = x.clone();
            silence.ranges.iter().for_each(|range| x.clear_range(range.clone()));
            silence.x = Some(x);
        }
        silence
    }

    /// A shared state's, which goes on as it is and will be put back.
    pub fn aside(units: &[u32], shared: &mut Slot, layout: &Layout) -> Self {
        let mut silence = Self::of(units.to_vec(), layout);
        if !units.is_empty() {
            shared.visit(&mut Aside { silence: &mut silence, len: layout.len(), clear: false }, layout);
        }
        silence
    }

    fn of(units: Vec<u32>, layout: &Layout) -> Self {
        let ranges = units.iter().map(|u| layout.units()[*u as usize].range.clone()).collect();
        Self { units, ranges, ..Self::default() }
    }

    /// The units.
    pub fn units(&self) -> &[u32] {
        &self.units
    }

    /// x as this worker is to see it.
    pub fn x<'a>(&'a self, x: &'a Vector) -> &'a Vector {
        self.x.as_ref().unwrap_or(x)
    }

    /// Says nothing of the units, and owes what would have been said.
    pub fn hush(&self, message: &mut Message, local: &mut Slot, layout: &Layout) {
        if self.units.is_empty() {
            return;
        }
        for unit in &self.units {
            if let Some(payload) = message.payloads.get_mut(*unit as usize) {
                *payload = Arc::new(Payload::zero(layout.units()[*unit as usize].len()));
            }
        }
        local.visit(&mut Withhold { units: &self.units }, layout);
    }

    /// Puts back what stood there.
    pub fn end(&self, state: &mut Slot, layout: &Layout) {
        if self.units.is_empty() {
            return;
        }
        let mut now = StepSize(0.0);
        state.visit(&mut now, layout);
        let scale = if self.lr == 0.0 || now.0 == 0.0 { 1.0 } else { (self.lr / now.0) as f32 };
        state.visit(&mut Back { silence: self, len: layout.len(), scale }, layout);
    }

    /// The units of which nobody who spoke said anything.
    pub fn common(letters: &[Option<Letter>]) -> Vec<u32> {
        let mut present = letters.iter().flatten();
        let Some(first) = present.next() else { return Vec::new() };
        let mut units = first.silent.clone();
        present.for_each(|letter| units.retain(|u| letter.silent.binary_search(u).is_ok()));
        units
    }
}

/// The units that hold no parameter but missing ones.
fn units_of(missing: &[usize], layout: &Layout) -> Vec<u32> {
    let overlaps = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
    let there = |i: &usize| !missing.contains(i);
    let there: Vec<&Range<usize>> =
        (0..layout.parameters().len()).filter(there).map(|i| &layout.parameters()[i].range).collect();
    let silent = |unit: &Range<usize>| {
        // Parameters are in the order of the vector.
        let after = there.partition_point(|p| p.end <= unit.start);
        there[after..].iter().take_while(|p| p.start < unit.end).all(|p| !overlaps(p, unit))
    };
    let units = layout.units().iter().enumerate().filter(|(_, unit)| silent(&unit.range));
    units.map(|(u, _)| u as u32).collect()
}

/// Keeps what stands at the units.
struct Aside<'a> {
    silence: &'a mut Silence,
    len: usize,
    clear: bool,
}

impl Visitor for Aside<'_> {
    fn vector(&mut self, name: &str, _: Role, x: &mut Vector) {
        if x.len() != self.len {
            return;
        }
        let slices = self.silence.ranges.iter().map(|range| x.as_slice()[range.clone()].to_vec()).collect();
        self.silence.vectors.insert(name.into(), slices);
        if self.clear {
            self.silence.ranges.iter().for_each(|range| x.clear_range(range.clone()));
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        let kept = self.silence.units.iter().filter_map(|u| memos.get(*u as usize).cloned()).collect();
        self.silence.memos.insert(name.into(), kept);
    }

    fn step_size(&mut self, lr: &mut f64) {
        self.silence.lr = *lr;
    }
}

/// The step size in units of which residuals stand.
struct StepSize(f64);

impl Visitor for StepSize {
    fn vector(&mut self, _: &str, _: Role, _: &mut Vector) {}

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}

    fn residual(&mut self, _: &str, _: &mut Residual, _: &Layout) {}

    fn step_size(&mut self, lr: &mut f64) {
        self.0 = *lr;
    }
}

/// Lets lazy residuals owe what would have been said.
struct Withhold<'a> {
    units: &'a [u32],
}

impl Visitor for Withhold<'_> {
    fn vector(&mut self, _: &str, _: Role, _: &mut Vector) {}

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}

    fn residual(&mut self, _: &str, residual: &mut Residual, layout: &Layout) {
        residual.withhold(self.units, layout);
    }
}

/// Puts it back.
struct Back<'a> {
    silence: &'a Silence,
    len: usize,
    /// Of residuals.
    scale: f32,
}

impl Visitor for Back<'_> {
    fn vector(&mut self, name: &str, role: Role, x: &mut Vector) {
        if x.len() != self.len {
            return;
        }
        let scale = if role == Role::Residual { self.scale } else { 1.0 };
        let x = x.as_mut_slice();
        let kept = self.silence.vectors.get(name);
        for (i, range) in self.silence.ranges.iter().enumerate() {
            match kept {
                Some(slices) => x[range.clone()].iter_mut().zip(&slices[i]).for_each(|(x, kept)| *x = kept * scale),
                // It was empty before its first use.
                None => x[range.clone()].fill(0.0),
            }
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        let kept = self.silence.memos.get(name).into_iter().flatten();
        for (unit, memo) in self.silence.units.iter().zip(kept) {
            if let Some(place) = memos.get_mut(*unit as usize) {
                place.clone_from(memo);
            }
        }
    }

    fn residual(&mut self, name: &str, residual: &mut Residual, layout: &Layout) {
        residual.withhold(&self.silence.units, layout);
        self.vector(name, Role::Residual, residual.corrected_mut());
        self.memos(name, residual.memos_mut());
    }
}
