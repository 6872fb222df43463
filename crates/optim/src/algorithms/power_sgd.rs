use std::fmt;
use std::sync::Arc;

use backburn_compress::low_rank::{first_q, matrix, orthonormalise, refresh_q, times_q, transpose_times};
use backburn_compress::{Key, Layout, Memo, Message, ParameterError, Payload, Unit, decode_into};

use super::ef_sgd::silence;
use super::joint::{Worker, floats, mean_at, unused};
use super::{Entry, LocalGradient, dense};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Buf, Cx, Decision, Inbox, Move, Next, Plain, Role, Seen, State, Visitor};

/// PowerSGD (Vogels, Karimireddy, Jaggi 2019), joint: with M_i = g_i + e_i as a matrix [d₀, d/d₀], the
/// workers average P = M_i·Q, make it orthonormal, and average Q = M_iᵀ·P; e_i = M_i − P·Qᵀ. Q is
/// shared and starts from the last step's. Weight decay and momentum come after, on the common
/// P·Qᵀ: d = PQᵀ + λx, m = βm + d, x ← x − γm (the paper steps along d + m).
///
/// The step size is outside, as in [`EfSgd::with_step_outside`](super::EfSgd::with_step_outside).
/// One-dimensional units, and those that two factors would not shorten, are sent dense. Where a
/// worker is absent, what counts as applied of the others' is P·Qᵀ·n/present, so that the workers'
/// mean is the step that was taken. Its compressor is its own: any other is accepted and unused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerSgd {
    /// Columns of P and Q.
    rank: usize,
    /// β and λ, of the common step.
    common: LocalGradient,
}

pub(super) const ENTRY: Entry = Entry {
    name: "powersgd",
    usage: "powersgd[:rank=COUNT][,momentum=β][,weight-decay=λ]",
    about: "joint low-rank compression (rank 4) with a shared warm Q; two rounds",
    examples: &["powersgd", "powersgd:rank=1", "powersgd:rank=2,momentum=0.9,weight-decay=0.0005"],
    parse: |args| {
        let sgd = PowerSgd::new(args.named("rank")?.unwrap_or(RANK))?;
        Ok(AnyAlgorithm::new(PowerSgd { common: LocalGradient::parse(args)?, ..sgd }))
    },
};

/// The rank where nothing is said.
const RANK: usize = 4;

impl PowerSgd {
    /// Of rank `rank` ≥ 1.
    pub fn new(rank: usize) -> Result<Self, ParameterError> {
        if rank == 0 { Err(ParameterError::Zero("rank")) } else { Ok(Self { rank, common: LocalGradient::default() }) }
    }

    /// Momentum β ∈ [0, 1) and weight decay λ ≥ 0 of the common step.
    pub fn with_momentum(self, momentum: f64, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { common: LocalGradient::new(momentum, weight_decay)?, ..self })
    }

    /// Rows and columns of a unit that goes as two factors.
    fn matrix(&self, unit: &Unit) -> Option<(usize, usize)> {
        if unit.dense { None } else { matrix(unit, self.rank) }
    }

    /// The place of every unit that is a matrix in the second round's messages.
    fn second(&self, layout: &Layout) -> Vec<Option<usize>> {
        let mut next = 0..;
        layout.units().iter().map(|u| self.matrix(u).and_then(|_| next.next())).collect()
    }

    /// The shared Q of this step, transposed.
    fn q(&self, memo: &Memo, columns: usize, key: &Key) -> Buf {
        let mut q = memo.values.clone();
        if q.len() != self.rank * columns {
            q = first_q(columns, self.rank, key);
        }
        refresh_q(&mut q, columns, key);
        q
    }

    /// P·Qᵀ where a unit is a matrix, P standing in `first`, `other` elsewhere.
    fn product(&self, first: &[Arc<Payload>], q: &[Buf], other: &[Arc<Payload>], layout: &Layout) -> Message {
        let places = self.second(layout);
        let of = |(u, unit): (usize, &Unit)| match (self.matrix(unit), places[u]) {
            (Some((rows, _)), Some(place)) => {
                let (p, q) = (first[u].decode(), q[place].clone());
                Arc::new(Payload::LowRank { rows, rank: self.rank, p, q })
            }
            _ => other[u].clone(),
        };
        layout.units().iter().enumerate().map(of).collect()
    }

    /// d = PQᵀ + λx, m = βm + d, and the move along m.
    fn step(&self, shared: &Shared, joint: Message, heard: Option<Message>, q: &[Buf], cx: &Cx<'_>) -> Next {
        let memo =
            |place: &Option<usize>| Memo { values: place.map_or(Buf::new(), |p| q[p].clone()), ..Memo::default() };
        let memos = self.second(cx.layout).iter().map(memo).collect();
        if self.common == LocalGradient::default() {
            return Next::Done(Decision { heard, memos, ..Move::Direction(joint).into() });
        }
        let mut m = vec![0.0; cx.layout.len()];
        decode_into(&joint, 1.0, &mut m, cx.layout);
        self.common.decay(&mut m, cx);
        let beta = self.common.momentum() as f32;
        m.iter_mut().zip(&shared.m).for_each(|(d, m)| *d += beta * m);
        let heard = Some(heard.unwrap_or(joint));
        Next::Done(Decision { heard, memos, kept: m.clone(), ..Move::Direction(dense(&m, cx.layout)).into() })
    }
}

