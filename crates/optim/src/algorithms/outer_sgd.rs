use std::fmt;

use backburn_compress::text::{Args, Form, TextError};
use backburn_compress::{Feedback, Layout, Message, ParameterError, Vector, mean, mean_of_senders};

use super::LocalGradient;
use super::parts::{Outside, Units, silence};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Role, Rule, Seen, State,
    Visitor, Why, chained,
};

/// The outer step of methods whose workers take H steps by themselves: with Δ_i = θ − θ_i for a gradient,
/// p = βe_i + Δ_i, q_i = C(p), e_i = p − q_i; d = mean q_i, everybody alike follows it with momentum or Nesterov's, and
/// x ← x − γd.
///
/// `LocalSteps` makes the Δ_i with any Burn optimizer inside. Its presets, by name:
///
/// | name | inside | outside | |
/// |---|---|---|---|
/// | `local-sgd` | SGD | SGD | [Stich 2019](https://arxiv.org/abs/1805.09767) |
/// | `diloco` | AdamW | Nesterov 0.9 | [Douillard et al. 2023](https://arxiv.org/abs/2311.08105) |
/// | `sparse-loco` | AdamW | SGD, β = 0.95 | [Sarfi et al. 2025](https://arxiv.org/abs/2508.15706) |
/// | `mu-loco` | Muon | Nesterov 0.9 | [Thérien et al. 2025](https://arxiv.org/abs/2505.23725) |
///
/// The step size is outside, as in [`EfSgd::with_step_outside`](super::EfSgd::with_step_outside): when γ changes e_i is
/// rescaled, and at γ = 0 nothing moves, the outer momentum neither. `senders` divides every coordinate by the number
/// of workers that sent it instead of by n; x then moves by more than what the workers have paid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OuterSgd {
    preset: Preset,
    outer: LocalGradient,
    decay: f64,
    senders: bool,
}

/// The name under which its arguments have their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `local-sgd`.
    LocalSgd,
    /// `diloco`.
    DiLoCo,
    /// `sparse-loco`.
    SparseLoCo,
    /// `mu-loco`.
    MuLoCo,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LocalSgd, Self::DiLoCo, Self::SparseLoCo, Self::MuLoCo];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::LocalSgd => "local-sgd",
            Self::DiLoCo => "diloco",
            Self::SparseLoCo => "sparse-loco",
            Self::MuLoCo => "mu-loco",
        }
    }

    /// The preset of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Outer momentum and β.
    fn numbers(self) -> (f64, f64) {
        match self {
            Self::LocalSgd => (0.0, 1.0),
            Self::SparseLoCo => (0.0, 0.95),
            Self::DiLoCo | Self::MuLoCo => (0.9, 1.0),
        }
    }

    fn parse(self, args: &mut Args) -> Result<AnyAlgorithm, TextError> {
        let rest = OuterSgd::preset(self);
        let (polyak, senders) = (args.flag("polyak"), args.flag("senders"));
        let outer = LocalGradient::new().with_momentum(args.named("momentum")?.unwrap_or(rest.outer.momentum()))?;
        let outer = if polyak { outer } else { outer.with_nesterov() };
        let method = OuterSgd { outer, senders, ..rest };
        Ok(AnyAlgorithm::new(method.with_decay(args.named("decay")?.unwrap_or(rest.decay))?))
    }
}

/// A row of the table.
macro_rules! form {
    ($row:ident, $preset:ident, $name:literal, $momentum:literal, $decay:literal, $about:literal, $source:literal, $link:literal, $examples:expr) => {
        pub(super) static $row: Form<AnyAlgorithm> = Form {
            name: $name,
            usage: concat!($name, "[:momentum=μ][,polyak][,decay=β][,senders]"),
            about: $about,
            equation: "Δ_i = θ − θ_i after H steps, p = βe_i + Δ_i, q_i = C(p), e_i = p − q_i; x ← x − γ·outer(mean q_i)",
            source: $source,
            link: $link,
            defaults: &[
                (concat!("momentum=", $momentum), "μ of the outer step, Nesterov's unless `polyak`"),
                (concat!("decay=", $decay), "the residual's factor before each exchange"),
            ],
            examples: $examples,
            parse: |args| Preset::$preset.parse(args),
        };
    };
}

form!(
    LOCAL_SGD,
    LocalSgd,
    "local-sgd",
    "0",
    "1",
    "H steps of SGD at every worker, then one exchange of where they led",
    "Local SGD Converges Fast and Communicates Little, Stich 2019",
    "https://arxiv.org/abs/1805.09767",
    &["local-sgd", "local-sgd:momentum=0.5,polyak", "local-sgd:senders"]
);
form!(
    DILOCO,
    DiLoCo,
    "diloco",
    "0.9",
    "1",
    "H steps of AdamW at every worker, Nesterov's momentum on their mean",
    "DiLoCo: Distributed Low-Communication Training of Language Models, Douillard, Feng, Rusu, Chhaparia, Donchev, Kuncoro, Ranzato, Szlam, Shen 2023",
    "https://arxiv.org/abs/2311.08105",
    &["diloco", "diloco:momentum=0.8,decay=0.9"]
);
form!(
    SPARSE_LOCO,
    SparseLoCo,
    "sparse-loco",
    "0",
    "0.95",
    "H steps of AdamW at every worker, a decaying residual, and no outer momentum",
    "Communication Efficient LLM Pre-training with SparseLoCo, Sarfi, Thérien, Lidin, Belilovsky 2025",
    "https://arxiv.org/abs/2508.15706",
    &["sparse-loco", "sparse-loco:decay=1"]
);
form!(
    MU_LOCO,
    MuLoCo,
    "mu-loco",
    "0.9",
    "1",
    "H steps of Muon at every worker, Nesterov's momentum on their mean",
    "MuLoCo: Muon is a Practical Inner Optimizer for DiLoCo, Thérien, Huang, Rish, Belilovsky 2025",
    "https://arxiv.org/abs/2505.23725",
    &["mu-loco", "mu-loco:momentum=0.6,decay=0.95"]
);

