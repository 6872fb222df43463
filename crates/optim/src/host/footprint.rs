//! How much a method keeps, found by asking it: two rounds on a small model, and what its states then show.

use backburn_compress::{AnyCompressor, Layout, Memo, Scope, Vector};

use crate::host::{Cluster, Reply, SetupError};
use crate::method::{AnyAlgorithm, Ask, Owner, Role, Visitor};

/// What a method keeps and says, in floats a coordinate of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Footprint {
    /// Of every worker: residual, momentum, what compressors remember.
    pub worker: f64,
    /// Of the shared state; under gossip of every node's, its x included.
    pub shared: f64,
    /// Of a worker's encoded messages in a step.
    pub said: f64,
}

/// A matrix of 64 × 64, on which joint methods and low ranks work as well.
const SIDE: usize = 64;
const WORKERS: usize = 4;

impl AnyAlgorithm {
    /// What it keeps with this compressor, measured: methods of an embedder's own need not say it.
    ///
    /// # Errors
    /// Where they do not go together.
    pub fn footprint(&self, compressor: &AnyCompressor) -> Result<Footprint, SetupError> {
        let layout =
            Layout::new(vec![("x".into(), vec![SIDE, SIDE])], Scope::Parameter, 0).map_err(SetupError::from)?;
        let d = layout.len();
        let mut x: Vector = (0..d).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect::<Vec<f32>>().into();
        let mut cluster = Cluster::new(self.clone(), compressor.clone(), layout, WORKERS, 7, x.as_slice())?;
        let mut said: f64 = 0.0;
        for _ in 0..2 {
            let g = x.clone();
            let mut host = |_: usize, ask: &Ask| match ask {
                Ask::Gradient { .. } => Ok(Reply::gradient(g.clone())),
                Ask::Loss { .. } => Ok(Reply::Loss(1.0)),
            };
            // A round that fails leaves states as they are, which is a measure as well.
            if let Ok(decided) = cluster.round(0.01, &x, &mut host) {
                said = said.max(decided.traffic.per_worker().up / 4.0);
                decided.apply(&mut x);
            }
        }
        let mut count = Count::default();
        cluster.visit(&mut count);
        let shared = if self.is_gossip() { WORKERS } else { 1 };
        let share = |floats: usize, of: usize| floats as f64 / (d * of) as f64;
        Ok(Footprint {
            worker: share(count.floats[0], WORKERS),
            shared: share(count.floats[1], shared),
            said: said / d as f64,
        })
    }
}

/// Floats of workers, and of what is shared.
#[derive(Default)]
struct Count {
    floats: [usize; 2],
    shared: usize,
}

impl Visitor for Count {
    fn enter(&mut self, owner: Owner) {
        self.shared = usize::from(!matches!(owner, Owner::Worker(_)));
    }

    fn vector(&mut self, _: &str, _: Role, x: &mut Vector) {
        self.floats[self.shared] += x.len();
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, memos: &mut Vec<Memo>) {
        let room = |memo: &Memo| memo.values.len() + 2 * memo.scalars.len() + memo.scratch.len() + memo.work.len();
        self.floats[self.shared] += memos.iter().map(room).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_those_of_the_methods_definitions() {
        // Of each worker and of all, with a compressor that remembers nothing.
        for (method, worker, shared) in [
            ("sgd", 0.0, 0.0),
            ("sgd:momentum=0.9", 1.0, 0.0),
            ("ef-sgd", 1.0, 0.0),
            ("ef-sgd:momentum=0.9", 2.0, 0.0),
            ("ef-sgd-bidirectional", 1.0, 1.0),
            ("ef21-sgd", 1.0, 1.0),
            ("ef21-sgdm:eta=0.1", 2.0, 1.0),
            ("dgc", 2.0, 0.0),
            ("beer", 4.0, 3.0),
        ] {
            let seen = method.parse::<AnyAlgorithm>().unwrap().footprint(&"identity".parse().unwrap()).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() < 0.05;
            assert!(near(seen.worker, worker) && near(seen.shared, shared), "{method}: {seen:?}");
        }
    }

    #[test]
    fn every_method_of_the_table_is_measured_and_says_something() {
        let compressor = || "topk:0.01".parse().unwrap();
        for row in AnyAlgorithm::table() {
            for example in row.examples {
                let method: AnyAlgorithm = example.parse().unwrap();
                let seen = method.footprint(&compressor()).or_else(|_| method.footprint(&"sign".parse().unwrap()));
                let seen = seen.unwrap_or_else(|e| panic!("{example}: {e}"));
                assert!(seen.said > 0.0 && seen.worker < 12.0 && seen.shared < 12.0, "{example}: {seen:?}");
            }
        }
    }
}
