use backburn_compress::text::Form;
use backburn_compress::{Class, Feedback, Layout, Message, ParameterError, TopK, Vector, mean};

use super::LocalGradient;
use super::parts::{Units, silence};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Residual, Role, Rule, Seen,
    State, Visitor, Why, display_by_arguments,
};

/// [Deep Gradient Compression](https://arxiv.org/abs/1712.01887) (Lin, Han, Mao, Wang, Dally 2018): momentum correction
/// u ← μu + g, v ← v + u, a worker sends C(v), v ← v − C(v), and momentum factor masking: u ← 0
/// where something was sent; x ← x − γ·mean.
///
/// Local clipping scales g_i to a norm of at most c/√n first. The warm-up sends the top 25 %,
/// 6.25 %, 1.6 % and 0.4 % for a quarter of its steps each, where that is more than the compressor
/// keeps. Momentum is Polyak's; the paper's Nesterov variant is left out. With the identity u is
/// cleared every step, and DGC is SGD. When γ changes, v is rescaled as e is in
/// [`EfSgd::with_step_outside`](super::EfSgd::with_step_outside); at γ = 0 u alone moves on and nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dgc {
    /// μ ∈ [0, 1).
    momentum: f64,
    /// c > 0; infinite for none.
    clip: f64,
    /// Steps of warm-up.
    warm_up: u64,
    local: LocalGradient,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "dgc",
    usage: "dgc[:momentum=μ][,clip=NORM][,warmup=STEPS][,weight-decay=λ]",
    about: "deep gradient compression: momentum correction and masking, clipping, warm-up",
    equation: "u ← μu + g_i, v ← v + u, send C(v); v ← v − C(v), u ← 0 where sent; x ← x − γ·mean C(v)",
    source: "Deep Gradient Compression, Lin, Han, Mao, Wang, Dally 2018",
    link: "https://arxiv.org/abs/1712.01887",
    defaults: &[
        ("momentum=0.9", "μ"),
        ("clip=inf", "the most that ‖g_i‖ may be, times √n"),
        ("warmup=0", "steps that send more"),
        ("weight-decay=0", "λ"),
    ],
    examples: &["dgc", "dgc:momentum=0.5,clip=1,warmup=4", "dgc:momentum=0", "dgc:momentum=0,clip=2,weight-decay=0.01"],
    parse: |args| {
        let dgc = Dgc::new(args.named("momentum")?.unwrap_or(MOMENTUM))?;
        let dgc = args.named("clip")?.map_or(Ok(dgc), |c| dgc.with_clip(c))?;
        let dgc = dgc.with_warmup(args.named("warmup")?.unwrap_or(0));
        Ok(AnyAlgorithm::new(Dgc { local: dgc.local.with_decay_of(args)?, ..dgc }))
    },
};

/// μ where nothing is said.
const MOMENTUM: f64 = 0.9;
/// Stages of the warm-up, each a quarter of the ratio before.
const STAGES: u64 = 4;

impl Dgc {
    /// With momentum μ.
    ///
    /// # Errors
    /// Where μ is outside [0, 1).
    pub fn new(momentum: f64) -> Result<Self, ParameterError> {
        LocalGradient::new().with_momentum(momentum)?;
        Ok(Self { momentum, clip: f64::INFINITY, warm_up: 0, local: LocalGradient::default() })
    }

    /// Scales each g_i to a norm of at most `clip`/√n.
    ///
    /// # Errors
    /// Where `clip` is not positive.
    pub fn with_clip(self, clip: f64) -> Result<Self, ParameterError> {
        if clip > 0.0 {
            Ok(Self { clip, ..self })
        } else {
            Err(ParameterError::Range { name: "clip", value: clip, allowed: "(0, ∞]" })
        }
    }

    /// Sends more during so many first steps.
    pub fn with_warmup(self, steps: u64) -> Self {
        Self { warm_up: steps, ..self }
    }

    /// g ← g + λx, before all else.
    ///
    /// # Errors
    /// Where λ is negative or not finite.
    pub fn with_weight_decay(self, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: self.local.with_weight_decay(weight_decay)?, ..self })
    }

    /// The compressor of the warm-up at this step, once that is over `None`.
    fn warming(&self, cx: &Cx<'_>) -> Option<TopK> {
        if cx.step >= self.warm_up {
            return None;
        }
        let stage = (cx.step as u128 * u128::from(STAGES) / u128::from(self.warm_up)) as i32;
        let kept = cx.layout.units().iter().filter(|u| !u.dense).map(|u| match cx.compressor.class(u) {
            Class::Contractive(alpha) => alpha,
            _ => 0.0,
        });
        let ratio = 0.25f64.powi(stage + 1);
        if kept.fold(1.0, f64::min) < ratio { TopK::ratio(ratio).ok() } else { None }
    }
}

display_by_arguments!(Dgc, FORM.name);

/// u_i, and v_i as the residual.
#[derive(Clone, Debug)]
pub struct Local {
    u: Vector,
    v: Residual,
    units: Units,
    /// What was said, for the mask.
    said: Option<Message>,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.vector("u", Role::Momentum, &mut self.u);
        visitor.residual("v", &mut self.v, layout);
        self.units.visit(visitor, layout);
    }
}

impl Algorithm for Dgc {
    type Takes = Feedback;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        let (u, v) = (Vector::zeros(cx.layout.len()), Residual::new(cx.layout));
        Local { u, v, units: Units::default(), said: None }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn arguments(&self) -> Vec<Argument> {
        let clip = Argument::unless("clip", self.clip, f64::INFINITY);
        let warmup = Argument::unless("warmup", self.warm_up, 0);
        vec![Argument::shown("momentum", self.momentum), clip, warmup, self.local.decay_argument()]
    }

    fn hears_mean(&self) -> bool {
        true
    }

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        if self.momentum == 0.0 {
            Ok(Conserves::Outside)
        } else {
            Err("momentum is forgotten where something was sent")
        }
    }

    fn parent(&self) -> Result<Parent, Why> {
        let clip = self.clip.is_finite().then_some(Rule::Clip(self.clip));
        let cleared = (self.momentum != 0.0).then_some(Rule::Cleared(self.momentum));
        let local = self.local.rules().into_iter().chain(clip).chain(cleared).collect();
        Ok(Parent { local, ..Parent::default() })
    }

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        let mut g = seen.take();
        self.local.decay(&mut g, cx);
        let norm = g.square().sqrt();
        let most = self.clip / (cx.workers as f64).sqrt();
        let scale = if norm > most { (most / norm) as f32 } else { 1.0 };
        local.u.blend(self.momentum as f32, scale, &g);
        let Some(factor) = local.units.rescale(cx.lr) else { return silence(cx.layout) };
        let warming = self.warming(cx);
        let cx = match &warming {
            Some(compressor) => Cx { compressor, ..*cx },
            None => *cx,
        };
        let said = local.v.compress(factor, 1.0, &local.u, &cx);
        local.said = Some(said.clone());
        said
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        Move::Direction(mean(inbox, cx.layout)).into()
    }

    fn commit(&self, local: &mut Local, _: &(), decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        local.v.settle(decided.is_some());
        if let (Some(said), Some(_)) = (local.said.take(), decided) {
            local.u.mask(&said, cx.layout);
        }
        None
    }
}
