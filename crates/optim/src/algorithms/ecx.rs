use std::fmt;
use std::str::FromStr;

use backburn_compress::text::{Expected, Form, TextError};
use backburn_compress::{Class, Feedback, Layout, Memo, Message, ParameterError, Vector, mean};

use crate::method::{
    Algorithm, Alpha, AnyAlgorithm, Argument, Ask, Conserves, Cx, Decision, Draw, Inbox, Move, Next, Parent, Role,
    Rule, Seen, State, Visitor, Why, display_by_arguments,
};

/// [ErrorCompensatedX](https://arxiv.org/abs/2108.02102) (Tang, Li, Liu, Yan 2021): compensation for variance-reduced
/// estimators v_t = (1−α_t)v_{t−1} + α_t·A_t, with the errors of the last two steps:
///
/// c_t = (α_{t−1}/α_t)(2−α_t)δ_{t−1} − (α_{t−2}/α_t)(1−α_t)δ_{t−2}, a worker sends C(p) of
/// p = A_t + βc_t, δ_t = p − C(p); everybody moves v ← (1−α_t)v + α_t·mean, x ← x − γv.
///
/// That is for a constant γ. Where it varies, too, a worker keeps E, by how far its share of v is off, and u, what x is
/// still owed: α_tc_t = u_{t−1}/γ_t − (1−α_t)E_{t−1}, without the first term at γ_t = 0;
/// E_t = (1−α_t)E_{t−1} + α_t(c_t − δ_t), u_t = u_{t−1} − γ_tE_t. So α_tc_t's first term is gone from E_t, which is
/// u_{t−1}/γ_t − α_tδ_t, and u_t = γ_tα_tδ_t. It is u/γ that is kept, with its γ, as e is in
/// [`EfSgd::with_step_outside`](super::EfSgd::with_step_outside). For β = 1, Σγv differs from the uncompressed one by
/// −u_T alone. The baseline [`one_step`](Self::with_one_step) has c_t = δ_{t−1}. v₋₁ = 0, δ₋₁ = δ₋₂ = 0, x₋₁ = x₀.
///
/// Departing from the paper: a factor β ∈ (0, 1] on c_t, since small α under strong compression can
/// diverge. In a step that a worker missed A_t = 0 and nothing is sent; the A_t of a message that did not count stays
/// owed and joins the next one's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ecx {
    /// α ∈ (0, 1]; unused by ROOT-SGD.
    alpha: f64,
    /// β ∈ (0, 1].
    beta: f64,
    estimator: Estimator,
    one_step: bool,
}

/// The A_t of an estimator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Estimator {
    /// The gradient: momentum SGD.
    #[default]
    Momentum,
    /// [g(x_t) − (1−α)g(x_{t−1}; ξ_t)]/α, the minibatch being the same ([Cutkosky, Orabona
    /// 2019](https://arxiv.org/abs/1905.10018)).
    Storm,
    /// The same with α_t = 1/t, t = 1, 2, … ([Li et al. 2022](https://arxiv.org/abs/2008.12690)).
    Root,
    /// The gradient at x_t + ((1−α)/α)(x_t − x_{t−1}) ([Arnold et al.
    /// 2019](https://arxiv.org/abs/1906.03532)).
    Igt,
}

impl Estimator {
    const NAMES: [(Self, &str); 4] =
        [(Self::Momentum, "momentum"), (Self::Storm, "storm"), (Self::Root, "root"), (Self::Igt, "igt")];
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES.iter().find(|(e, _)| e == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for Estimator {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text).map(|(e, _)| *e);
        found.ok_or_else(|| TextError::unknown("estimator", text, Self::NAMES.map(|(_, name)| name)))
    }
}

