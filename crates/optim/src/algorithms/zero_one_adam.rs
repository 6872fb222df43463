use backburn_compress::text::Form;
use backburn_compress::{Feedback, Layout, Memo, Message, ParameterError, Vector, mean};

use super::LocalGradient;
use super::onebit_adam::{adam, gathered};
use super::parts::{Adam, Moments, silence};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Ask, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Refresh, Residual,
    Role, Rule, Seen, State, Visitor, Why, chained, display_by_arguments,
};

/// [0/1 Adam](https://arxiv.org/abs/2202.06009) (Lu, Li, Zhang, De Sa, He 2022): 1-bit Adam that need not wait for a freeze, and need not speak
/// at every step.
///
/// v moves in steps ever farther apart, the distance doubling after every `doubling` of them, and in none from `freeze`
/// on; in these the exact mean of the gradients is exchanged, and serves m too. In all others m is compressed both ways
/// as under [`OnebitAdam`](super::OnebitAdam). From `freeze` on workers speak in every `sync`-th step alone: between
/// them each steps by itself, m_i ← β₁m_i + (1−β₁)g_i at x − U_i/(√v + ε) with U_i = Σγm_i, and then says U_i/Σγ; what
/// comes back is m for all, and x ← x − Σγ·m/(√v + ε).
///
/// Where the paper moves v after x, v takes in the step's own gradient first, as Adam's does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZeroOneAdam {
    refresh: Refresh,
    /// Steps from one exchange to the next, ≥ 1.
    sync: u64,
    adam: Adam,
    local: LocalGradient,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "zero-one-adam",
    usage: "zero-one-adam[:freeze=STEPS][,doubling=COUNT][,sync=STEPS][,beta1=β₁][,beta2=β₂][,eps=ε][,weight-decay=λ]",
    about: "1-bit Adam whose v moves ever less often, and whose workers step by themselves in between",
    equation: "m_i ← β₁m_i + (1−β₁)g_i, U_i ← U_i + γm_i; every sync steps m ← C(mean C(U_i/Σγ + e_i) + ẽ), x ← x − Σγ·m/(√v + ε)",
    source: "Maximizing Communication Efficiency for Large-scale Training via 0/1 Adam, Lu, Li, Zhang, De Sa, He 2022",
    link: "https://arxiv.org/abs/2202.06009",
    defaults: &[
        ("freeze=1000", "steps after which v stays, and workers may step by themselves"),
        ("doubling=16", "after so many of v's steps their distance doubles"),
        ("sync=1", "steps from one exchange to the next"),
        ("beta1=0.9", "β₁"),
        ("beta2=0.999", "β₂"),
        ("eps=0.00000001", "ε"),
        ("weight-decay=0", "λ, beside Adam's step and not in its moments"),
    ],
    examples: &[
        "zero-one-adam:doubling=2",
        "zero-one-adam:freeze=3,doubling=1,sync=3",
        "zero-one-adam:freeze=6,doubling=2,beta2=0.99,eps=0.001,weight-decay=0.01",
    ],
    parse: |args| {
        let method = ZeroOneAdam::new(args.named("freeze")?.unwrap_or(FREEZE))?;
        let method = method.with_doubling(args.named("doubling")?.unwrap_or(DOUBLING))?;
        let method = method.with_sync(args.named("sync")?.unwrap_or(1))?;
        let method = method.with_adam(adam().parse(args)?);
        Ok(AnyAlgorithm::new(ZeroOneAdam { local: method.local.with_decay_of(args)?, ..method }))
    },
};

const FREEZE: u64 = 1000;
const DOUBLING: u64 = 16;

impl ZeroOneAdam {
    /// With a v that stays from this step on.
    ///
    /// # Errors
    /// Where that is the first: v would be 0.
    pub fn new(freeze: u64) -> Result<Self, ParameterError> {
        let refresh = Refresh { freeze, doubling: DOUBLING };
        match freeze {
            0 => Err(ParameterError::Zero("freeze")),
            _ => Ok(Self { refresh, sync: 1, adam: adam(), local: LocalGradient::default() }),
        }
    }

