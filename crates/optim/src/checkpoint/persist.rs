//! A cluster to and from a [`Snapshot`].
//!
//! A process saves what it has: the states of its own workers, and the shared one. The parts of all processes
//! are [merged](Snapshot::merge) into what one process with all workers would have saved, and any number of
//! processes goes on from that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use backburn_compress::{Layout, Memo, Vector};

use crate::checkpoint::{ResizeError, Snapshot, SnapshotError};
use crate::host::{Cluster, Mail, SetupError, Terms};
use crate::method::{Owner, Role, Visitor};

/// A damaged count must not ask for endless work.
const MOST_WORKERS: u64 = 1 << 20;
/// No run gets here, and no sum with a counter overflows.
const MOST_STEPS: u64 = 1 << 48;

const WORKERS: &str = "cluster.workers";
const STEP: &str = "cluster.step";
const SEED: &str = "cluster.seed";
const FINGERPRINT: &str = "cluster.fingerprint";
const ALGORITHM: &str = "cluster.algorithm";
const COMPRESSOR: &str = "cluster.compressor";
const PARAMETERS: &str = "cluster.parameters";
/// Which workers are there, where not all are.
const FIRST: &str = "cluster.first";
const SEATS: &str = "cluster.seats";
/// What a worker has to itself beside the cluster: a replica, say, and its optimizer's moments.
pub(crate) const LOCAL: &str = "local.worker.";

impl<M> Cluster<M> {
    /// Writes every state of this process into `snapshot`, vectors of the model's length cut by parameter path,
    /// so that a change of scope or buckets does not lose them.
    pub fn save_into(&mut self, snapshot: &mut Snapshot) {
        let (seats, workers) = (self.seats(), self.workers());
        let numbers = [(WORKERS, workers as u64), (STEP, self.steps()), (SEED, self.seed())];
        snapshot.numbers.extend(numbers.map(|(name, number)| (name.into(), number)));
        snapshot.numbers.insert(FINGERPRINT.into(), self.layout().fingerprint());
        if seats != (0..workers) {
            snapshot.numbers.insert(FIRST.into(), seats.start as u64);
            snapshot.numbers.insert(SEATS.into(), seats.len() as u64);
        }
        snapshot.texts.insert(ALGORITHM.into(), self.algorithm().to_string());
        snapshot.texts.insert(COMPRESSOR.into(), self.compressor().to_string());
        let shapes = serde_json::to_string(&shapes(self.layout())).expect("texts and numbers");
        snapshot.texts.insert(PARAMETERS.into(), shapes);
        let layout = self.layout().clone();
        self.visit(&mut Saver { prefix: String::new(), layout: &layout, snapshot });
    }

    /// Reads the states of this process from `snapshot`. With another number of workers, residuals are
    /// re-divided so that their mean is conserved, momenta are averaged, and what belongs to one worker alone,
    /// or is of another step than the other workers', is refused. The scope, the compressor and the numbers
    /// among the method's arguments may have changed; what compressors remember of other units is let go.
    ///
    /// # Errors
    /// Where the snapshot is of another method, model or seed (see [`take_seed`](Self::take_seed)), lacks
    /// something or holds more, or has numbers that are not finite. Nothing has changed then.
    pub fn load_from(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.same_run(snapshot)?;
        let layout = self.layout().clone();
        same_parameters(snapshot, &layout)?;
        self.read(snapshot, &layout, &BTreeSet::new())
    }

    /// Goes on with the seed of this snapshot instead of its own. All processes must do so.
    ///
    /// # Errors
    /// Where the snapshot has none.
    pub fn take_seed(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.frame.seed = snapshot.number(SEED)?;
        Ok(())
    }

    fn same_run(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let found = snapshot.text(ALGORITHM)?;
        let expected = self.algorithm().to_string();
        if !self.algorithm().continues(found) {
            return Err(SnapshotError::Other { what: "the method", found: found.into(), expected });
        }
        let (found, expected) = (snapshot.number(SEED)?, self.seed());
        if found != expected {
            let (found, expected) = (found.to_string(), expected.to_string());
            return Err(SnapshotError::Other { what: "the seed", found, expected });
        }
        Ok(())
    }

