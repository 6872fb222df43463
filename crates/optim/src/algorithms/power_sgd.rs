use std::sync::Arc;

use backburn_compress::low_rank::{first_q, matrix, orthonormalise, refresh_q};
use backburn_compress::payload::LowRank;
use backburn_compress::text::Form;
use backburn_compress::{Key, Layout, Memo, Message, Note, ParameterError, Payload, Unit, Vector, mean_at};

use super::LocalGradient;
use super::parts::joint::{Worker, floats, unused};
use super::parts::{Units, silence, with_local_gradient};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Plain, Role, Seen, State,
    Visitor, Why, chained, display_by_arguments,
};

/// [PowerSGD](https://arxiv.org/abs/1905.13727) (Vogels, Karimireddy, Jaggi 2019), joint: with M_i = g_i + e_i as a matrix [d₀, d/d₀], the
/// workers average P = M_i·Q, make it orthonormal, and average Q = M_iᵀ·P; e_i = M_i − P·Qᵀ. Q is
/// shared and starts from the last step's. Weight decay and momentum come after, on the common
/// P·Qᵀ: d = PQᵀ + λx, m = βm + d, x ← x − γm (the paper steps along d + m).
///
/// The step size is outside, as in [`EfSgd::with_step_outside`](super::EfSgd::with_step_outside); with momentum, which
/// moves on at γ = 0 as everywhere, workers speak then too.
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

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "powersgd",
    usage: "powersgd[:rank=COUNT][,momentum=β][,weight-decay=λ][,nesterov]",
    about: "joint low-rank compression with a shared warm Q; two rounds",
    equation: "M_i = g_i + e_i, P = orth(mean M_iQ), Q = mean M_iᵀP, e_i = M_i − PQᵀ; d = PQᵀ + λx, m ← βm + d, x ← x − γm",
    source: "PowerSGD: Practical Low-Rank Gradient Compression for Distributed Optimization, Vogels, Karimireddy, Jaggi 2019",
    link: "https://arxiv.org/abs/1905.13727",
    defaults: &[("rank=4", "columns of P and Q"), ("momentum=0", "β"), ("weight-decay=0", "λ")],
    examples: &["powersgd", "powersgd:rank=1", "powersgd:rank=2,momentum=0.9,weight-decay=0.0005"],
    parse: |args| {
        let sgd = PowerSgd::new(args.named("rank")?.unwrap_or(RANK))?;
        Ok(AnyAlgorithm::new(PowerSgd { common: LocalGradient::parse(args)?, ..sgd }))
    },
};

/// The rank where nothing is said.
const RANK: usize = 4;

impl PowerSgd {
    /// Of this rank.
    ///
    /// # Errors
    /// Where it is 0.
    pub fn new(rank: usize) -> Result<Self, ParameterError> {
        if rank == 0 { Err(ParameterError::Zero("rank")) } else { Ok(Self { rank, common: LocalGradient::default() }) }
    }

    /// Whether what is said at γ = 0 is of use: for momentum.
    fn goes_on(&self) -> bool {
        self.common.momentum() != 0.0
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
    fn q(&self, memo: &Memo, columns: usize, key: &Key) -> Vec<f32> {
        let mut q = memo.values.clone();
        if q.len() != self.rank * columns {
            q = first_q(columns, self.rank, key);
        }
        refresh_q(&mut q, columns, key);
        q
    }

    /// P·Qᵀ where a unit is a matrix, P standing in `first`, `other` elsewhere.
    fn product(&self, first: &Message, q: &[Vec<f32>], other: &Message, layout: &Layout) -> Message {
        let places = self.second(layout);
        let of = |(u, unit): (usize, &Unit)| match (self.matrix(unit), places[u]) {
            (Some((rows, _)), Some(place)) => {
                let (p, q) = (first.payloads[u].decode(), q[place].clone());
                Arc::new(LowRank { rows, rank: self.rank, p, q }.into())
            }
            _ => other.payloads[u].clone(),
        };
        layout.units().iter().enumerate().map(of).collect()
    }

    /// d = PQᵀ + λx, m = βm + d, and the move along m.
    fn step(&self, shared: &Shared, joint: Message, heard: Option<Message>, q: &[Vec<f32>], cx: &Cx<'_>) -> Next {
        let memo = |place: &Option<usize>| Memo::new(place.map_or(Vec::new(), |p| q[p].clone()), Vec::new());
        let memos = self.second(cx.layout).iter().map(memo).collect();
        if self.common == LocalGradient::default() {
            return Next::Done(Decision { heard, memos, ..Move::Direction(joint).into() });
        }
        let (mut m, mut d) = (shared.m.clone(), Vector::zeros(cx.layout.len()));
        d.add_decoded(1.0, &joint, cx.layout);
        self.common.decay(&mut d, cx);
        self.common.accelerate(&mut m, &mut d);
        let heard = Some(heard.unwrap_or(joint));
        Next::Done(Decision { heard, memos, kept: m, ..Move::Direction(d.to_message(cx.layout)).into() })
    }
}

with_local_gradient!(PowerSgd, common);
display_by_arguments!(PowerSgd, FORM.name);

/// The shared Q, one memo a unit, and m.
#[derive(Clone, Debug)]
pub struct Shared {
    q: Vec<Memo>,
    m: Vector,
    units: Units,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.memos("q", &mut self.q);
        visitor.vector("momentum", Role::Momentum, &mut self.m);
        self.units.visit(visitor, layout);
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
        Shared { q: cx.memos(), m: Vector::new(), units: Units::default() }
    }

