use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use backburn_compress::low_rank::{first_q, orthonormalise};
use backburn_compress::payload::LowRank;
use backburn_compress::text::{Expected, Form};
use backburn_compress::{Key, Layout, Memo, Message, Note, ParameterError, Payload, Unit, Vector, mean_at};

use super::LocalGradient;
use super::parts::joint::{floats, unused};
use super::parts::{Adam, Moments};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Plain, Role, Seen, State,
    Visitor, Why, chained, display_by_arguments,
};

/// [Dion](https://arxiv.org/abs/2504.05295) (Ahn, Xu, Abreu, Langford 2025), orthonormal steps of low rank. Of every matrix m × n, in two rounds:
/// M_i ← M_i + G_i, P = orth(mean M_iQ), R = mean M_iᵀP, M_i ← M_i − (1−μ)PRᵀ; Q is R with columns of unit length, or
/// with `orth` (Orth-Dion) R made orthonormal; X ← X − γ(√(m/n)·PQᵀ + λX). A column of R that is 0 leaves Q's as it is.
///
/// Vectors, and what is sent dense by policy (embeddings, heads), go through AdamW on their exact mean. m is the first
/// side of the parameter, the number of outputs in the paper; where, as in Burn's `Linear`, that is the number of
/// inputs, `transposed` has √(n/m). Where a worker is absent, what counts as applied of the others' is PRᵀ·n/present.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dion {
    rank: Rank,
    /// μ ∈ [0, 1).
    momentum: f64,
    orth: bool,
    transposed: bool,
    adam: Adam,
    local: LocalGradient,
}

/// Columns of P and Q.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rank {
    Count(usize),
    /// ⌈ρ·min(m, n)⌉.
    Share(f64),
}

impl Rank {
    fn of(self, rows: usize, columns: usize) -> usize {
        let most = rows.min(columns);
        match self {
            Self::Count(rank) => rank.min(most),
            Self::Share(share) => ((share * most as f64).ceil() as usize).clamp(1, most),
        }
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(rank) => rank.fmt(f),
            Self::Share(share) if *share == 1.0 => f.write_str("1.0"),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl FromStr for Rank {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.parse::<usize>() {
            Ok(0) => Err(()),
            Ok(rank) => Ok(Self::Count(rank)),
            Err(_) => {
                let share = text.parse::<f64>().map_err(drop)?;
                if share > 0.0 && share <= 1.0 { Ok(Self::Share(share)) } else { Err(()) }
            }
        }
    }
}

impl Expected for Rank {
    const EXPECTED: &'static str = "a number of columns, or a share of the shorter side in (0, 1] with a point";
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "dion",
    usage: "dion[:rank=COUNT|SHARE][,momentum=μ][,orth][,transposed][,beta1=β₁][,beta2=β₂][,eps=ε][,weight-decay=λ]",
    about: "orthonormal steps of low rank on matrices, with feedback; AdamW on the rest; two rounds",
    equation: "M_i ← M_i + G_i, P = orth(mean M_iQ), R = mean M_iᵀP, M_i ← M_i − (1−μ)PRᵀ, Q ← R/|columns| (orth: orth(R)); X ← X − γ(√(m/n)·PQᵀ + λX)",
    source: "Dion: Distributed Orthonormalized Updates, Ahn, Xu, Abreu, Langford 2025",
    link: "https://arxiv.org/abs/2504.05295",
    defaults: &[
        ("rank=0.25", "columns of P and Q, or their share of the shorter side"),
        ("momentum=0.95", "μ"),
        ("beta1=0.9", "AdamW's β₁"),
        ("beta2=0.95", "AdamW's β₂"),
        ("eps=0.00000001", "AdamW's ε"),
        ("weight-decay=0", "λ"),
    ],
    examples: &["dion", "dion:rank=2,momentum=0.5,weight-decay=0.1", "dion:rank=1,orth,transposed"],
    parse: |args| {
        let (orth, transposed) = (args.flag("orth"), args.flag("transposed"));
        let rank = args.named("rank")?.unwrap_or(RANK);
        let dion = Dion::default().with_momentum(args.named("momentum")?.unwrap_or(MOMENTUM))?;
        let dion = Dion { rank, orth, transposed, adam: adam().parse(args)?, ..dion };
        Ok(AnyAlgorithm::new(Dion { local: dion.local.with_decay_of(args)?, ..dion }))
    },
};

const RANK: Rank = Rank::Share(0.25);
const MOMENTUM: f64 = 0.95;

/// The AdamW of what is no matrix, where nothing is said.
pub(super) fn adam() -> Adam {
    Adam::new(0.9, 0.95).expect("0.9 and 0.95 are below 1")
}

impl Default for Dion {
    fn default() -> Self {
        let local = LocalGradient::default();
        Self { rank: RANK, momentum: MOMENTUM, orth: false, transposed: false, adam: adam(), local }
    }
}

impl Dion {
    /// Of this rank, where a matrix has as many rows and columns.
    ///
    /// # Errors
    /// Where it is 0.
    pub fn rank(rank: usize) -> Result<Self, ParameterError> {
        if rank == 0 {
            Err(ParameterError::Zero("rank"))
        } else {
            Ok(Self { rank: Rank::Count(rank), ..Self::default() })
        }
    }

