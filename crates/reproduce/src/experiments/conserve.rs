//! What workers owe, and who loses it: at a resume, at a change of n, with an absent worker; by decay, and by dividing
//! through senders. Ours, on what is published of SparseLoCo, DeMo and their like.

use backburn_compress::{AnyCompressor, Key, Layout, Memo, Philox, Scope, Stream, Vector};
use backburn_optim::{Ask, Cluster, Host, Owner, Reply, Role, RoundError, Snapshot, Visitor};

use crate::error::ReproduceError;
use crate::experiment::papers::{DEMO, SPARSE_LOCO};
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::record::judge::{Bound, Exact};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Summary};
use crate::words::short;

pub(super) struct Conserve;

const WHOLE: GroupName = GroupName::new("nothing happens");
const RESUME: GroupName = GroupName::new("a resume");
const RESIZE: GroupName = GroupName::new("four workers become three");
const ABSENT: GroupName = GroupName::new("a worker is absent every third round");

const KEPT: CurveName = CurveName::new("all is kept");
const NONE: CurveName = CurveName::new("no feedback");
const DECAY: CurveName = CurveName::new("residual decays by 0.95");
const SENDERS: CurveName = CurveName::new("divided by senders");
const UNSAVED: CurveName = CurveName::new("residuals are not saved");
const FIRST: CurveName = CurveName::new("the first rank's is saved alone");
const LEAVES: CurveName = CurveName::new("who leaves takes its residual along");
const DROPPED: CurveName = CurveName::new("what it came by is dropped");

/// (group, curve, method)
const CURVES: [(GroupName, CurveName, &str); 12] = [
    (WHOLE, KEPT, PLAIN),
    (WHOLE, DECAY, "sparse-loco"),
    (WHOLE, SENDERS, "sparse-loco:decay=1,senders"),
    (WHOLE, NONE, "compressed-sgd"),
    (RESUME, KEPT, PLAIN),
    (RESUME, UNSAVED, PLAIN),
    (RESUME, FIRST, PLAIN),
    (RESIZE, KEPT, PLAIN),
    (RESIZE, UNSAVED, PLAIN),
    (RESIZE, LEAVES, PLAIN),
    (ABSENT, KEPT, PLAIN),
    (ABSENT, DROPPED, PLAIN),
];
const PLAIN: &str = "sparse-loco:decay=1";
const COMPRESSOR: &str = "topk:512/4096,tiles";
const WORKERS: usize = 4;
/// A matrix of one tile.
const SIDE: usize = 64;

/// ‖Σ mean Δ − (x_0 − x_t) − mean e‖ / ‖Σ mean Δ‖: the share of where all workers came that was neither taken nor is owed.
const LOST: Metric = Metric::new("share that was neither taken nor is owed");

/// What each worker comes by between two rounds: a direction that all share, one of its own, and noise.
#[derive(Clone, Debug)]
struct Deltas {
    seed: u64,
}

impl Deltas {
    fn of(&self, worker: usize, round: u64) -> Vec<f32> {
        let draw = |worker: Option<u32>, step: u64| {
            let key = Key { worker, step, ..Key::new(self.seed) };
            let mut random = Philox::new(key.stream(Stream::PROBLEM).draw());
            (0..SIDE * SIDE).map(move |_| random.normal())
        };
        let own = Some(worker as u32);
        let parts = draw(None, 0).zip(draw(own, 0)).zip(draw(own, 1 + round));
        parts.map(|((common, own), noise)| common + 0.5 * own + noise).collect()
    }
}

/// Gives each worker's Δ, with what it came by in rounds that it missed where that is kept.
struct Workers {
    round: u64,
    deltas: Deltas,
    absent: Option<usize>,
    keeps: bool,
    missed: Vec<Vec<f32>>,
}

impl Host for Workers {
    fn answer(&mut self, worker: usize, _: &Ask) -> Result<Reply, RoundError> {
        let mut delta = self.deltas.of(worker, self.round);
        if let Some(missed) = self.missed.get_mut(worker) {
            delta.iter_mut().zip(missed.drain(..)).for_each(|(delta, missed)| *delta += missed);
        }
        Ok(Reply::gradient(delta))
    }

    fn is_present(&mut self, worker: usize) -> bool {
        self.absent != Some(worker)
    }
}

impl Workers {
    /// Whoever is absent keeps what it came by, or not.
    fn part(&mut self) {
        if let Some(worker) = self.absent.filter(|_| self.keeps) {
            let delta = self.deltas.of(worker, self.round);
            let missed = &mut self.missed[worker];
            missed.resize(delta.len(), 0.0);
            missed.iter_mut().zip(delta).for_each(|(missed, delta)| *missed += delta);
        }
    }
}