    /// Reads all states; the parameters in `new` may be missing, and keep what they have.
    fn read(&mut self, snapshot: &Snapshot, layout: &Layout, new: &BTreeSet<String>) -> Result<(), SnapshotError> {
        let saved = limited(snapshot, WORKERS, 1..=MOST_WORKERS)? as usize;
        let same = saved == self.workers();
        if !same && self.algorithm().is_gossip() {
            return Err(SnapshotError::Indivisible("node.0.x".into()));
        }
        if !same {
            let first = kinds(snapshot, 0);
            if let Some(other) = (1..saved).find(|w| kinds(snapshot, *w) != first) {
                return Err(SnapshotError::Apart(other));
            }
        }
        let step = limited(snapshot, STEP, 0..=MOST_STEPS)?;
        // What compressors remember is of these units and this compressor alone.
        let remembered = snapshot.number(FINGERPRINT)? == layout.fingerprint()
            && snapshot.text(COMPRESSOR)? == self.compressor().to_string();
        let mut states = self.states.clone();
        let mut loader = Loader {
            saved: (!same).then_some(saved),
            from: Vec::new(),
            owners: BTreeSet::new(),
            used: BTreeSet::new(),
            layout,
            new,
            remembered,
            snapshot,
            error: None,
        };
        states.visit(self.seats().start, &mut loader, layout);
        if let Some(error) = loader.error.take() {
            return Err(error);
        }
        if let Some(name) = loader.leftover(saved) {
            return Err(SnapshotError::Leftover(name));
        }
        states.step = step;
        // How loud the last step was is not saved: the next one is taken carefully.
        (states.loudness, states.lr) = (f64::INFINITY, 0.0);
        self.states = states;
        Ok(())
    }
}

impl<M: Mail> Cluster<M> {
    /// Goes on with another layout: parameters that have been frozen are let go with what is owed to them, those
    /// that have thawed begin at `x`, and the others keep their states, by path. All processes must do so.
    ///
    /// # Errors
    /// Where a parameter has another shape, or processes do not go together. Nothing has changed then.
    pub fn relaid(&mut self, layout: Layout, x: &[f32]) -> Result<(), ResizeError> {
        if x.len() != layout.len() {
            return Err(SetupError::X { given: x.len(), expected: layout.len() }.into());
        }
        let (mut before, now) = (shapes(self.layout()), shapes(&layout));
        if let Some((path, expected)) = now.iter().find(|(path, shape)| before.get(*path).is_some_and(|b| b != *shape))
        {
            let found = before.remove(path).unwrap_or_default();
            return Err(SnapshotError::Shape { path: path.clone(), found, expected: expected.clone() }.into());
        }
        let new: BTreeSet<String> = now.into_keys().filter(|path| !before.contains_key(path)).collect();
        let mut snapshot = Snapshot::default();
        self.save_into(&mut snapshot);
        // The model's layout is another: what was frozen is no leftover.
        let gone = |path: &&String| !layout.parameters().iter().any(|p| p.path == **path);
        let gone: Vec<String> = before.keys().filter(gone).map(|path| format!("/{path}")).collect();
        snapshot.vectors.retain(|name, _| !gone.iter().any(|path| name.ends_with(path)));
        let (frame, states) = (self.frame.clone(), self.states.clone());
        self.frame.layout = Arc::new(layout.clone());
        self.states = self.frame.fresh(x);
        let read = self.read(&snapshot, &layout, &new);
        let (method, compressor) = (self.algorithm().to_string(), self.compressor().to_string());
        let refused = read.as_ref().err().map(ToString::to_string);
        let terms = Terms { layout: &layout, method, compressor, seed: frame.seed, x, refused };
        let met = self.mail.meet(&terms);
        let outcome = read.map_err(ResizeError::from).and_then(|()| met.map(|_| ()).map_err(ResizeError::from));
        if outcome.is_err() {
            (self.frame, self.states) = (frame, states);
        }
        outcome
    }
}

impl Snapshot {
    /// Takes out what this process's workers have to themselves. What is left is the same in all processes that saved at
    /// the same step, and need be kept once; [`merge`](Self::merge) takes both.
    pub fn take_own(&mut self) -> Self {
        let own = |name: &String| matches!(owner(name), Some((_, Some(_)))) || name.starts_with(LOCAL);
        let mut part = Self::default();
        let (vectors, numbers) = (std::mem::take(&mut self.vectors), std::mem::take(&mut self.numbers));
        let texts = std::mem::take(&mut self.texts);
        (part.texts, self.texts) = texts.into_iter().partition(|(name, _)| name.starts_with(LOCAL));
        (part.vectors, self.vectors) = vectors.into_iter().partition(|(name, _)| own(name));
        (part.numbers, self.numbers) = numbers.into_iter().partition(|(name, _)| own(name));
        let (first, seats) = (self.numbers.remove(FIRST), self.numbers.remove(SEATS));
        let all = self.numbers.get(WORKERS).copied().unwrap_or(0);
        part.numbers.insert(FIRST.into(), first.unwrap_or(0));
        part.numbers.insert(SEATS.into(), seats.unwrap_or(all));
        self.numbers.extend([(FIRST.into(), 0), (SEATS.into(), 0)]);
        part
    }

    /// What this process saved, from what it [took out](Self::take_own) and what was left.
    ///
    /// # Errors
    /// Where these do not go together.
    pub fn with_common(mut self, mut common: Self) -> Result<Self, SnapshotError> {
        common.numbers.retain(|name, _| name != FIRST && name != SEATS);
        self.join(common)?;
        Ok(self)
    }