impl OuterSgd {
    /// With the numbers of a preset.
    pub fn preset(preset: Preset) -> Self {
        let (momentum, decay) = preset.numbers();
        let outer = LocalGradient::new().with_momentum(momentum).expect("a preset's μ is below 1").with_nesterov();
        Self { preset, outer, decay, senders: false }
    }

    /// SGD outside, nothing forgotten.
    pub fn new() -> Self {
        Self::preset(Preset::LocalSgd)
    }

    /// Nesterov's momentum outside, 0 for none.
    ///
    /// # Errors
    /// Where μ is outside [0, 1).
    pub fn with_momentum(self, momentum: f64) -> Result<Self, ParameterError> {
        Ok(Self { outer: self.outer.with_momentum(momentum)?, ..self })
    }

    /// e_i ← βe_i before each exchange.
    ///
    /// # Errors
    /// Where β is outside (0, 1].
    pub fn with_decay(self, decay: f64) -> Result<Self, ParameterError> {
        if decay > 0.0 && decay <= 1.0 {
            Ok(Self { decay, ..self })
        } else {
            Err(ParameterError::Range { name: "decay", value: decay, allowed: "(0, 1]" })
        }
    }

    /// The mean of a coordinate is over the workers that sent it, and not over all.
    pub fn with_senders(self) -> Self {
        Self { senders: true, ..self }
    }

    fn has_momentum(&self) -> bool {
        self.outer.momentum() != 0.0
    }
}

impl Default for OuterSgd {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for OuterSgd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Argument::write(f, self.preset.name(), &self.arguments())
    }
}

/// m, and the last step size, which all know.
#[derive(Clone, Debug)]
pub struct Shared {
    m: Vector,
    units: Units,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        visitor.vector("momentum", Role::Momentum, &mut self.m);
        self.units.visit(visitor, layout);
    }
}

impl Algorithm for OuterSgd {
    type Takes = Feedback;
    type Local = Outside;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Outside {
        Outside::new(cx.layout)
    }

    fn shared(&self, _: &Cx<'_>) -> Shared {
        Shared { m: Vector::new(), units: Units::default() }
    }

    fn arguments(&self) -> Vec<Argument> {
        let (momentum, decay) = self.preset.numbers();
        let polyak = self.has_momentum() && !self.outer.is_nesterov();
        let outer = [Argument::unless("momentum", self.outer.momentum(), momentum), Argument::word("polyak", polyak)];
        chained(outer, [Argument::unless("decay", self.decay, decay), Argument::word("senders", self.senders)])
    }

    fn hears_mean(&self) -> bool {
        !self.senders
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        match () {
            () if self.decay < 1.0 => Err("a residual that decays forgets"),
            () if self.senders => Err("a mean over the senders moves x by more than they paid"),
            () if self.has_momentum() => Err("the outer momentum comes after the exchange"),
            () => Ok(Conserves::Outside),
        }
    }

    fn parent(&self) -> Result<Parent, Why> {
        let (momentum, nesterov) = (self.outer.momentum(), self.outer.is_nesterov());
        let outer = self.has_momentum().then_some(Rule::Outer { momentum, nesterov });
        Ok(Parent { common: outer.into_iter().collect(), ..Parent::default() })
    }

    fn begin(&self, local: &mut Outside, shared: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        if !shared.units.moves(cx.lr) {
            return silence(cx.layout);
        }
        let factor = local.convert(cx);
        local.residual.compress(factor * self.decay as f32, 1.0, &seen.take(), cx)
    }

    fn reduce(&self, shared: &Shared, _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let heard = if self.senders { mean_of_senders(inbox, cx.layout) } else { mean(inbox, cx.layout) };
        if !self.has_momentum() || !shared.units.moves(cx.lr) {
            return Move::Direction(heard).into();
        }
        let (mut m, mut d) = (shared.m.clone(), Vector::zeros(cx.layout.len()));
        d.add_decoded(1.0, &heard, cx.layout);
        self.outer.accelerate(&mut m, &mut d);
        Next::Done(Decision { heard: Some(heard), kept: m, ..Move::Direction(d.to_message(cx.layout)).into() })
    }

    fn commit(&self, local: &mut Outside, shared: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        if shared.units.moves(cx.lr) {
            local.residual.settle(decided.is_some());
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        if self.has_momentum() && shared.units.moves(cx.lr) {
            shared.m = std::mem::take(&mut decided.kept);
        }
        shared.units.rescale(cx.lr);
    }
}
