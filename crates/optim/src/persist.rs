//! A cluster to and from a [`Snapshot`].

use std::collections::BTreeMap;

use backburn_compress::{Layout, Memo};

use crate::snapshot::{Snapshot, SnapshotError};
use crate::{Cluster, Role, Visitor};

/// A damaged count must not ask for endless work.
const MOST_WORKERS: usize = 1 << 20;

impl Cluster {
    /// Writes every state into `snapshot`, vectors of the model's length cut by parameter path, so
    /// that a change of scope or buckets does not lose them.
    pub fn save_into(&mut self, snapshot: &mut Snapshot) {
        snapshot.numbers.insert("cluster.workers".into(), self.workers() as u64);
        snapshot.numbers.insert("cluster.step".into(), self.steps());
        snapshot.numbers.insert("cluster.seed".into(), self.seed());
        snapshot.texts.insert("cluster.algorithm".into(), self.algorithm().to_string());
        snapshot.texts.insert("cluster.compressor".into(), self.compressor().to_string());
        let layout = self.layout().clone();
        self.visit(&mut Saver { prefix: String::new(), layout: &layout, snapshot });
    }

    /// Reads every state from `snapshot`. With another number of workers, residuals are re-divided
    /// so that their mean is conserved, momenta are averaged, and what belongs to one worker alone,
    /// or is of another step than the other workers', is refused. On an error nothing has changed.
    pub fn load_from(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let found = snapshot.text("cluster.algorithm")?;
        let expected = self.algorithm().to_string();
        if structure(found) != structure(&expected) {
            return Err(SnapshotError::Other { what: "the method", found: found.into(), expected });
        }
        let saved = snapshot.number("cluster.workers")? as usize;
        if !(1..=MOST_WORKERS).contains(&saved) {
            let why = format!("it is {saved}; 1 to {MOST_WORKERS} are allowed");
            return Err(SnapshotError::Damaged { name: "cluster.workers".into(), why });
        }
        let same = saved == self.workers();
        if !same && self.algorithm().is_gossip() {
            return Err(SnapshotError::Indivisible("node.0.x".into()));
        }
        if !same {
            let first = shape(snapshot, 0);
            if let Some(other) = (1..saved).find(|w| shape(snapshot, *w) != first) {
                return Err(SnapshotError::Apart(other));
            }
        }
        let mut loaded = self.clone();
        let layout = self.layout().clone();
        let saved = (!same).then_some(saved);
        let mut loader = Loader { saved, from: Vec::new(), layout: &layout, snapshot, error: None };
        loaded.visit(&mut loader);
        if let Some(error) = loader.error {
            return Err(error);
        }
        loaded.set_steps(snapshot.number("cluster.step")?);
        loaded.set_seed(snapshot.number("cluster.seed")?);
        *self = loaded;
        Ok(())
    }
}

/// A method's form without the numbers of its named arguments: those may change on resuming; another
/// estimator, graph or place of the step size would read the states for what they are not.
fn structure(form: &str) -> Vec<&str> {
    let without_number = |word| match str::split_once(word, '=') {
        Some((key, value)) if value.parse::<f64>().is_ok() => key,
        _ => word,
    };
    form.split([':', ',']).map(without_number).collect()
}

/// What must be alike in all workers for their states to be averaged: which vectors there are, and
/// every number, except for what compressors remember.
fn shape(snapshot: &Snapshot, worker: usize) -> BTreeMap<&str, Option<u64>> {
    let prefix = format!("worker.{worker}.");
    let vectors = snapshot.vectors.keys().map(|name| (name, None));
    let numbers = snapshot.numbers.iter().map(|(name, value)| (name, Some(*value)));
    let own = vectors.chain(numbers).filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value)));
    own.filter(|(name, _)| !name.contains(".memo.")).collect()
}

/// The name of a parameter's piece of a vector.
fn piece(prefix: &str, name: &str, path: &str) -> String {
    format!("{prefix}{name}/{path}")
}

struct Saver<'a> {
    prefix: String,
    layout: &'a Layout,
    snapshot: &'a mut Snapshot,
}