    fn arguments(&self) -> Vec<Argument> {
        chained([Argument::shown("rank", self.rank)], self.common.arguments())
    }

    fn hears_mean(&self) -> bool {
        true
    }

    fn needs_x(&self) -> bool {
        self.common.needs_x()
    }

    fn speaks_by_unit(&self) -> bool {
        false
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn compresses_itself(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        match self.common == LocalGradient::default() {
            true => Ok(Conserves::Outside),
            false => Err("decay and momentum come after the exchange"),
        }
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { common: self.common.rules(), ..Parent::default() })
    }

    fn warning(&self, cx: &Cx<'_>) -> Option<String> {
        unused(self, cx.compressor)
    }

    fn begin(&self, local: &mut Worker, shared: &Shared, seen: Seen, cx: &Cx<'_>) -> Message {
        let Some(m) = local.accumulate(&LocalGradient::default(), seen, &shared.units, self.goes_on(), cx) else {
            return silence(cx.layout);
        };
        let said = cx.layout.units().iter().zip(&shared.q).map(|(unit, memo)| {
            Arc::new(match self.matrix(unit) {
                Some((rows, columns)) => {
                    let q = self.q(memo, columns, &cx.key().shared().unit(unit.key));
                    Payload::floats(m.times_q(unit, rows, &q, self.rank))
                }
                None => m.dense(unit),
            })
        });
        let said: Message = said.collect();
        local.said = said.clone();
        said
    }

    fn reduce(&self, shared: &Shared, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        if !(shared.units.moves(cx.lr) || self.goes_on()) || cx.present == 0 {
            return Move::Direction(silence(cx.layout)).into();
        }
        let second: Vec<Option<usize>> = self.second(cx.layout);
        if let [first, ..] = said {
            let q: Vec<Vec<f32>> = second.iter().flatten().map(|place| mean_at(inbox, *place)).collect();
            let joint = self.product(first, &q, first, cx.layout);
            return self.step(shared, joint, Some(q.iter().cloned().map(floats).collect()), &q, cx);
        }
        let mut first: Message = Message::new();
        for (u, unit) in cx.layout.units().iter().enumerate() {
            let mut mean = mean_at(inbox, u);
            if self.matrix(unit).is_some() {
                orthonormalise(&mut mean, self.rank);
            }
            first.payloads.push(floats(mean));
        }
        if second.iter().all(Option::is_none) {
            return self.step(shared, first, None, &[], cx);
        }
        // How many there are travels with the sums.
        first.notes.push(Note::number(cx.present as f64));
        Next::Round(first)
    }

    fn answer(&self, local: &mut Worker, _: &Shared, _: Seen, said: &[Message], cx: &Cx<'_>) -> Message {
        local.heard = said.last().cloned().unwrap_or_default();
        let m = local.owed.residual.corrected();
        let of = |(u, unit): (usize, &Unit)| {
            let (rows, _) = self.matrix(unit)?;
            Some(floats(m.transpose_times(unit, rows, &local.heard.payloads[u].decode(), self.rank)))
        };
        cx.layout.units().iter().enumerate().filter_map(of).collect()
    }

    fn commit(&self, local: &mut Worker, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        let (said, heard) = (std::mem::take(&mut local.said), std::mem::take(&mut local.heard));
        if said.is_empty() {
            return None;
        }
        let applied = decided.map(|decided| {
            let Some(present) = heard.notes.last().and_then(|n| n.as_number()) else { return said };
            let share = cx.workers as f32 / present as f32;
            let scale = |p: &Arc<Payload>| {
                let mut q = Vector::from(p.decode());
                q.scale(share);
                q.into_vec()
            };
            let q: Vec<Vec<f32>> = decided.heard.iter().flat_map(|m| &m.payloads).map(scale).collect();
            self.product(&heard, &q, &said, cx.layout)
        });
        local.owed.residual.settle_as(applied);
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        if !decided.memos.is_empty() {
            shared.q = std::mem::take(&mut decided.memos);
            shared.m = std::mem::take(&mut decided.kept);
        }
        shared.units.rescale(cx.lr);
    }
}