    /// The distance of v's steps doubles after so many of them.
    ///
    /// # Errors
    /// Where they are none.
    pub fn with_doubling(self, doubling: u64) -> Result<Self, ParameterError> {
        match doubling {
            0 => Err(ParameterError::Zero("doubling")),
            _ => Ok(Self { refresh: Refresh { doubling, ..self.refresh }, ..self }),
        }
    }

    /// Workers speak in every so-manieth step once v stays.
    ///
    /// # Errors
    /// Where that is the 0th.
    pub fn with_sync(self, sync: u64) -> Result<Self, ParameterError> {
        if sync == 0 { Err(ParameterError::Zero("sync")) } else { Ok(Self { sync, ..self }) }
    }

    /// β₁, β₂ and ε.
    pub fn with_adam(self, adam: Adam) -> Self {
        Self { adam, ..self }
    }

    /// x ← x − γλx beside Adam's step.
    ///
    /// # Errors
    /// Where λ is negative or not finite.
    pub fn with_weight_decay(self, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: self.local.with_weight_decay(weight_decay)?, ..self })
    }

    fn is_exact(&self, cx: &Cx<'_>) -> bool {
        self.refresh.at(cx.step)
    }

    fn speaks(&self, cx: &Cx<'_>) -> bool {
        cx.step.checked_sub(self.refresh.freeze).is_none_or(|late| (late + 1).is_multiple_of(self.sync))
    }
}

display_by_arguments!(ZeroOneAdam, FORM.name);

/// e_i, and since the last exchange m_i, U_i = Σγm_i, Σγ and the number of steps.
#[derive(Clone, Debug)]
pub struct Local {
    residual: Residual,
    m: Vector,
    u: Vector,
    lr: f64,
    steps: u64,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.residual("residual", &mut self.residual, layout);
        visitor.vector("m", Role::Momentum, &mut self.m);
        visitor.vector("u", Role::Momentum, &mut self.u);
        visitor.scalar("sum-lr", &mut self.lr);
        visitor.count("steps", &mut self.steps);
    }
}

impl Local {
    /// What it says: U_i/Σγ, or m_i where every γ was 0.
    fn mean(&self) -> Vector {
        let scale = (1.0 / self.lr) as f32;
        if !(self.lr > 0.0 && scale.is_finite()) {
            return self.m.clone();
        }
        let mut mean = self.u.clone();
        mean.scale(scale);
        mean
    }
}

/// m, v, ẽ, what the server's compressor remembers, and Σγ since the last exchange.
#[derive(Clone, Debug)]
pub struct Shared {
    moments: Moments,
    residual: Vector,
    memos: Vec<Memo>,
    lr: f64,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.moments.visit(visitor, layout);
        visitor.vector("residual", Role::Residual, &mut self.residual);
        visitor.memos("compressor", &mut self.memos);
        visitor.scalar("sum-lr", &mut self.lr);
    }
}