    /// Of rank ⌈ρ·min(m, n)⌉.
    ///
    /// # Errors
    /// Where ρ is outside (0, 1].
    pub fn share(share: f64) -> Result<Self, ParameterError> {
        if share > 0.0 && share <= 1.0 {
            Ok(Self { rank: Rank::Share(share), ..Self::default() })
        } else {
            Err(ParameterError::Range { name: "rank", value: share, allowed: "(0, 1]" })
        }
    }

    /// μ.
    ///
    /// # Errors
    /// Where it is outside [0, 1).
    pub fn with_momentum(self, momentum: f64) -> Result<Self, ParameterError> {
        LocalGradient::new().with_momentum(momentum)?;
        Ok(Self { momentum, ..self })
    }

    /// Q orthonormal: Orth-Dion.
    pub fn with_orthonormal_q(self) -> Self {
        Self { orth: true, ..self }
    }

    /// The first side of a matrix is that of its inputs, as in Burn's `Linear`.
    pub fn with_inputs_first(self) -> Self {
        Self { transposed: true, ..self }
    }

    /// β₁, β₂ and ε of AdamW on what is no matrix.
    pub fn with_adam(self, adam: Adam) -> Self {
        Self { adam, ..self }
    }

    /// X ← X − γλX beside the step.
    ///
    /// # Errors
    /// Where λ is negative or not finite.
    pub fn with_weight_decay(self, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: self.local.with_weight_decay(weight_decay)?, ..self })
    }

    /// The units that are matrices, with their places in the second round's messages.
    fn matrices<'a>(&self, layout: &'a Layout) -> Vec<(usize, Matrix<'a>)> {
        let units = layout.units().iter().enumerate().filter_map(|(u, unit)| Some((u, Matrix::of(unit, self.rank)?)));
        units.collect()
    }

    /// P·Rᵀ of every matrix, R's as they were heard times `scale`; other units are zero.
    fn applied(&self, first: &Message, heard: &Message, scale: f32, layout: &Layout) -> Message {
        let mut products: Message = layout.units().iter().map(|u| Arc::new(Payload::zero(u.len()))).collect();
        for (place, (u, matrix)) in self.matrices(layout).into_iter().enumerate() {
            let mut r = Vector::from(heard.payloads[place].decode());
            r.scale(scale);
            let p = first.payloads[u].decode();
            products.payloads[u] =
                Arc::new(LowRank { rows: matrix.rows, rank: matrix.rank, p, q: r.into_vec() }.into());
        }
        products
    }

    /// Q of the next step, transposed, from R and the Q of this one.
    fn next_q(&self, matrix: &Matrix<'_>, mut r: Vec<f32>, q: &[f32]) -> Vec<f32> {
        let (rank, columns) = (matrix.rank, matrix.columns);
        if self.orth {
            let mut turned: Vec<f32> =
                (0..columns).flat_map(|j| (0..rank).map(move |k| (k, j))).map(|(k, j)| r[k * columns + j]).collect();
            orthonormalise(&mut turned, rank);
            r = (0..rank).flat_map(|k| (0..columns).map(move |j| (k, j))).map(|(k, j)| turned[j * rank + k]).collect();
        }
        for (r, q) in r.chunks_exact_mut(columns).zip(q.chunks_exact(columns)) {
            let norm = r.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
            match norm > 0.0 {
                true => r.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32),
                false => r.copy_from_slice(q),
            }
        }
        r
    }

    /// AdamW's moments after what is no matrix was heard as it stands in `first`.
    fn moments(&self, now: &Moments, first: &Message, layout: &Layout) -> Moments {
        let mut g = Vector::zeros(layout.len());
        let mut rest = first.clone();
        for (u, matrix) in self.matrices(layout) {
            rest.payloads[u] = Arc::new(Payload::zero(matrix.unit.len()));
        }
        g.add_payloads(1.0, &rest.payloads[..layout.units().len()], layout);
        let mut moments = now.clone();
        moments.take_in(&self.adam, &g);
        moments
    }

    /// The step, once all has been heard.
    fn step(&self, shared: &Shared, first: &Message, second: Option<Message>, cx: &Cx<'_>) -> Next {
        let mut d = self.moments(&shared.moments, first, cx.layout).unbiased(&self.adam);
        let mut memos = shared.q.clone();
        let mut product: Message = cx.layout.units().iter().map(|u| Arc::new(Payload::zero(u.len()))).collect();
        for (place, (u, matrix)) in self.matrices(cx.layout).into_iter().enumerate() {
            let r = second.as_ref().map_or(Vec::new(), |second| second.payloads[place].decode());
            let q = self.next_q(&matrix, r, &matrix.q(&shared.q[u], cx));
            memos[u] = Memo::new(q.clone(), Vec::new());
            let mut p = Vector::from(first.payloads[u].decode());
            let (m, n) = (matrix.rows as f64, matrix.columns as f64);
            p.scale(if self.transposed { n / m } else { m / n }.sqrt() as f32);
            product.payloads[u] = Arc::new(LowRank { rows: matrix.rows, rank: matrix.rank, p: p.into_vec(), q }.into());
        }
        d.add_decoded(1.0, &product, cx.layout);
        self.local.decay(&mut d, cx);
        let heard = Some(second.unwrap_or_else(|| first.clone()));
        Next::Done(Decision { heard, memos, ..Move::Direction(d.to_message(cx.layout)).into() })
    }
}

