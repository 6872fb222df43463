//! States as the named pieces of a [`Snapshot`]: vectors cut by the paths of parameters, numbers, and what compressors
//! remember of a unit.

use std::collections::{BTreeMap, BTreeSet};

use backburn_compress::{Layout, Memo, Vector};

use crate::checkpoint::snapshot::{Snapshot, SnapshotError};
use crate::method::{Owner, Role, Visitor};

/// What must be alike in all workers for their states to be averaged: which vectors there are, and
/// every number, except for what compressors remember.
pub(super) fn kinds(snapshot: &Snapshot, worker: usize) -> BTreeMap<&str, Option<u64>> {
    let prefix = Owner::Worker(worker).to_string();
    let vectors = snapshot.vectors.keys().map(|name| (name, None));
    let numbers = snapshot.numbers.iter().map(|(name, value)| (name, Some(*value)));
    let own = vectors.chain(numbers).filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value)));
    own.filter(|(name, _)| !name.contains(MEMO)).collect()
}

/// No run gets here, and no sum with a counter overflows.
pub(super) const MOST_STEPS: u64 = 1 << 48;
const MEMO: &str = ".memo.";

/// The name of a parameter's piece of a vector.
fn piece(prefix: &str, name: &str, path: &str) -> String {
    format!("{prefix}{name}/{path}")
}

/// Where what a compressor remembers of a unit is kept.
fn memo(prefix: &str, name: &str, key: u64) -> String {
    format!("{prefix}{name}{MEMO}{key:016x}")
}

/// Whose a piece is: the index of a worker or node, or none for what is shared. `None` for what is no state.
pub(super) fn owner(name: &str) -> Option<(&str, Option<usize>)> {
    let kinds = ["worker.", "node."];
    if name.starts_with("shared.") {
        return Some(("shared.", None));
    }
    let kind = kinds.iter().find(|kind| name.starts_with(**kind))?;
    let digits = name[kind.len()..].split('.').next()?;
    Some((&name[..kind.len() + digits.len() + 1], Some(digits.parse().ok()?)))
}

pub(super) struct Saver<'a> {
    pub prefix: String,
    pub layout: &'a Layout,
    pub snapshot: &'a mut Snapshot,
}

impl Visitor for Saver<'_> {
    fn enter(&mut self, owner: Owner) {
        self.prefix = owner.to_string();
    }

    fn vector(&mut self, name: &str, _: Role, x: &mut Vector) {
        if x.len() == self.layout.len() {
            for p in self.layout.parameters() {
                self.snapshot
                    .vectors
                    .insert(piece(&self.prefix, name, &p.path), x.as_slice()[p.range.clone()].to_vec());
            }
        } else {
            self.snapshot.vectors.insert(format!("{}{name}", self.prefix), x.as_slice().to_vec());
        }
    }

    fn scalar(&mut self, name: &str, x: &mut f64) {
        self.snapshot.set_real(format!("{}{name}", self.prefix), *x);
    }

    fn count(&mut self, name: &str, x: &mut u64) {
        self.snapshot.numbers.insert(format!("{}{name}", self.prefix), *x);
    }

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        for (unit, m) in self.layout.units().iter().zip(memos) {
            let place = memo(&self.prefix, name, unit.key);
            if !m.values.is_empty() {
                self.snapshot.vectors.insert(place.clone(), m.values.clone());
            }
            for (i, scalar) in m.scalars.iter().enumerate() {
                self.snapshot.set_real(format!("{place}.{i}"), *scalar);
            }
        }
    }
}

pub(super) struct Loader<'a> {
    /// How many workers were saved, where that is another number than now.
    pub saved: Option<usize>,
    /// The owner's name, or all workers' where their state is to be re-divided.
    pub from: Vec<String>,
    /// All owners read so far.
    pub owners: BTreeSet<String>,
    /// All names read so far.
    pub used: BTreeSet<String>,
    pub layout: &'a Layout,
    /// Parameters that may be missing.
    pub new: &'a BTreeSet<String>,
    /// Whether compressors' memories are of this run.
    pub remembered: bool,
    pub snapshot: &'a Snapshot,
    pub error: Option<SnapshotError>,
}

