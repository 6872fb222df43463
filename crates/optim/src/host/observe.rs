//! Measures of a cluster's residuals, for logs.

use backburn_compress::{Layout, Memo, Vector};
use serde::{Deserialize, Serialize};

use crate::host::Cluster;
use crate::method::{Owner, Residual, Role, Visitor};

/// What the last step left owed. Costs passes over memory of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// ‖e_i‖₂ of every worker of this process.
    pub residual_norms: Vec<f64>,
    /// 1 − ‖C(p) − p‖²/‖p‖² of every worker that keeps a lazy residual.
    pub contractions: Vec<f64>,
    /// The share of coordinates that the payloads of each name.
    pub densities: Vec<f64>,
}

impl Observation {
    /// √(mean_i ‖e_i‖²).
    pub fn residual_norm(&self) -> f64 {
        let n = self.residual_norms.len().max(1) as f64;
        (self.residual_norms.iter().map(|r| r * r).sum::<f64>() / n).sqrt()
    }

    /// The mean contraction over workers; `None` where no lazy residual is kept.
    pub fn contraction(&self) -> Option<f64> {
        mean(&self.contractions)
    }

    /// The mean density over workers; `None` where no lazy residual is kept.
    pub fn density(&self) -> Option<f64> {
        mean(&self.densities)
    }

    /// What the workers of all processes owe, from what each of them has seen, in their order.
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.residual_norms.extend(part.residual_norms);
            all.contractions.extend(part.contractions);
            all.densities.extend(part.densities);
        }
        all
    }
}

impl<M> Cluster<M> {
    /// Measures what every worker of this process owes. The run goes on with the same bits.
    pub fn observe(&mut self) -> Observation {
        let workers = self.seats().len();
        let mut recorder = Recorder::default();
        self.visit(&mut recorder);
        let seen = recorder.0;
        let seen: Vec<&Seen> = seen.iter().filter(|s| s.worker).collect();
        let all = |of: fn(&Seen) -> Option<f64>| seen.iter().filter_map(|s| of(s)).collect();
        let residual_norms: Vec<f64> = seen.iter().map(|s| s.owed.sqrt()).collect();
        debug_assert_eq!(residual_norms.len(), workers);
        Observation { residual_norms, contractions: all(|s| s.contraction), densities: all(|s| s.density) }
    }
}

#[derive(Default)]
struct Seen {
    worker: bool,
    owed: f64,
    contraction: Option<f64>,
    density: Option<f64>,
}

#[derive(Default)]
struct Recorder(Vec<Seen>);

impl Recorder {
    fn last(&mut self) -> &mut Seen {
        self.0.last_mut().expect("a state has been entered")
    }
}

impl Visitor for Recorder {
    fn enter(&mut self, owner: Owner) {
        self.0.push(Seen { worker: matches!(owner, Owner::Worker(_)), ..Seen::default() });
    }

    fn vector(&mut self, _: &str, role: Role, x: &mut Vector) {
        if role == Role::Residual {
            self.last().owed += x.square();
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}

    fn residual(&mut self, _: &str, residual: &mut Residual, layout: &Layout) {
        let before = residual.corrected().square();
        let sent = residual.applied().map(|m| m.payloads.iter().map(|p| p.sent()).sum::<usize>());
        residual.materialise(layout);
        let after = residual.corrected().square();
        let seen = self.last();
        seen.owed += after;
        seen.density = sent.map(|s| s as f64 / layout.len() as f64);
        seen.contraction = sent.map(|_| if before == 0.0 { 1.0 } else { 1.0 - after / before });
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