    fn join(&mut self, part: Self) -> Result<(), SnapshotError> {
        join(&mut self.vectors, part.vectors, |a, b| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        })?;
        join(&mut self.numbers, part.numbers, |a, b| a == b)?;
        join(&mut self.texts, part.texts, |a, b| a == b)
    }

    /// What one process with all workers would have saved, from the parts that the processes of a run saved at
    /// the same step.
    ///
    /// # Errors
    /// Where a worker is missing or there twice, or the parts differ in what they share.
    pub fn merge(parts: impl IntoIterator<Item = Self>) -> Result<Self, SnapshotError> {
        let mut whole = Self::default();
        let mut there: BTreeMap<u64, u64> = BTreeMap::new();
        for mut part in parts {
            let (first, seats) = match (part.numbers.remove(FIRST), part.numbers.remove(SEATS)) {
                (Some(first), Some(seats)) => (first, seats),
                _ => (0, part.number(WORKERS)?),
            };
            if seats > 0 && there.insert(first, seats).is_some() {
                return Err(SnapshotError::Parts(Owner::Worker(first as usize).to_string()));
            }
            whole.join(part)?;
        }
        let workers = limited(&whole, WORKERS, 1..=MOST_WORKERS)?;
        let mut end = 0;
        for (first, seats) in there {
            if first != end || seats > workers {
                return Err(SnapshotError::Missing(Owner::Worker(end as usize).to_string()));
            }
            end += seats;
        }
        if end != workers {
            return Err(SnapshotError::Missing(Owner::Worker(end as usize).to_string()));
        }
        Ok(whole)
    }
}

/// Adds what is new, and refuses what is there already and differs.
fn join<T>(
    all: &mut BTreeMap<String, T>,
    part: BTreeMap<String, T>,
    same: impl Fn(&T, &T) -> bool,
) -> Result<(), SnapshotError> {
    for (name, value) in part {
        match all.get(&name) {
            Some(there) if same(there, &value) => {}
            Some(_) => return Err(SnapshotError::Parts(name)),
            None => drop(all.insert(name, value)),
        }
    }
    Ok(())
}

/// Paths and shapes.
fn shapes(layout: &Layout) -> BTreeMap<String, Vec<usize>> {
    layout.parameters().iter().map(|p| (p.path.clone(), p.shape.clone())).collect()
}

/// Refuses a model of other parameters.
fn same_parameters(snapshot: &Snapshot, layout: &Layout) -> Result<(), SnapshotError> {
    let text = snapshot.text(PARAMETERS)?;
    let mut found: BTreeMap<String, Vec<usize>> = serde_json::from_str(text)
        .map_err(|e| SnapshotError::Damaged { name: PARAMETERS.into(), why: e.to_string() })?;
    for (path, expected) in shapes(layout) {
        match found.remove(&path) {
            Some(shape) if shape == expected => {}
            Some(found) => return Err(SnapshotError::Shape { path, found, expected }),
            None => return Err(SnapshotError::Missing(path)),
        }
    }
    found.into_keys().next().map_or(Ok(()), |path| Err(SnapshotError::Leftover(path)))
}

/// A counter within its limits.
fn limited(snapshot: &Snapshot, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, SnapshotError> {
    let number = snapshot.number(name)?;
    if range.contains(&number) {
        return Ok(number);
    }
    let why = format!("it is {number}; {} to {} are allowed", range.start(), range.end());
    Err(SnapshotError::Damaged { name: name.into(), why })
}

/// What must be alike in all workers for their states to be averaged: which vectors there are, and
/// every number, except for what compressors remember.
fn kinds(snapshot: &Snapshot, worker: usize) -> BTreeMap<&str, Option<u64>> {
    let prefix = Owner::Worker(worker).to_string();
    let vectors = snapshot.vectors.keys().map(|name| (name, None));
    let numbers = snapshot.numbers.iter().map(|(name, value)| (name, Some(*value)));
    let own = vectors.chain(numbers).filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value)));
    own.filter(|(name, _)| !name.contains(MEMO)).collect()
}

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
fn owner(name: &str) -> Option<(&str, Option<usize>)> {
    let kinds = ["worker.", "node."];
    if name.starts_with("shared.") {
        return Some(("shared.", None));
    }
    let kind = kinds.iter().find(|kind| name.starts_with(**kind))?;
    let digits = name[kind.len()..].split('.').next()?;
    Some((&name[..kind.len() + digits.len() + 1], Some(digits.parse().ok()?)))
}

struct Saver<'a> {
    prefix: String,
    layout: &'a Layout,
    snapshot: &'a mut Snapshot,
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

struct Loader<'a> {
    /// How many workers were saved, where that is another number than now.
    saved: Option<usize>,
    /// The owner's name, or all workers' where their state is to be re-divided.
    from: Vec<String>,
    /// All owners read so far.
    owners: BTreeSet<String>,
    /// All names read so far.
    used: BTreeSet<String>,
    layout: &'a Layout,
    /// Parameters that may be missing.
    new: &'a BTreeSet<String>,
    /// Whether compressors' memories are of this run.
    remembered: bool,
    snapshot: &'a Snapshot,
    error: Option<SnapshotError>,
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
    fn leftover(&self, saved: usize) -> Option<String> {
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