impl Loader<'_> {
    fn fail(&mut self, error: SnapshotError) {
        self.error.get_or_insert(error);
    }

    /// A saved vector, finite.
    fn take(&mut self, name: String) -> Result<&[f32], SnapshotError> {
        let x = self.snapshot.vector(&name)?;
        if x.iter().any(|x| !x.is_finite()) {
            return Err(SnapshotError::Damaged { name, why: "it holds numbers that are not finite".into() });
        }
        self.used.insert(name);
        Ok(x)
    }

    fn one(&mut self, prefix: &str, name: &str, now: &[f32]) -> Result<Vec<f32>, SnapshotError> {
        let whole = format!("{prefix}{name}");
        if self.snapshot.vectors.contains_key(&whole) {
            let found = self.take(whole.clone())?.len();
            // Empty before its first use; of another length than the model's otherwise.
            let expected = self.layout.len();
            return if found == 0 {
                Ok(Vec::new())
            } else {
                Err(SnapshotError::Length { name: whole, found, expected })
            };
        }
        let layout = self.layout;
        let mut x = if now.len() == layout.len() { now.to_vec() } else { vec![0.0; layout.len()] };
        for p in layout.parameters() {
            let name = piece(prefix, name, &p.path);
            if self.new.contains(&p.path) && !self.snapshot.vectors.contains_key(&name) {
                continue;
            }
            let saved = self.take(name.clone())?;
            if saved.len() != p.range.len() {
                return Err(SnapshotError::Length { name, found: saved.len(), expected: p.range.len() });
            }
            x[p.range.clone()].copy_from_slice(saved);
        }
        Ok(x)
    }

    fn vector_of(&mut self, name: &str, role: Role, now: &[f32]) -> Result<Vec<f32>, SnapshotError> {
        let from = self.from.clone();
        if let [prefix] = from.as_slice() {
            return self.one(prefix, name, now);
        }
        let mut mean: Vec<f64> = Vec::new();
        for prefix in &from {
            let x = self.one(prefix, name, now)?;
            if role == Role::Tracker && !x.is_empty() {
                return Err(SnapshotError::Indivisible(name.into()));
            }
            mean.resize(x.len(), 0.0);
            mean.iter_mut().zip(&x).for_each(|(m, x)| *m += f64::from(*x) / from.len() as f64);
        }
        Ok(mean.into_iter().map(|m| m as f32).collect())
    }

    /// A number of the owner; all workers have the same where their state is re-divided.
    fn number(&mut self, name: &str) -> Result<u64, SnapshotError> {
        self.used.extend(self.from.iter().map(|prefix| format!("{prefix}{name}")));
        self.snapshot.number(&format!("{}{name}", self.from[0]))
    }

    fn real(&mut self, name: &str) -> Result<f64, SnapshotError> {
        let real = f64::from_bits(self.number(name)?);
        if real.is_finite() {
            return Ok(real);
        }
        let name = format!("{}{name}", self.from[0]);
        Err(SnapshotError::Damaged { name, why: format!("it is {real}") })
    }

    fn memo(&mut self, prefix: &str, name: &str, key: u64) -> Result<Memo, SnapshotError> {
        let place = memo(prefix, name, key);
        let values = match self.snapshot.vectors.contains_key(&place) {
            true => self.take(place.clone())?.to_vec(),
            false => Vec::new(),
        };
        let mut scalars = Vec::new();
        while let Ok(scalar) = self.snapshot.real(&format!("{place}.{}", scalars.len())) {
            self.used.insert(format!("{place}.{}", scalars.len()));
            scalars.push(scalar);
        }
        Ok(Memo::new(values, scalars))
    }

    /// A piece of an owner that was read, or of one that there is not, which nobody asked for.
    pub fn leftover(&self, saved: usize) -> Option<String> {
        let mut names = self.snapshot.vectors.keys().chain(self.snapshot.numbers.keys());
        let left = |name: &&String| match owner(name) {
            None => false,
            Some((prefix, _)) if self.owners.contains(prefix) => {
                // A memory of other units, or of one of many workers, is let go.
                let memory = name.contains(MEMO) && (!self.remembered || self.saved.is_some());
                !memory && !self.used.contains(*name)
            }
            // Another process's worker.
            Some((prefix, Some(index))) => {
                index >= saved || !self.kinds().contains(&prefix.split('.').next().unwrap_or(""))
            }
            Some((_, None)) => true,
        };
        names.find(left).cloned()
    }

    /// The kinds of owners that there are.
    fn kinds(&self) -> BTreeSet<&str> {
        self.owners.iter().filter_map(|owner| owner.split('.').next()).collect()
    }
}

impl Visitor for Loader<'_> {
    fn enter(&mut self, owner: Owner) {
        self.from = match self.saved {
            Some(saved) if matches!(owner, Owner::Worker(_)) => {
                (0..saved).map(|w| Owner::Worker(w).to_string()).collect()
            }
            _ => vec![owner.to_string()],
        };
        self.owners.extend(self.from.iter().cloned());
    }

    fn vector(&mut self, name: &str, role: Role, x: &mut Vector) {
        match self.vector_of(name, role, x.as_slice()) {
            Ok(saved) => *x = saved.into(),
            Err(error) => self.fail(error),
        }
    }

    fn scalar(&mut self, name: &str, x: &mut f64) {
        match self.real(name) {
            Ok(saved) => *x = saved,
            Err(error) => self.fail(error),
        }
    }

    fn count(&mut self, name: &str, x: &mut u64) {
        match self.number(name) {
            Ok(saved) if saved <= MOST_STEPS => *x = saved,
            Ok(saved) => {
                let name = format!("{}{name}", self.from[0]);
                self.fail(SnapshotError::Damaged { name, why: format!("it counts {saved}") });
            }
            Err(error) => self.fail(error),
        }
    }

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        let prefix = self.from[0].clone();
        memos.resize_with(self.layout.units().len(), Memo::default);
        for (unit, place) in self.layout.units().iter().zip(memos) {
            match self.memo(&prefix, name, unit.key) {
                Ok(memo) => *place = memo,
                Err(error) => return self.fail(error),
            }
        }
    }
}