impl Algorithm for ZeroOneAdam {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        let (m, u) = (Vector::zeros(cx.layout.len()), Vector::zeros(cx.layout.len()));
        Local { residual: Residual::new(cx.layout), m, u, lr: 0.0, steps: 0 }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        let residual = Vector::zeros(cx.layout.len());
        Shared { moments: Moments::new(cx.layout), residual, memos: cx.memos(), lr: 0.0 }
    }

    fn arguments(&self) -> Vec<Argument> {
        let Refresh { freeze, doubling } = self.refresh;
        let freeze = Argument::unless("freeze", freeze, FREEZE);
        let own = [freeze, Argument::shown("doubling", doubling), Argument::unless("sync", self.sync, 1)];
        chained(chained(own, self.adam.arguments(&adam())), [self.local.decay_argument()])
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x() || self.sync > 1
    }

    fn asks_elsewhere(&self) -> bool {
        self.sync > 1
    }

    fn speaks_by_unit(&self) -> bool {
        self.sync == 1
    }

    fn leaves_step_open(&self) -> bool {
        self.sync == 1
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Err("what is owed is owed to m, whose past fades")
    }

    fn parent(&self) -> Result<Parent, Why> {
        if self.sync > 1 {
            return Err("between exchanges workers step by themselves");
        }
        let (beta1, beta2, eps) = (self.adam.beta1(), self.adam.beta2(), self.adam.eps());
        let adam = Rule::Adam { beta1, beta2, eps, refresh: self.refresh };
        Ok(Parent { common: [adam].into_iter().chain(self.local.rules()).collect(), ..Parent::default() })
    }

    fn ask(&self, local: &Local, shared: &Shared, said: &[Message], cx: &Cx<'_>) -> Vec<Ask> {
        if !said.is_empty() {
            return Vec::new();
        }
        if local.steps == 0 || self.sync == 1 {
            return vec![Ask::GRADIENT];
        }
        let mut at = local.u.clone();
        at.divide_by_root(&shared.moments.v, self.adam.eps() as f32);
        at.blend(-1.0, 1.0, cx.x);
        vec![Ask::Gradient { at: Some(at), batches: 1 }]
    }

    fn begin(&self, local: &mut Local, shared: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let g = seen.take();
        if self.is_exact(cx) {
            return g.to_message(cx.layout);
        }
        if local.steps == 0 {
            local.m.clone_from(&shared.moments.m);
            local.u.clear();
            local.lr = 0.0;
        }
        let beta1 = self.adam.beta1();
        local.m.blend(beta1 as f32, (1.0 - beta1) as f32, &g);
        local.u.axpy(cx.lr as f32, &local.m);
        local.lr += cx.lr;
        local.steps += 1;
        if self.speaks(cx) { local.residual.compress(1.0, 1.0, &local.mean(), cx) } else { silence(cx.layout) }
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        if !self.speaks(cx) {
            return Move::Direction(silence(cx.layout)).into();
        }
        let (heard, memos, kept) = if self.is_exact(cx) {
            (mean(inbox, cx.layout), Vec::new(), Vector::new())
        } else {
            let mut p = gathered(&shared.residual, &self.adam, &shared.moments.m, inbox, cx.layout);
            let mut memos = shared.memos.clone();
            let heard = cx.compress_down(&p, 1.0, &mut memos);
            p.add_decoded(-1.0, &heard, cx.layout);
            (heard, memos, p)
        };
        let mut d = shared.moments.heard(&self.adam, &heard, self.is_exact(cx), cx.layout).direction(&self.adam);
        self.local.decay(&mut d, cx);
        let moved = if self.sync == 1 {
            Move::Direction(d.to_message(cx.layout))
        } else {
            d.scale((shared.lr + cx.lr) as f32);
            Move::Update(d.to_message(cx.layout))
        };
        Next::Done(Decision { heard: Some(heard), memos, kept, ..moved.into() })
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        if self.is_exact(cx) || !self.speaks(cx) {
            return None;
        }
        if decided.is_some() {
            local.residual.settle(true);
            local.steps = 0;
        } else {
            // U_i goes on, and will be said whole.
            local.residual.settle_as(Some(local.mean().to_message(cx.layout)));
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        let Some(heard) = &decided.heard else {
            shared.lr += cx.lr;
            return;
        };
        shared.moments = shared.moments.heard(&self.adam, heard, self.is_exact(cx), cx.layout);
        shared.lr = 0.0;
        if !self.is_exact(cx) {
            shared.residual = std::mem::take(&mut decided.kept);
            shared.memos = std::mem::take(&mut decided.memos);
        }
    }
}