/// A unit as a matrix.
struct Matrix<'a> {
    unit: &'a Unit,
    rows: usize,
    columns: usize,
    rank: usize,
}

impl<'a> Matrix<'a> {
    fn of(unit: &'a Unit, rank: Rank) -> Option<Self> {
        let rows = *unit.shape.first()?;
        if unit.dense || unit.shape.len() < 2 || unit.is_empty() {
            return None;
        }
        let columns = unit.len() / rows;
        Some(Self { unit, rows, columns, rank: rank.of(rows, columns) })
    }

    /// This step's Q, transposed: the same for all workers.
    fn q(&self, memo: &Memo, cx: &Cx<'_>) -> Vec<f32> {
        match memo.values.len() == self.rank * self.columns {
            true => memo.values.clone(),
            false => {
                first_q(self.columns, self.rank, &Key { step: 0, round: 0, ..cx.key() }.shared().unit(self.unit.key))
            }
        }
    }
}

display_by_arguments!(Dion, FORM.name);

/// M_i, and what the first round came to.
#[derive(Clone, Debug)]
pub struct Local {
    m: Vector,
    heard: Message,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("m", Role::Momentum, &mut self.m);
    }
}

/// Q, one memo a unit, and AdamW's moments.
#[derive(Clone, Debug)]
pub struct Shared {
    q: Vec<Memo>,
    moments: Moments,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.memos("q", &mut self.q);
        self.moments.visit(visitor, layout);
    }
}

