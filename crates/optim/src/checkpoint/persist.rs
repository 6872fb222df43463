//! A cluster to and from a [`Snapshot`].
//!
//! A process saves what it has: the states of its own workers, and the shared one. The parts of all processes
//! are [merged](Snapshot::merge) into what one process with all workers would have saved, and any number of
//! processes goes on from that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use backburn_compress::Layout;

use crate::checkpoint::pieces::{Loader, MOST_STEPS, Saver, kinds, owner};
use crate::checkpoint::{ResizeError, Snapshot, SnapshotError};
use crate::host::{Cluster, Mail, SetupError, Terms};
use crate::method::Owner;

/// A damaged count must not ask for endless work.
const MOST_WORKERS: u64 = 1 << 20;

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