impl fmt::Display for PowerSgd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [momentum, decay] = self.common.form();
        write_form(f, "powersgd", &[("rank", self.rank.to_string()), momentum, decay])
    }
}

/// The shared Q, one memo a unit, and m.
#[derive(Clone, Debug)]
pub struct Shared {
    q: Vec<Memo>,
    m: Buf,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.memos("q", &mut self.q);
        visitor.vector("momentum", Role::Momentum, &mut self.m);
    }
}

impl Algorithm for PowerSgd {
    type Takes = Plain;
    type Local = Worker;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Worker {
        Worker::new(cx.layout)
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { q: vec![Memo::default(); cx.layout.units().len()], m: Buf::new() }
    }

    fn needs_x(&self) -> bool {
        self.common.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn warning(&self, cx: &Cx<'_>) -> Option<String> {
        unused(self, cx.compressor)
    }

    fn begin(&self, local: &mut Worker, shared: &Shared, seen: Seen, cx: &Cx<'_>) -> Message {
        let Some(m) = local.accumulate(&LocalGradient::default(), seen, cx) else { return silence(cx.layout) };
        let said = cx.layout.units().iter().zip(&shared.q).map(|(unit, memo)| {
            let m = &m[unit.range.clone()];
            floats(match self.matrix(unit) {
                Some((rows, columns)) => {
                    times_q(m, rows, &self.q(memo, columns, &cx.key().shared().unit(unit.key)), self.rank)
                }
                None => m.to_vec(),
            })
        });
        let said: Message = said.collect();
        local.said.clone_from(&said);
        said
    }

    fn reduce(&self, shared: &Shared, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let present = inbox.iter().flatten().count();
        if cx.lr == 0.0 || present == 0 {
            return Move::Direction(silence(cx.layout)).into();
        }
        let second: Vec<Option<usize>> = self.second(cx.layout);
        if let [first, ..] = said {
            let q: Vec<Buf> = second.iter().flatten().map(|place| mean_at(inbox, *place)).collect();
            let joint = self.product(first, &q, first, cx.layout);
            return self.step(shared, joint, Some(q.iter().cloned().map(floats).collect()), &q, cx);
        }
        let mut first: Message = Message::new();
        for (u, unit) in cx.layout.units().iter().enumerate() {
            let mut mean = mean_at(inbox, u);
            if self.matrix(unit).is_some() {
                orthonormalise(&mut mean, self.rank);
            }
            first.push(floats(mean));
        }
        if second.iter().all(Option::is_none) {
            return self.step(shared, first, None, &[], cx);
        }
        // How many there are travels with the sums.
        first.push(floats(vec![present as f32]));
        Next::Round(first)
    }

    fn answer(&self, local: &mut Worker, _: &Shared, _: Seen, said: &[Message], cx: &Cx<'_>) -> Message {
        local.heard = said.last().cloned().unwrap_or_default();
        let m = local.owed.residual.corrected();
        let of = |(u, unit): (usize, &Unit)| {
            let (rows, _) = self.matrix(unit)?;
            Some(floats(transpose_times(&m[unit.range.clone()], rows, &local.heard[u].decode(), self.rank)))
        };
        cx.layout.units().iter().enumerate().filter_map(of).collect()
    }

    fn commit(&self, local: &mut Worker, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Buf> {
        let (said, heard) = (std::mem::take(&mut local.said), std::mem::take(&mut local.heard));
        if said.is_empty() {
            return None;
        }
        let applied = decided.map(|decided| {
            let Some(present) = heard.last().map(|p| p.decode()[0]) else { return said };
            let share = cx.workers as f32 / present;
            let scale = |p: &Arc<Payload>| p.decode().into_iter().map(|q| q * share).collect();
            let q: Vec<Buf> = decided.heard.iter().flatten().map(scale).collect();
            self.product(&heard, &q, &said, cx.layout)
        });
        local.owed.residual.settle_as(applied);
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, _: &Cx<'_>) {
        if !decided.memos.is_empty() {
            shared.q = std::mem::take(&mut decided.memos);
            shared.m = std::mem::take(&mut decided.kept);
        }
    }
}