impl Expected for Estimator {
    const EXPECTED: &'static str = "`momentum`, `storm`, `root` or `igt`";
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "ecx",
    usage: "ecx[:alpha=α][,beta=β][,estimator=momentum|storm|root|igt][,one-step]",
    about: "ErrorCompensatedX over an estimator v ← (1−α)v + αA, or one-step compensation",
    equation: "send C(A + βc), δ = A + βc − C(·), αc = u/γ − (1−α)E, E ← (1−α)E + α(c − δ), u ← u − γE; v ← (1−α)v + α·mean, x ← x − γv",
    source: "ErrorCompensatedX: Error Compensation for Variance Reduced Algorithms, Tang, Li, Liu, Yan 2021",
    link: "https://arxiv.org/abs/2108.02102",
    defaults: &[
        ("alpha=0.5", "α; ROOT-SGD takes none"),
        ("beta=1", "the factor on c"),
        ("estimator=momentum", "what A is"),
    ],
    examples: &[
        "ecx",
        "ecx:alpha=0.8",
        "ecx:alpha=0.8,beta=0.9,one-step",
        "ecx:alpha=0.5,beta=0.7",
        "ecx:alpha=0.5,estimator=storm",
        "ecx:estimator=root",
        "ecx:alpha=0.5,estimator=igt",
    ],
    parse: |args| {
        let estimator = args.named("estimator")?.unwrap_or_default();
        // ROOT-SGD has its own α_t, and takes none.
        let alpha = if estimator == Estimator::Root { None } else { args.named("alpha")? };
        let ecx = Ecx::new(alpha.unwrap_or(ALPHA))?.with_beta(args.named("beta")?.unwrap_or(1.0))?;
        let one_step = args.flag("one-step");
        Ok(AnyAlgorithm::new(Ecx { estimator, one_step, ..ecx }))
    },
};

/// α where nothing is said.
const ALPHA: f64 = 0.5;

impl Ecx {
    /// Over momentum of weight α.
    ///
    /// # Errors
    /// Where α is outside (0, 1].
    pub fn new(alpha: f64) -> Result<Self, ParameterError> {
        Ok(Self { alpha: unit("alpha", alpha)?, beta: 1.0, estimator: Estimator::Momentum, one_step: false })
    }

    /// Over another estimator.
    pub fn with_estimator(self, estimator: Estimator) -> Self {
        Self { estimator, ..self }
    }

    /// The factor β on c_t.
    ///
    /// # Errors
    /// Where β is outside (0, 1].
    pub fn with_beta(self, beta: f64) -> Result<Self, ParameterError> {
        Ok(Self { beta: unit("beta", beta)?, ..self })
    }

    /// Compensates with the last error alone: the baseline.
    pub fn with_one_step(self) -> Self {
        Self { one_step: true, ..self }
    }

    /// α_t of step t = 0, 1, ….
    pub fn alpha(&self, t: u64) -> f64 {
        self.alphas().at(t)
    }

    fn alphas(&self) -> Alpha {
        if self.estimator == Estimator::Root { Alpha::Harmonic } else { Alpha::Constant(self.alpha) }
    }

    fn reads_last_x(&self) -> bool {
        self.estimator != Estimator::Momentum
    }

    /// A_t, from what was asked.
    fn estimate(&self, mut seen: Seen, cx: &Cx<'_>) -> Vector {
        let mut a = seen.take();
        if matches!(self.estimator, Estimator::Storm | Estimator::Root) {
            let alpha = self.alpha(cx.step);
            let last = if seen.gradients.len() > 1 { seen.take_at(1) } else { a.clone() };
            a.axpy(-((1.0 - alpha) as f32), &last);
            a.scale(alpha.recip() as f32);
        }
        a
    }
}

fn unit(name: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(ParameterError::Range { name, value, allowed: "(0, 1]" }) }
}

display_by_arguments!(Ecx, FORM.name);

/// E and u, and an A_t that was said without counting.
#[derive(Clone, Debug)]
pub struct Local {
    /// E, by how far this worker's share of v is off; unused by the baseline.
    off: Vector,
    /// u/γ, what x is owed; δ_{t−1} under the baseline.
    owed: Vector,
    /// The γ of it, 0 before the first.
    lr: f64,
    /// An A_t that did not count, empty where there is none, and the α_t under which it was said.
    unsaid: Vector,
    unsaid_alpha: f64,
    /// The step after the last one that counted.
    step: u64,
    /// What the step will come to if it counts.
    next: Option<Proposed>,
    memos: Vec<Memo>,
}

