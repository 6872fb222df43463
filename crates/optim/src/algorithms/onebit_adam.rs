use backburn_compress::text::Form;
use backburn_compress::{Feedback, Layout, Memo, Message, ParameterError, Vector, mean};

use super::LocalGradient;
use super::parts::{Adam, Moments};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Refresh, Residual, Role,
    Rule, Seen, State, Visitor, Why, chained, display_by_arguments,
};

/// [1-bit Adam](https://arxiv.org/abs/2102.02888) (Tang, Gan, Awan, Rajbhandari, Li, Lian, Liu, Zhang, He 2021): Adam on exact means
/// for the first steps; from `freeze` on v stays, and m is what is exchanged, compressed with feedback at the workers
/// and at the server: u_i = β₁m + (1−β₁)g_i + e_i, q_i = C(u_i), e_i = u_i − q_i; p = mean q_i + ẽ, m ← C(p),
/// ẽ = p − m; x ← x − γ(m/(√v + ε) + λx), without a bias correction.
///
/// Whose v is 0 at the freeze never had a gradient, and does not move: a sign cannot say 0. Of what an absent worker
/// would have said β₁m is known to all, and counts; of a message that was lost (1−β₁)g_i stays owed. The scale of signs
/// is ‖u‖₁/d ([`ScaledSign`](backburn_compress::ScaledSign)) where the paper's program has ‖u‖₂/√d, which is no
/// contraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OnebitAdam {
    /// Steps before v stays, ≥ 1.
    freeze: u64,
    adam: Adam,
    local: LocalGradient,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "onebit-adam",
    usage: "onebit-adam[:freeze=STEPS][,beta1=β₁][,beta2=β₂][,eps=ε][,weight-decay=λ]",
    about: "Adam whose v stays after some steps, and whose m is compressed both ways; with `sign:scaled` 1-bit Adam",
    equation: "q_i = C(β₁m + (1−β₁)g_i + e_i), e_i ← the rest; m ← C(mean q_i + ẽ), ẽ ← the rest; x ← x − γ(m/(√v + ε) + λx)",
    source: "1-bit Adam: Communication Efficient Large-Scale Training with Adam's Convergence Speed, Tang, Gan, Awan, Rajbhandari, Li, Lian, Liu, Zhang, He 2021",
    link: "https://arxiv.org/abs/2102.02888",
    defaults: &[
        ("freeze=100", "steps of exact Adam, after which v stays"),
        ("beta1=0.9", "β₁"),
        ("beta2=0.999", "β₂"),
        ("eps=0.00000001", "ε"),
        ("weight-decay=0", "λ, beside Adam's step and not in its moments"),
    ],
    examples: &["onebit-adam:freeze=3", "onebit-adam:freeze=2,beta1=0.8,beta2=0.99,eps=0.001,weight-decay=0.01"],
    parse: |args| {
        let method = OnebitAdam::new(args.named("freeze")?.unwrap_or(FREEZE))?;
        let method = method.with_adam(adam().parse(args)?);
        Ok(AnyAlgorithm::new(OnebitAdam { local: method.local.with_decay_of(args)?, ..method }))
    },
};

/// Steps before the freeze where nothing is said.
const FREEZE: u64 = 100;

/// What Adam is where nothing is said.
pub(super) fn adam() -> Adam {
    Adam::new(0.9, 0.999).expect("0.9 and 0.999 are below 1")
}

impl OnebitAdam {
    /// Exact for so many steps.
    ///
    /// # Errors
    /// Where they are none: v would be 0.
    pub fn new(freeze: u64) -> Result<Self, ParameterError> {
        match freeze {
            0 => Err(ParameterError::Zero("freeze")),
            _ => Ok(Self { freeze, adam: adam(), local: LocalGradient::default() }),
        }
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
        cx.step < self.freeze
    }
}

display_by_arguments!(OnebitAdam, FORM.name);

/// e_i.
#[derive(Clone, Debug)]
pub struct Local {
    residual: Residual,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.residual("residual", &mut self.residual, layout);
    }
}

/// m, v, ẽ, and what the server's compressor remembers.
#[derive(Clone, Debug)]
pub struct Shared {
    moments: Moments,
    residual: Vector,
    memos: Vec<Memo>,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.moments.visit(visitor, layout);
        visitor.vector("residual", Role::Residual, &mut self.residual);
        visitor.memos("compressor", &mut self.memos);
    }
}

/// mean q_i + ẽ, β₁m counting as what an absent worker would have said.
pub(super) fn gathered(residual: &Vector, adam: &Adam, m: &Vector, inbox: Inbox<'_>, layout: &Layout) -> Vector {
    let mut p = residual.clone();
    p.add_decoded(1.0, &mean(inbox, layout), layout);
    let absent = inbox.iter().filter(|message| message.is_none()).count();
    if absent > 0 {
        p.axpy((adam.beta1() * absent as f64 / inbox.len() as f64) as f32, m);
    }
    p
}

impl Algorithm for OnebitAdam {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { residual: Residual::new(cx.layout) }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        let residual = Vector::zeros(cx.layout.len());
        Shared { moments: Moments::new(cx.layout), residual, memos: cx.memos() }
    }

    fn arguments(&self) -> Vec<Argument> {
        let freeze = Argument::shown("freeze", self.freeze);
        chained(chained([freeze], self.adam.arguments(&adam())), [self.local.decay_argument()])
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Err("what is owed is owed to m, whose past fades")
    }

    fn parent(&self) -> Result<Parent, Why> {
        let (beta1, beta2, eps) = (self.adam.beta1(), self.adam.beta2(), self.adam.eps());
        let refresh = Refresh { freeze: self.freeze, doubling: 0 };
        let adam = Rule::Adam { beta1, beta2, eps, refresh };
        Ok(Parent { common: [adam].into_iter().chain(self.local.rules()).collect(), ..Parent::default() })
    }

    fn begin(&self, local: &mut Local, shared: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let g = seen.take();
        if self.is_exact(cx) {
            return g.to_message(cx.layout);
        }
        let beta1 = self.adam.beta1();
        let u = Vector::sum(beta1 as f32, &shared.moments.m, (1.0 - beta1) as f32, &g);
        local.residual.compress(1.0, 1.0, &u, cx)
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
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
        let moved = Move::Direction(d.to_message(cx.layout));
        Next::Done(Decision { heard: Some(heard), memos, kept, ..moved.into() })
    }

    fn commit(&self, local: &mut Local, shared: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        match decided {
            _ if self.is_exact(cx) => {}
            Some(_) => local.residual.settle(true),
            // β₁m was known before.
            None => {
                let mut known = shared.moments.m.clone();
                known.scale(self.adam.beta1() as f32);
                local.residual.settle_as(Some(known.to_message(cx.layout)));
            }
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        if let Some(heard) = &decided.heard {
            shared.moments = shared.moments.heard(&self.adam, heard, self.is_exact(cx), cx.layout);
        }
        if !self.is_exact(cx) {
            shared.residual = std::mem::take(&mut decided.kept);
            shared.memos = std::mem::take(&mut decided.memos);
        }
    }
}