impl Visitor for Saver<'_> {
    fn enter(&mut self, owner: &str) {
        self.prefix = owner.into();
    }

    fn vector(&mut self, name: &str, _: Role, x: &mut Vec<f32>) {
        if x.len() == self.layout.len() {
            for p in self.layout.parameters() {
                self.snapshot.vectors.insert(piece(&self.prefix, name, &p.path), x[p.range.clone()].to_vec());
            }
        } else {
            self.snapshot.vectors.insert(format!("{}{name}", self.prefix), x.clone());
        }
    }

    fn scalar(&mut self, name: &str, x: &mut f64) {
        self.snapshot.set_real(format!("{}{name}", self.prefix), *x);
    }

    fn count(&mut self, name: &str, x: &mut u64) {
        self.snapshot.numbers.insert(format!("{}{name}", self.prefix), *x);
    }

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        for (unit, memo) in self.layout.units().iter().zip(memos) {
            let place = format!("{}{name}.memo.{:016x}", self.prefix, unit.key);
            if !memo.values.is_empty() {
                self.snapshot.vectors.insert(place.clone(), memo.values.clone());
            }
            for (i, scalar) in memo.scalars.iter().enumerate() {
                self.snapshot.set_real(format!("{place}.{i}"), *scalar);
            }
        }
    }
}

struct Loader<'a> {
    /// How many workers were saved, where that is another number than now.
    saved: Option<usize>,
    /// The owner's name, or all workers' where their state is to be re-divided.
    from: Vec<String>,
    layout: &'a Layout,
    snapshot: &'a Snapshot,
    error: Option<SnapshotError>,
}

impl Loader<'_> {
    fn fail(&mut self, error: SnapshotError) {
        self.error.get_or_insert(error);
    }

    fn one(&self, prefix: &str, name: &str) -> Result<Vec<f32>, SnapshotError> {
        if let Some(whole) = self.snapshot.vectors.get(&format!("{prefix}{name}")) {
            return Ok(whole.clone());
        }
        let mut x = vec![0.0; self.layout.len()];
        for p in self.layout.parameters() {
            let saved = self.snapshot.vector(&piece(prefix, name, &p.path))?;
            if saved.len() != p.range.len() {
                let what = "a parameter of length";
                let (found, expected) = (saved.len().to_string(), p.range.len().to_string());
                return Err(SnapshotError::Other { what, found, expected });
            }
            x[p.range.clone()].copy_from_slice(saved);
        }
        Ok(x)
    }

    fn read(&self, name: &str, role: Role) -> Result<Vec<f32>, SnapshotError> {
        if let [prefix] = self.from.as_slice() {
            return self.one(prefix, name);
        }
        let mut mean: Vec<f64> = Vec::new();
        for prefix in &self.from {
            let x = self.one(prefix, name)?;
            if role == Role::Tracker && !x.is_empty() {
                return Err(SnapshotError::Indivisible(name.into()));
            }
            mean.resize(x.len(), 0.0);
            mean.iter_mut().zip(&x).for_each(|(m, x)| *m += f64::from(*x) / self.from.len() as f64);
        }
        Ok(mean.into_iter().map(|m| m as f32).collect())
    }
}

impl Visitor for Loader<'_> {
    fn enter(&mut self, owner: &str) {
        self.from = match self.saved {
            Some(saved) if owner.starts_with("worker.") => (0..saved).map(|w| format!("worker.{w}.")).collect(),
            _ => vec![owner.into()],
        };
    }

    fn vector(&mut self, name: &str, role: Role, x: &mut Vec<f32>) {
        match self.read(name, role) {
            Ok(saved) => *x = saved,
            Err(error) => self.fail(error),
        }
    }

    fn scalar(&mut self, name: &str, x: &mut f64) {
        match self.snapshot.real(&format!("{}{name}", self.from[0])) {
            Ok(saved) => *x = saved,
            Err(error) => self.fail(error),
        }
    }

    fn count(&mut self, name: &str, x: &mut u64) {
        match self.snapshot.number(&format!("{}{name}", self.from[0])) {
            Ok(saved) => *x = saved,
            Err(error) => self.fail(error),
        }
    }

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        // A unit that the snapshot does not know (another scope or compressor) starts afresh.
        for (unit, memo) in self.layout.units().iter().zip(memos) {
            let place = format!("{}{name}.memo.{:016x}", self.from[0], unit.key);
            memo.values = self.snapshot.vectors.get(&place).cloned().unwrap_or_default();
            memo.scalars = (0..).map_while(|i| self.snapshot.real(&format!("{place}.{i}")).ok()).collect();
        }
    }
}