impl Algorithm for Dion {
    type Takes = Plain;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { m: Vector::zeros(cx.layout.len()), heard: Message::new() }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { q: cx.memos(), moments: Moments::new(cx.layout) }
    }

    fn arguments(&self) -> Vec<Argument> {
        let rank = Argument::unless("rank", self.rank, RANK);
        let own = [rank, Argument::unless("momentum", self.momentum, MOMENTUM)];
        let words = [Argument::word("orth", self.orth), Argument::word("transposed", self.transposed)];
        chained(chained(own, words), chained(self.adam.arguments(&adam()), [self.local.decay_argument()]))
    }

    fn hears_mean(&self) -> bool {
        true
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
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
        Err("M is a momentum, of which a share is paid by orthonormal steps")
    }

    fn parent(&self) -> Result<Parent, Why> {
        Err("an orthonormal step is no sum of gradients")
    }

    fn warning(&self, cx: &Cx<'_>) -> Option<String> {
        unused(self, cx.compressor)
    }

    fn begin(&self, local: &mut Local, shared: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let mut g = seen.take();
        let mut said = g.to_message(cx.layout);
        let matrices = self.matrices(cx.layout);
        g.keep_units(matrices.iter().map(|(_, matrix)| matrix.unit));
        local.m.axpy(1.0, &g);
        for (u, matrix) in &matrices {
            let q = matrix.q(&shared.q[*u], cx);
            said.payloads[*u] = floats(local.m.times_q(matrix.unit, matrix.rows, &q, matrix.rank));
        }
        local.heard = Message::new();
        said
    }

    fn reduce(&self, shared: &Shared, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        if cx.present == 0 {
            return Move::Direction(super::parts::silence(cx.layout)).into();
        }
        let matrices = self.matrices(cx.layout);
        if let [first, ..] = said {
            let second = (0..matrices.len()).map(|place| floats(mean_at(inbox, place))).collect();
            return self.step(shared, first, Some(second), cx);
        }
        let mut first: Message = (0..cx.layout.units().len()).map(|u| floats(mean_at(inbox, u))).collect();
        for (u, matrix) in &matrices {
            let mut p = first.payloads[*u].decode();
            orthonormalise(&mut p, matrix.rank);
            first.payloads[*u] = floats(p);
        }
        if matrices.is_empty() {
            return self.step(shared, &first, None, cx);
        }
        // How many there are travels with the sums.
        first.notes.push(Note::number(cx.present as f64));
        Next::Round(first)
    }

    fn answer(&self, local: &mut Local, _: &Shared, _: Seen, said: &[Message], cx: &Cx<'_>) -> Message {
        local.heard = said.last().cloned().unwrap_or_default();
        let of = |(u, matrix): (usize, Matrix<'_>)| {
            let p = local.heard.payloads[u].decode();
            floats(local.m.transpose_times(matrix.unit, matrix.rows, &p, matrix.rank))
        };
        self.matrices(cx.layout).into_iter().map(of).collect()
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        let first = std::mem::take(&mut local.heard);
        let second = decided.and_then(|decided| decided.heard.as_ref());
        if let (Some(present), Some(second)) = (first.notes.last().and_then(|n| n.as_number()), second) {
            let applied = self.applied(&first, second, cx.workers as f32 / present as f32, cx.layout);
            local.m.add_decoded((self.momentum - 1.0) as f32, &applied, cx.layout);
        }
        None
    }

    fn advance(&self, shared: &mut Shared, said: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        if let Some(first) = said.first().or(decided.heard.as_ref()) {
            shared.moments = self.moments(&shared.moments, first, cx.layout);
            shared.q = std::mem::take(&mut decided.memos);
        }
    }
}
