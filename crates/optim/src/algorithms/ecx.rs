use std::fmt;
use std::str::FromStr;

use backburn_compress::spec::{Expected, SpecError};
use backburn_compress::{Class, Feedback, Layout, Memo, Message, ParameterError, decode_into, mean};

use super::{Entry, dense};
use crate::spec::{unless, write_form};
use crate::{Algorithm, AnyAlgorithm, Ask, Buf, Cx, Decision, Inbox, Move, Next, Role, Seen, State, Visitor};

/// ErrorCompensatedX (Tang, Li, Liu, Liu, Yuan 2021): compensation for variance-reduced estimators
/// v_t = (1−α_t)v_{t−1} + α_t·A_t, with the errors of the last two steps:
///
/// c_t = (α_{t−1}/α_t)(2−α_t)δ_{t−1} − (α_{t−2}/α_t)(1−α_t)δ_{t−2}, a worker sends C(p) of
/// p = A_t + βc_t, δ_t = p − C(p); everybody moves v ← (1−α_t)v + α_t·mean, x ← x − γv.
///
/// For β = 1 the sum of all v differs from the uncompressed one by −α_T·δ_T alone. The baseline
/// [`one_step`](Self::with_one_step) has c_t = δ_{t−1}. v₋₁ = 0, δ₋₁ = δ₋₂ = 0, x₋₁ = x₀.
///
/// Departing from the paper: a factor β ∈ (0, 1] on c_t, since small α under strong compression can
/// diverge. A step that a worker missed counts with A_t = 0 and nothing sent; of a failed round A_t
/// stays owed and joins the next one's.
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
    /// [g(x_t) − (1−α)g(x_{t−1}; ξ_t)]/α, the minibatch being the same (Cutkosky, Orabona 2019).
    Storm,
    /// The same with α_t = 1/t, t = 1, 2, … (Li et al. 2022).
    Root,
    /// The gradient at x_t + ((1−α)/α)(x_t − x_{t−1}) (Arnold et al. 2019).
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
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text).map(|(e, _)| *e);
        found.ok_or_else(|| SpecError::unknown("estimator", text, Self::NAMES.map(|(_, name)| name)))
    }
}

impl Expected for Estimator {
    const EXPECTED: &'static str = "`momentum`, `storm`, `root` or `igt`";
}

pub(super) const ENTRY: Entry = Entry {
    name: "ecx",
    usage: "ecx[:alpha=α][,beta=β][,estimator=momentum|storm|root|igt][,one-step]",
    about: "ErrorCompensatedX over an estimator v ← (1−α)v + αA (α = 0.5), or one-step compensation",
    examples: &[
        "ecx",
        "ecx:alpha=0.8",
        "ecx:alpha=0.8,beta=0.9,one-step",
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
    /// α ∈ (0, 1], over momentum.
    pub fn new(alpha: f64) -> Result<Self, ParameterError> {
        let alpha = unit("alpha", alpha)?;
        Ok(Self { alpha, beta: 1.0, estimator: Estimator::Momentum, one_step: false })
    }

    /// Over another estimator.
    pub fn with_estimator(self, estimator: Estimator) -> Self {
        Self { estimator, ..self }
    }

    /// β ∈ (0, 1].
    pub fn with_beta(self, beta: f64) -> Result<Self, ParameterError> {
        Ok(Self { beta: unit("beta", beta)?, ..self })
    }

    /// Compensates with the last error alone: the baseline.
    pub fn with_one_step(self) -> Self {
        Self { one_step: true, ..self }
    }

    /// α_t of step t = 0, 1, ….
    pub fn alpha(&self, t: u64) -> f64 {
        if self.estimator == Estimator::Root { 1.0 / (t + 1) as f64 } else { self.alpha }
    }

    /// The factors of δ_{t−1} and δ_{t−2} in βc_t.
    fn factors(&self, t: u64) -> (f32, f32) {
        if self.one_step {
            return (self.beta as f32, 0.0);
        }
        let now = self.alpha(t);
        let ratio = |back| self.alpha(t.saturating_sub(back)) / now;
        ((self.beta * ratio(1) * (2.0 - now)) as f32, (-self.beta * ratio(2) * (1.0 - now)) as f32)
    }

    fn reads_last_x(&self) -> bool {
        self.estimator != Estimator::Momentum
    }
}

fn unit(name: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(ParameterError::Range { name, value, allowed: "(0, 1]" }) }
}