#[derive(Clone, Debug)]
struct Proposed {
    /// A_t, with what was unsaid.
    a: Vector,
    /// δ_t = p − C(p).
    delta: Vector,
    /// u_{t−1}/γ_old.
    owed: Vector,
    /// γ_old, 0 before there is one.
    unit: f64,
    payment: Payment,
}

/// How much of u_{t−1} a step makes good.
#[derive(Clone, Copy, Debug)]
struct Payment {
    /// The factor on u_{t−1}/γ_old in α_tc_t: γ_old/γ_t, or 1 where that is beyond [`MOST`](Self::MOST); 0 at γ_t = 0.
    factor: f64,
    /// γ_t/γ_old.
    share: f64,
    /// Whether that is all of it.
    whole: bool,
}

impl Payment {
    /// What is owed comes back by way of v, which remembers: where γ falls further than this at once, it is paid over many
    /// steps, lest a γ that rises again meet a v that has grown as much.
    const MOST: f64 = 4096.0;

    fn new(old: f64, lr: f64) -> Self {
        let (ratio, share) = (old / lr, lr / old);
        match (lr as f32 == 0.0, old == 0.0) {
            (true, _) => Self { factor: 0.0, share: 0.0, whole: false },
            (_, true) => Self { factor: 1.0, share: 1.0, whole: true },
            _ if ratio > Self::MOST => Self { factor: 1.0, share, whole: false },
            _ => Self { factor: ratio, share, whole: true },
        }
    }
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("residual", Role::Residual, &mut self.owed);
        visitor.vector("off", Role::Momentum, &mut self.off);
        visitor.scalar("lr", &mut self.lr);
        visitor.vector("unsaid", Role::Momentum, &mut self.unsaid);
        visitor.scalar("unsaid_alpha", &mut self.unsaid_alpha);
        visitor.count("step", &mut self.step);
        visitor.memos("compressor", &mut self.memos);
    }
}

/// v, and x_{t−1} where the estimator reads it; empty before the first step.
#[derive(Clone, Debug)]
pub struct Shared {
    v: Vector,
    last_x: Vector,
    /// What each worker missed lately.
    missed: Vec<Missed>,
}

/// The steps that went by without a worker: in each of them E ← (1−α)E, u ← u − γE.
#[derive(Clone, Copy, Debug)]
struct Missed {
    /// Π(1−α).
    kept: f64,
    /// Σγ·Π(1−α), the products up to each step.
    moved: f64,
}

impl Missed {
    const NOTHING: Self = Self { kept: 1.0, moved: 0.0 };
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("v", Role::Momentum, &mut self.v);
        visitor.vector("last_x", Role::Tracker, &mut self.last_x);
        let mut workers = self.missed.len() as u64;
        visitor.count("missed", &mut workers);
        // A damaged count must not ask for endless memory.
        self.missed.resize(workers.min(1 << 20) as usize, Missed::NOTHING);
        for (rank, missed) in self.missed.iter_mut().enumerate() {
            visitor.scalar(&format!("missed.{rank}.kept"), &mut missed.kept);
            visitor.scalar(&format!("missed.{rank}.moved"), &mut missed.moved);
        }
    }
}