/// Sees every worker's residual.
struct Residuals<F> {
    owner: usize,
    see: F,
}

impl<F: FnMut(usize, &mut Vector)> Visitor for Residuals<F> {
    fn enter(&mut self, owner: Owner) {
        self.owner = if let Owner::Worker(worker) = owner { worker } else { usize::MAX };
    }

    fn vector(&mut self, _: &str, role: Role, x: &mut Vector) {
        if role == Role::Residual && self.owner != usize::MAX && !x.is_empty() {
            (self.see)(self.owner, x);
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}
}

fn residuals(cluster: &mut Cluster, see: impl FnMut(usize, &mut Vector)) {
    cluster.visit(&mut Residuals { owner: usize::MAX, see });
}

impl Conserve {
    fn rounds(setup: &Setup) -> u64 {
        setup.scale.pick(8, 64, 64)
    }

    fn cluster(curve: &Curve, workers: usize, seed: u64) -> Result<Cluster, ReproduceError> {
        let layout = Layout::new(vec![("w".into(), vec![SIDE, SIDE])], Scope::Parameter, 0)?;
        let (algorithm, compressor) = (curve.algorithm.parse()?, curve.compressor.parse::<AnyCompressor>()?);
        let x = vec![0.0; layout.len()];
        Ok(Cluster::new(algorithm, compressor, layout, workers, seed, &x)?)
    }

