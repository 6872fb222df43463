//! What is owed to parameters that rest: frozen in mid-run, until they are trained again.

use std::collections::{BTreeMap, BTreeSet};

use backburn_compress::{Layout, Memo, Vector};

use crate::checkpoint::{ResizeError, Snapshot, SnapshotError};
use crate::host::{Cluster, Mail};
use crate::method::{Owner, Role, Visitor};

/// Pieces of states, named as in snapshots: `worker.3.residual/conv1.weight`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parked(BTreeMap<String, Vec<f32>>);

/// Where they lie in a snapshot.
const PREFIX: &str = "parked/";

impl Parked {
    /// Writes them beside the states of the parameters that are trained.
    pub fn save_into(&self, snapshot: &mut Snapshot) {
        let pieces = self.0.iter().map(|(name, piece)| (format!("{PREFIX}{name}"), piece.clone()));
        snapshot.vectors.extend(pieces);
    }

    /// What a snapshot holds of them, for this many workers.
    ///
    /// # Errors
    /// Where a piece is not finite.
    pub fn load_from(snapshot: &Snapshot, workers: usize) -> Result<Self, SnapshotError> {
        let pieces = snapshot.vectors.iter().filter_map(|(name, x)| Some((name.strip_prefix(PREFIX)?.to_string(), x)));
        let mut parked = Self(pieces.map(|(name, x)| (name, x.clone())).collect());
        if let Some((name, _)) = parked.0.iter().find(|(_, x)| !backburn_compress::all_finite(x)) {
            let (name, why) = (format!("{PREFIX}{name}"), "it holds numbers that are not finite".into());
            return Err(SnapshotError::Damaged { name, why });
        }
        let saved = snapshot.number("cluster.workers")? as usize;
        if saved != workers {
            parked.divide(saved, workers);
        }
        Ok(parked)
    }

    /// Gives each of another number of workers the mean.
    fn divide(&mut self, saved: usize, workers: usize) {
        let (of_workers, others) =
            std::mem::take(&mut self.0).into_iter().partition(|(name, _)| of_worker(name).is_some());
        self.0 = others;
        let of_workers: BTreeMap<String, Vec<f32>> = of_workers;
        let mut means: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (name, x) in &of_workers {
            let Some(rest) = of_worker(name) else { continue };
            let mean = means.entry(rest.into()).or_insert_with(|| vec![0.0; x.len()]);
            mean.iter_mut().zip(x).for_each(|(m, x)| *m += f64::from(*x) / saved as f64);
        }
        for (rest, mean) in means {
            let mean: Vec<f32> = mean.into_iter().map(|m| m as f32).collect();
            self.0.extend((0..workers).map(|w| (format!("{}{rest}", Owner::Worker(w)), mean.clone())));
        }
    }

    /// Lays the cluster's states out anew: those of parameters that leave are parked, and those of parameters that
    /// come are taken out again, or begin as at a start from `x`.
    ///
    /// # Errors
    /// As [`Cluster::relaid`]; nothing has changed then.
    pub fn relay<P: Mail>(&mut self, cluster: &mut Cluster<P>, layout: Layout, x: &[f32]) -> Result<(), ResizeError> {
        let paths = |layout: &Layout| layout.parameters().iter().map(|p| p.path.clone()).collect::<BTreeSet<_>>();
        let (old, new) = (cluster.layout().clone(), paths(&layout));
        let leaving: BTreeSet<String> = paths(&old).difference(&new).cloned().collect();
        let mut leave = Leave { owner: Owner::Shared, layout: &old, paths: &leaving, pieces: BTreeMap::new() };
        cluster.visit(&mut leave);
        let pieces = leave.pieces;
        cluster.relaid(layout, x)?;
        let coming: BTreeSet<String> = new.difference(&paths(&old)).cloned().collect();
        let layout = cluster.layout().clone();
        cluster.visit(&mut Come { owner: Owner::Shared, layout: &layout, paths: &coming, parked: &mut self.0 });
        self.0.retain(|name, _| !coming.iter().any(|path| name.ends_with(&format!("/{path}"))));
        self.0.extend(pieces);
        Ok(())
    }
}

/// What follows a worker's own prefix.
fn of_worker(name: &str) -> Option<&str> {
    name.strip_prefix("worker.")?.split_once('.').map(|(_, rest)| rest)
}

fn piece(owner: Owner, name: &str, path: &str) -> String {
    format!("{owner}{name}/{path}")
}

struct Leave<'a> {
    owner: Owner,
    layout: &'a Layout,
    paths: &'a BTreeSet<String>,
    pieces: BTreeMap<String, Vec<f32>>,
}

impl Visitor for Leave<'_> {
    fn enter(&mut self, owner: Owner) {
        self.owner = owner;
    }

    fn vector(&mut self, name: &str, _: Role, x: &mut Vector) {
        if x.len() == self.layout.len() {
            for p in self.layout.parameters().iter().filter(|p| self.paths.contains(&p.path)) {
                self.pieces.insert(piece(self.owner, name, &p.path), x.as_slice()[p.range.clone()].to_vec());
            }
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}
}

struct Come<'a> {
    owner: Owner,
    layout: &'a Layout,
    paths: &'a BTreeSet<String>,
    parked: &'a mut BTreeMap<String, Vec<f32>>,
}

impl Visitor for Come<'_> {
    fn enter(&mut self, owner: Owner) {
        self.owner = owner;
    }

    fn vector(&mut self, name: &str, _: Role, x: &mut Vector) {
        if x.len() != self.layout.len() {
            return;
        }
        for p in self.layout.parameters().iter().filter(|p| self.paths.contains(&p.path)) {
            let parked = self.parked.remove(&piece(self.owner, name, &p.path));
            if let Some(parked) = parked.filter(|parked| parked.len() == p.range.len()) {
                x.as_mut_slice()[p.range.clone()].copy_from_slice(&parked);
            }
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}
}
