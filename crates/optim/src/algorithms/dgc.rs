use std::fmt;

use backburn_compress::{Class, Feedback, Layout, Message, ParameterError, Payload, TopK, mean, random};

use super::{Entry, LocalGradient};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Buf, Cx, Decision, Inbox, Move, Next, Residual, Role, Seen, State, Visitor};

/// Deep Gradient Compression (Lin, Han, Mao, Wang, Dally 2018): momentum correction
/// u ← μu + g, v ← v + u, a worker sends C(v), v ← v − C(v), and momentum factor masking: u ← 0
/// where something was sent; x ← x − γ·mean.
///
/// Local clipping scales g_i to a norm of at most c/√n first. The warm-up sends the top 25 %,
/// 6.25 %, 1.6 % and 0.4 % for a quarter of its steps each, where that is more than the compressor
/// keeps. Momentum is Polyak's; the paper's Nesterov variant is left out. With the identity u is
/// cleared every step, and DGC is SGD.
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

pub(super) const ENTRY: Entry = Entry {
    name: "dgc",
    usage: "dgc[:momentum=μ][,clip=NORM][,warmup=STEPS][,weight-decay=λ]",
    about: "deep gradient compression: momentum correction and masking (μ = 0.9), clipping, warm-up",
    examples: &["dgc", "dgc:momentum=0.5,clip=1,warmup=4", "dgc:momentum=0"],
    parse: |args| {
        let dgc = Dgc::new(args.named("momentum")?.unwrap_or(MOMENTUM))?;
        let dgc = args.named("clip")?.map_or(Ok(dgc), |c| dgc.with_clip(c))?;
        let dgc = dgc.with_warm_up(args.named("warmup")?.unwrap_or(0));
        Ok(AnyAlgorithm::new(dgc.with_weight_decay(args.named("weight-decay")?.unwrap_or(0.0))?))
    },
};

/// μ where nothing is said.
const MOMENTUM: f64 = 0.9;
/// Stages of the warm-up, each a quarter of the ratio before.
const STAGES: u64 = 4;

impl Dgc {
    /// μ ∈ [0, 1).
    pub fn new(momentum: f64) -> Result<Self, ParameterError> {
        LocalGradient::new(momentum, 0.0)?;
        Ok(Self { momentum, clip: f64::INFINITY, warm_up: 0, local: LocalGradient::default() })
    }

    /// Scales each g_i to a norm of at most `clip`/√n, `clip` > 0.
    pub fn with_clip(self, clip: f64) -> Result<Self, ParameterError> {
        if clip > 0.0 {
            Ok(Self { clip, ..self })
        } else {
            Err(ParameterError::Range { name: "clip", value: clip, allowed: "(0, ∞]" })
        }
    }

    /// Sends more during so many first steps.
    pub fn with_warm_up(self, steps: u64) -> Self {
        Self { warm_up: steps, ..self }
    }

    /// λ ≥ 0, in the local gradient.
    pub fn with_weight_decay(self, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: LocalGradient::new(0.0, weight_decay)?, ..self })
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

impl fmt::Display for Dgc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::spec::unless;
        let clip = unless(self.clip, f64::INFINITY);
        let [_, decay] = self.local.form();
        let momentum = ("momentum", self.momentum.to_string());
        write_form(f, "dgc", &[momentum, ("clip", clip), ("warmup", unless(self.warm_up, 0)), decay])
    }
}

/// u_i, and v_i as the residual.
#[derive(Clone, Debug)]
pub struct Local {
    u: Buf,
    v: Residual,
    /// What was said, for the mask.
    said: Option<Message>,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.vector("u", Role::Momentum, &mut self.u);
        visitor.residual("v", &mut self.v, layout);
    }
}

/// x ← 0 at the coordinates that the payload names.
fn mask(x: &mut [f32], payload: &Payload) {
    match payload {
        Payload::Sparse { indices, .. } => indices.iter().for_each(|i| x[*i as usize] = 0.0),
        Payload::Drawn { len, draw, values } => {
            random::subset(*draw, *len, values.len()).into_iter().for_each(|i| x[i as usize] = 0.0);
        }
        Payload::Sum(parts) => parts.iter().for_each(|part| mask(x, part)),
        _ => x.fill(0.0),
    }
}

impl Algorithm for Dgc {
    type Takes = Feedback;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { u: vec![0.0; cx.layout.len()], v: Residual::new(cx.layout), said: None }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        let mut g = seen.take();
        self.local.decay(&mut g, cx);
        let norm = g.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
        let most = self.clip / (cx.workers as f64).sqrt();
        let scale = if norm > most { (most / norm) as f32 } else { 1.0 };
        let mu = self.momentum as f32;
        local.u.iter_mut().zip(&g).for_each(|(u, g)| *u = mu * *u + scale * g);
        let warming = self.warming(cx);
        let cx = match &warming {
            Some(compressor) => Cx { compressor, ..*cx },
            None => *cx,
        };
        let said = local.v.compress(1.0, 1.0, &local.u, &cx);
        local.said = Some(said.clone());
        said
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        Move::Direction(mean(inbox, cx.layout)).into()
    }

    fn commit(&self, local: &mut Local, _: &(), decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Buf> {
        local.v.settle(decided.is_some());
        if let (Some(said), Some(_)) = (local.said.take(), decided) {
            for (unit, payload) in cx.layout.units().iter().zip(&said) {
                mask(&mut local.u[unit.range.clone()], payload);
            }
        }
        None
    }
}