impl fmt::Display for Ecx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpha = if self.estimator == Estimator::Root { String::new() } else { self.alpha.to_string() };
        let estimator = unless(self.estimator, Estimator::Momentum);
        let one_step = if self.one_step { "one-step".into() } else { String::new() };
        // Bare words come first.
        let beta = unless(self.beta, 1.0);
        write_form(f, "ecx", &[("", one_step), ("alpha", alpha), ("beta", beta), ("estimator", estimator)])
    }
}

/// δ_{t−1} and δ_{t−2}, and a p that was said without counting.
#[derive(Clone, Debug)]
pub struct Local {
    recent: Buf,
    older: Buf,
    /// p of step `step`, empty where there is none.
    p: Buf,
    /// C(p), until it is known whether it counts.
    said: Option<Message>,
    /// The step that comes next, or that p belongs to.
    step: u64,
    memos: Vec<Memo>,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("residual", Role::Residual, &mut self.recent);
        // Not owed any more, but the two errors' means must fit together.
        visitor.vector("residual.older", Role::Momentum, &mut self.older);
        visitor.vector("p", Role::Momentum, &mut self.p);
        visitor.count("step", &mut self.step);
        visitor.memos("compressor", &mut self.memos);
    }
}

impl Local {
    /// δ_t = `delta`, and on to step t + 1.
    fn shift(&mut self, delta: Buf) {
        self.older = std::mem::replace(&mut self.recent, delta);
        self.step += 1;
    }

    /// βc_t.
    fn compensation(&self, ecx: &Ecx) -> Buf {
        let (one, two) = ecx.factors(self.step);
        self.recent.iter().zip(&self.older).map(|(recent, older)| one * recent + two * older).collect()
    }
}

/// v, and x_{t−1} where the estimator reads it; empty before the first step.
#[derive(Clone, Debug)]
pub struct Shared {
    v: Buf,
    last_x: Buf,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("v", Role::Momentum, &mut self.v);
        visitor.vector("last_x", Role::Tracker, &mut self.last_x);
    }
}

impl Algorithm for Ecx {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        let zero = vec![0.0; cx.layout.len()];
        let memos = vec![Memo::default(); cx.layout.units().len()];
        Local { recent: zero.clone(), older: zero, p: Buf::new(), said: None, step: cx.step, memos }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { v: vec![0.0; cx.layout.len()], last_x: Buf::new() }
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
                let ahead = ((1.0 - self.alpha) / self.alpha) as f32;
                let at = cx.x.iter().zip(last).map(|(x, last)| x + ahead * (x - last)).collect();
                vec![Ask::Gradient { at: Some(at), batches: 1 }]
            }
        }
    }

    fn begin(&self, local: &mut Local, _: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let mut a = seen.take();
        if matches!(self.estimator, Estimator::Storm | Estimator::Root) {
            let alpha = self.alpha(cx.step);
            let (keep, gain) = ((1.0 - alpha) as f32, alpha.recip() as f32);
            match seen.gradients.get(1) {
                Some(last) => a.iter_mut().zip(last).for_each(|(a, last)| *a = gain * (*a - keep * last)),
                None => a.iter_mut().for_each(|a| *a = gain * (*a - keep * *a)),
            }
        }
        // Steps that went by without this worker: nothing of theirs was applied.
        while local.step < cx.step {
            let p = std::mem::take(&mut local.p);
            let delta = if p.is_empty() { local.compensation(self) } else { p };
            local.shift(delta);
        }
        if local.p.is_empty() {
            local.p = local.compensation(self);
        }
        local.p.iter_mut().zip(&a).for_each(|(p, a)| *p += a);
        let said = cx.compress(&local.p, &mut local.memos);
        local.said = Some(said.clone());
        said
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let alpha = self.alpha(cx.step);
        let mean = mean(inbox, cx.layout);
        let keep = (1.0 - alpha) as f32;
        let mut v: Buf = shared.v.iter().map(|v| keep * v).collect();
        decode_into(&mean, alpha as f32, &mut v, cx.layout);
        let moved = Move::Direction(dense(&v, cx.layout));
        Next::Done(Decision { heard: Some(mean), kept: v, ..moved.into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Buf> {
        if let (Some(said), Some(_)) = (local.said.take(), decided) {
            let mut delta = std::mem::take(&mut local.p);
            decode_into(&said, -1.0, &mut delta, cx.layout);
            local.shift(delta);
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        shared.v = std::mem::take(&mut decided.kept);
        if self.reads_last_x() {
            shared.last_x = cx.x.to_vec();
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