    /// What happens to the workers halfway, as the curve has it.
    fn event(mut cluster: Cluster, curve: &Curve, seed: u64) -> Result<Cluster, ReproduceError> {
        let mut kept = vec![Vec::new(); WORKERS];
        residuals(&mut cluster, |worker, e| kept[worker] = e.as_slice().to_vec());
        let workers = match curve.group {
            RESUME => WORKERS,
            RESIZE => WORKERS - 1,
            _ => return Ok(cluster),
        };
        let mut snapshot = Snapshot::default();
        cluster.save_into(&mut snapshot);
        cluster = Self::cluster(curve, workers, seed)?;
        // Divides anew where n is another.
        cluster.load_from(&snapshot)?;
        match curve.name {
            UNSAVED => residuals(&mut cluster, |_, e| e.scale(0.0)),
            FIRST => residuals(&mut cluster, |worker, e| e.scale(if worker == 0 { 1.0 } else { 0.0 })),
            LEAVES => residuals(&mut cluster, |worker, e| e.as_mut_slice().copy_from_slice(&kept[worker])),
            _ => {}
        }
        Ok(cluster)
    }
}

impl Experiment for Conserve {
    fn about(&self) -> About {
        About {
            name: "conserve",
            title: "Who loses what workers owe: at a resume, a change of n, with an absent worker",
            source: "ours, on Sarfi et al. 2025, SparseLoCo, and Peng, Quesnelle, Kingma 2024, DeMo",
            claims: &[
                "with all kept, what is taken and what is owed is all that workers came by, whatever happens",
                "what is not saved, decays, leaves or is dropped is lost",
                "division by senders takes more than was paid",
            ],
            time: ["7 s", "30 s"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let of = |(group, name, method): (GroupName, CurveName, &str)| Curve {
            workers: WORKERS,
            ..Curve::new(group, name, method, COMPRESSOR, 1.0)
        };
        CURVES.map(of).to_vec()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 5, 20)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("rounds", Self::rounds(setup).to_string()),
            ("what a worker comes by", "N(0, I) for all + N(0, I/4) of its own + N(0, I) anew every round".into()),
            ("x", format!("a matrix of {SIDE} x {SIDE}; no outer momentum, outer step 1")),
            ("when", "after half of the rounds".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["Not the published programs, but what each does to the residual, done to the same method here; DeMo's sign, after which x moves by no sum at all, is left out.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let rounds = Self::rounds(setup);
        let mut cluster = Self::cluster(curve, WORKERS, seed)?;
        let (deltas, missed) = (Deltas { seed }, vec![Vec::new(); WORKERS]);
        let mut host = Workers { round: 0, deltas, absent: None, keeps: curve.name == KEPT, missed };
        let mut x = Vector::zeros(SIDE * SIDE);
        // In f64: what is added up here must not be what is lost.
        let (mut due, mut taken) = (vec![0.0f64; x.len()], vec![0.0f64; x.len()]);
        for round in 0..rounds {
            out.tick(round, rounds)?;
            if round == rounds / 2 {
                cluster = Self::event(cluster, curve, seed)?;
            }
            let n = cluster.workers();
            // Not in the last round, after which it would still have it.
            let away = curve.group == ABSENT && round % 3 == 1;
            (host.round, host.absent) = (round, away.then_some(WORKERS - 1));
            for worker in 0..n {
                let delta = host.deltas.of(worker, round);
                due.iter_mut().zip(delta).for_each(|(due, delta)| *due += f64::from(delta) / n as f64);
            }
            let before = x.clone();
            cluster.round(curve.lr, &x, &mut host)?.apply(&mut x);
            host.part();
            let steps = before.as_slice().iter().zip(x.as_slice());
            taken.iter_mut().zip(steps).for_each(|(taken, (was, is))| *taken += f64::from(*was) - f64::from(*is));

            let mut left: Vec<f64> = due.iter().zip(&taken).map(|(due, taken)| due - taken).collect();
            let mut pay = |e: &[f32]| left.iter_mut().zip(e).for_each(|(left, e)| *left -= f64::from(*e) / n as f64);
            residuals(&mut cluster, |_, e| pay(e.as_slice()));
            host.missed.iter().for_each(|missed| pay(missed));
            let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
            out.record(LOST, (round + 1) as f64, norm(&left) / norm(&due));
        }
        Ok(())
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let of = |group: GroupName, curve: CurveName, summary| results.seeds(group, curve, LOST, summary);
        let kept = [WHOLE, RESUME, RESIZE, ABSENT]
            .map(|group| (group, of(group, KEPT, Summary::Most).map(|seeds| seeds.most())));
        let loses = |claim: &str, source: String, least: f64, parts: &[(GroupName, CurveName)]| {
            let parts =
                parts.iter().map(|(group, curve)| (format!("{group}: {curve}"), of(*group, *curve, Summary::Last)));
            let test = Bound::at_least("share that was neither taken nor is owed, at the end", least);
            Claim::about(claim, source).each(&test, parts).judged()
        };
        vec![
            Claim::about(
                "With all kept, what is taken and what is owed is all that workers came by: through a resume, a change of n, and an absent worker",
                "ours",
            )
            .each(&Exact::at_most("share lost, most over all rounds, to rounding", 1e-5), kept)
            .judged(),
            loses("Without feedback most is lost", "ours".into(), 0.2, &[(WHOLE, NONE)]),
            loses(
                "A residual that decays loses what it decays by, though nothing happens",
                format!("ours, on {SPARSE_LOCO}, Algorithm 1"),
                0.01,
                &[(WHOLE, DECAY)],
            ),
            loses(
                "Division by senders moves x by other than workers have paid",
                format!("ours, on the public programs of {SPARSE_LOCO} and {DEMO}"),
                0.05,
                &[(WHOLE, SENDERS)],
            ),
            loses(
                "A checkpoint without residuals, or with the first rank's alone, loses the others'",
                "ours, on public programs".into(),
                0.01,
                &[(RESUME, UNSAVED), (RESUME, FIRST)],
            ),
            loses(
                "A change of n loses what is not divided anew",
                "ours, on public programs".into(),
                0.005,
                &[(RESIZE, UNSAVED), (RESIZE, LEAVES)],
            ),
            loses(
                "An absent worker that goes on from the common model loses what it came by",
                "ours, on public programs".into(),
                0.01,
                &[(ABSENT, DROPPED)],
            ),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let made = CURVES.into_iter().fold(Made::default(), |made, (group, curve, _)| {
            made.with(group, curve, LOST, &steady(if curve == KEPT { 1e-7 } else { 0.3 }))
        });
        let with = |group: GroupName, curve: CurveName, values: &[f64]| made.clone().with(group, curve, LOST, values);
        let mut all = vec![made.all_hold(), with(RESIZE, KEPT, &steady(0.1)).fails("With all kept")];
        for (group, curve, claim, least) in [
            (WHOLE, NONE, "Without feedback", 0.2),
            (WHOLE, DECAY, "A residual that decays", 0.01),
            (WHOLE, SENDERS, "Division by senders", 0.05),
            (RESUME, FIRST, "A checkpoint", 0.01),
            (RESIZE, LEAVES, "A change of n", 0.005),
            (ABSENT, DROPPED, "An absent worker", 0.01),
        ] {
            all.push(with(group, curve, &steady(1e-6)).fails(claim));
            all.push(with(group, curve, &torn(least - 0.5, least + 0.5)).undecided(claim));
        }
        all
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 2, |group| {
            Panel::of(results, group, LOST, Axis::linear("round"), Axis::log("share lost"))
        })
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table = Table::new("Lost at the end", &["what happens", "what is done", "share"]);
        for (group, curve, _) in CURVES {
            let share = results.last(group, curve, LOST).map_or("–".into(), short);
            table.rows.push(vec![group.into(), curve.into(), share]);
        }
        vec![table]
    }
}