impl Algorithm for Ecx {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        let zero = Vector::zeros(cx.layout.len());
        Local {
            off: zero.clone(),
            owed: zero,
            lr: 0.0,
            unsaid: Vector::new(),
            unsaid_alpha: 0.0,
            step: cx.step,
            next: None,
            memos: cx.memos(),
        }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { v: Vector::zeros(cx.layout.len()), last_x: Vector::new(), missed: Vec::new() }
    }

    fn arguments(&self) -> Vec<Argument> {
        let alpha = (self.estimator != Estimator::Root).then_some(self.alpha);
        let beta = Argument::unless("beta", self.beta, 1.0);
        let estimator = Argument::unless("estimator", self.estimator, Estimator::Momentum);
        vec![Argument::option("alpha", alpha), beta, estimator, Argument::word("one-step", self.one_step)]
    }

    fn needs_x(&self) -> bool {
        self.reads_last_x()
    }

    fn asks_elsewhere(&self) -> bool {
        self.reads_last_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        match (self.one_step, self.beta < 1.0) {
            (true, _) => Err("one step's error compensates for less than it cost: the baseline"),
            (_, true) => Err("a factor below 1 on what is compensated forgets"),
            _ => Ok(Conserves::Estimator),
        }
    }

    fn parent(&self) -> Result<Parent, Why> {
        let draw = match self.estimator {
            Estimator::Momentum => Draw::default(),
            Estimator::Storm | Estimator::Root => Draw::Recursive(self.alphas()),
            Estimator::Igt => Draw::Ahead(self.alphas()),
        };
        Ok(Parent { draw, common: vec![Rule::Estimate(self.alphas())], ..Parent::default() })
    }

    fn warning(&self, cx: &Cx<'_>) -> Option<String> {
        if self.one_step {
            return None;
        }
        let worst = cx.layout.units().iter().filter(|u| !u.dense).map(|unit| match cx.compressor.class(unit) {
            Class::Contractive(alpha) => alpha,
            _ => 1.0,
        });
        let contraction = worst.fold(1.0, f64::min);
        // The α_t of ROOT-SGD fall to any value.
        let alpha = if self.estimator == Estimator::Root { 0.01 } else { self.alpha };
        (growth(alpha, self.beta, contraction) > 1.0).then(|| {
            format!(
                "`{self}` with `{}` may diverge: with a contraction of {contraction:.2e} at its worst, errors grow where the estimator's α is as small as {alpha}, since what one step leaves behind comes back up to 1/α times larger; use a larger α, a factor beta < 1, or weaker compression (`backburn stability` prints the map)",
                cx.compressor,
            )
        })
    }

    fn ask(&self, _: &Local, shared: &Shared, _: &[Message], cx: &Cx<'_>) -> Vec<Ask> {
        let last = &shared.last_x;
        if last.is_empty() {
            return vec![Ask::GRADIENT]; // x₋₁ = x₀
        }
        match self.estimator {
            Estimator::Momentum => vec![Ask::GRADIENT],
            Estimator::Storm | Estimator::Root => {
                vec![Ask::GRADIENT, Ask::Gradient { at: Some(last.clone()), batches: 1 }]
            }
            Estimator::Igt => {
                let (mut at, mut moved) = (cx.x.clone(), cx.x.clone());
                moved.subtract(last);
                at.axpy(((1.0 - self.alpha) / self.alpha) as f32, &moved);
                vec![Ask::Gradient { at: Some(at), batches: 1 }]
            }
        }
    }

    fn begin(&self, local: &mut Local, shared: &Shared, seen: Seen, cx: &Cx<'_>) -> Message {
        let alpha = self.alpha(cx.step);
        let mut a = self.estimate(seen, cx);
        if !local.unsaid.is_empty() {
            a.axpy((local.unsaid_alpha / alpha) as f32, &local.unsaid);
        }
        let mut owed = local.owed.clone();
        let mut unit = local.lr;
        let mut p = a.clone();
        if self.one_step {
            p.axpy(self.beta as f32, &owed);
        } else {
            let missed = shared.missed.get(cx.rank).copied().unwrap_or(Missed::NOTHING);
            if missed.moved != 0.0 {
                unit = if unit == 0.0 { 1.0 } else { unit };
                owed.axpy(-(missed.moved / unit) as f32, &local.off);
            }
            // βc = β(u/γ − (1−α)E)/α.
            let share = self.beta / alpha;
            p.axpy((share * Payment::new(unit, cx.lr).factor) as f32, &owed);
            p.axpy(-(share * (1.0 - alpha) * missed.kept) as f32, &local.off);
        }
        let said = cx.compress(&p, 1.0, &mut local.memos);
        p.add_decoded(-1.0, &said, cx.layout);
        local.next = Some(Proposed { a, delta: p, owed, unit, payment: Payment::new(unit, cx.lr) });
        said
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let alpha = self.alpha(cx.step);
        let mean = mean(inbox, cx.layout);
        let mut v = shared.v.clone();
        v.scale((1.0 - alpha) as f32);
        v.add_decoded(alpha as f32, &mean, cx.layout);
        let moved = Move::Direction(v.to_message(cx.layout));
        Next::Done(Decision { heard: Some(mean), kept: v, ..moved.into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        let Proposed { a, mut delta, mut owed, unit, payment } = local.next.take()?;
        let alpha = self.alpha(cx.step);
        if decided.is_none() {
            (local.unsaid, local.unsaid_alpha) = (a, alpha);
            return None;
        }
        (local.unsaid, local.unsaid_alpha, local.step) = (Vector::new(), 0.0, cx.step + 1);
        if self.one_step {
            local.owed = delta;
            return None;
        }
        // α_tc_t = f·u_{t−1}/γ_old − (1−α_t)E_{t−1}, so E_t = f·u_{t−1}/γ_old − α_tδ_t, and u_t = u_{t−1} − γ_tE_t.
        delta.scale(alpha as f32);
        local.off.clone_from(&owed);
        local.off.scale(payment.factor as f32);
        local.off.subtract(&delta);
        if payment.whole {
            (local.owed, local.lr) = (delta, cx.lr);
        } else {
            owed.blend((1.0 - payment.factor * payment.share) as f32, payment.share as f32, &delta);
            (local.owed, local.lr) = (owed, unit);
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], inbox: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        shared.v = std::mem::take(&mut decided.kept);
        if self.reads_last_x() {
            shared.last_x.clone_from(cx.x);
        }
        shared.missed.resize(inbox.len(), Missed::NOTHING);
        for (missed, said) in shared.missed.iter_mut().zip(inbox) {
            if said.is_some() {
                *missed = Missed::NOTHING;
            } else {
                missed.kept *= 1.0 - self.alpha(cx.step);
                missed.moved += cx.lr * missed.kept;
            }
        }
    }
}

/// How E‖δ‖² grows in a step under a compressor that sends each coordinate with this probability: the
/// spectral radius of the recursion of (E δ_{t−1}², E δ_{t−2}², E δ_{t−1}δ_{t−2}) that follows from
/// δ_t = βc_t where nothing is sent, else 0.
fn growth(alpha: f64, beta: f64, contraction: f64) -> f64 {
    let (one, two, kept) = (beta * (2.0 - alpha), beta * (1.0 - alpha), 1.0 - contraction);
    let mut moments = [1.0, 1.0, 0.0];
    let mut log = 0.0;
    const STEPS: u32 = 1000;
    for _ in 0..STEPS {
        let [recent, older, both] = moments;
        let square = one * one * recent + two * two * older - 2.0 * one * two * both;
        moments = [kept * square, recent, kept * (one * recent - two * both)];
        let size = moments.iter().map(|m: &f64| m.abs()).sum::<f64>();
        if size == 0.0 {
            return 0.0;
        }
        log += size.ln();
        moments = moments.map(|m| m / size);
    }
    (log / f64::from(STEPS)).exp()
}

#[cfg(test)]
mod tests {
    use super::growth;

    #[test]
    fn errors_grow_where_the_map_of_random_k_diverges() {
        for (alpha, diverges, holds) in [(0.5, 0.02, 0.2), (0.3, 0.2, 0.5), (0.1, 0.3, 0.7), (0.01, 0.35, 0.7)] {
            assert!(growth(alpha, 1.0, diverges) > 1.0, "{alpha} {diverges}: {}", growth(alpha, 1.0, diverges));
            assert!(growth(alpha, 1.0, holds) < 1.0, "{alpha} {holds}: {}", growth(alpha, 1.0, holds));
        }
        // α = 1 is plain error feedback, and a factor β stabilises.
        assert!(growth(1.0, 1.0, 0.01) < 1.0);
        assert!(growth(0.2, 0.5, 0.01) < 1.0 && growth(0.2, 1.0, 0.01) > 1.0);
    }
}
