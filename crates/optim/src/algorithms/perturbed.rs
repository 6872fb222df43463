use backburn_compress::payload::Sketch;
use backburn_compress::text::Form;
use backburn_compress::{Feedback, Key, Layout, Message, Note, ParameterError, Stream, Vector, mean};

use super::parts::{Outside, silence};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Ask, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Restarts, Role, Seen,
    State, Visitor, Why, chained, display_by_arguments,
};

/// Perturbed compressed SGD ([Avdiukhin, Yaroslavtsev 2021](https://arxiv.org/abs/2105.10090), Algorithm 1): error feedback with the
/// step size outside, and noise ξ ~ N(0, r²I) on every gradient, the same draw for all workers.
///
/// Once t − t_ref > I or ‖(x − γe) − x_ref‖ > R, e the mean of the e_i: if f(x) < f(x_ref), then
/// x ← x − γe, else x ← x_ref; then x_ref ← x, t_ref ← t, all e_i ← 0. The rule stands at the end of a
/// step instead of at the beginning of the next, which is the same. e is exact: at a reset every
/// worker sends e_i dense, with its f_i(x) − f_i(x_ref).
///
/// For the radius nobody needs e itself, since x − γe after a step is x − γ·mean p_i before it: one
/// worker alone knows the distance, several send a count-sketch of p_i with every message; sketches
/// add, and the median of their rows' norms estimates the distance. Without `interval` and
/// `radius` there are no resets, and any optimizer may follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perturbed {
    /// r ≥ 0.
    r: f64,
    /// I.
    interval: Option<u64>,
    /// R > 0.
    radius: Option<f64>,
    /// Columns of the sketch.
    columns: usize,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "perturbed",
    usage: "perturbed:r=r[,interval=I][,radius=R][,columns=COUNT]",
    about: "perturbed compressed SGD: noise for all alike, and resets that let it escape saddle points",
    equation: "p = g_i + ξ + e_i, q_i = C(p), e_i = p − q_i, x ← x − γ·mean q_i; once t − t_ref > I or ‖(x − γe) − x_ref‖ > R, on from where f is less",
    source: "Escaping Saddle Points with Compressed SGD, Avdiukhin, Yaroslavtsev 2021",
    link: "https://arxiv.org/abs/2105.10090",
    defaults: &[
        ("interval=none", "I, steps between resets"),
        ("radius=none", "R, the distance that brings one"),
        ("columns=64", "of the sketch by which several workers measure it"),
    ],
    examples: &[
        "perturbed:r=0.01",
        "perturbed:r=0.01,interval=3",
        "perturbed:r=0.1,interval=300,radius=0.5,columns=32",
        "perturbed:r=0,interval=2",
    ],
    parse: |args| {
        let mut perturbed = Perturbed::new(args.required("r")?)?;
        if let Some(interval) = args.named("interval")? {
            perturbed = perturbed.with_interval(interval);
        }
        if let Some(radius) = args.named("radius")? {
            perturbed = perturbed.with_radius(radius)?;
        }
        let columns = args.named("columns")?.unwrap_or(COLUMNS);
        Ok(AnyAlgorithm::new(perturbed.with_columns(columns)?))
    },
};

/// Rows of the sketch, of which the median counts.
const ROWS: usize = 5;
/// Its columns where nothing is said: the distance to about a tenth.
const COLUMNS: usize = 64;

impl Perturbed {
    /// Noise of standard deviation r in each coordinate; no resets.
    ///
    /// # Errors
    /// Where r is negative or not finite.
    pub fn new(r: f64) -> Result<Self, ParameterError> {
        if r >= 0.0 && r.is_finite() {
            Ok(Self { r, interval: None, radius: None, columns: COLUMNS })
        } else {
            Err(ParameterError::Range { name: "r", value: r, allowed: "[0, ∞)" })
        }
    }

    /// Resets after more than I steps.
    pub fn with_interval(self, interval: u64) -> Self {
        Self { interval: Some(interval), ..self }
    }

    /// Resets once x − γe is further than R from x_ref.
    ///
    /// # Errors
    /// Where R is not positive and finite.
    pub fn with_radius(self, radius: f64) -> Result<Self, ParameterError> {
        if radius > 0.0 && radius.is_finite() {
            Ok(Self { radius: Some(radius), ..self })
        } else {
            Err(ParameterError::Range { name: "radius", value: radius, allowed: "(0, ∞)" })
        }
    }

    /// Columns of the sketch by which several workers measure the radius, five rows of them.
    ///
    /// # Errors
    /// Where there are none.
    pub fn with_columns(self, columns: usize) -> Result<Self, ParameterError> {
        if columns == 0 { Err(ParameterError::Zero("columns")) } else { Ok(Self { columns, ..self }) }
    }

    fn resets(&self) -> bool {
        self.interval.is_some() || self.radius.is_some()
    }

    /// The name of a draw that all workers share.
    fn key(stream: Stream, cx: &Cx<'_>) -> Key {
        cx.key().shared().round(0).stream(stream)
    }

    fn sketch(&self, x: &Vector, cx: &Cx<'_>) -> Sketch {
        x.sketch(ROWS, self.columns, Self::key(Stream::RADIUS, cx).draw())
    }

    /// What a worker says of its distance from x_ref: the distance itself where it is alone.
    fn measure(&self, p: &Vector, shared: &Shared, cx: &Cx<'_>) -> Note {
        if cx.workers > 1 {
            return Note::Sketch(self.sketch(p, cx));
        }
        let mut away = cx.x.clone();
        away.axpy(-cx.lr as f32, p);
        away.subtract(&shared.x_ref);
        Note::number(away.square().sqrt())
    }

    /// ‖(x − γe) − x_ref‖ after this step, or its estimate.
    fn distance(&self, shared: &Shared, inbox: Inbox<'_>, cx: &Cx<'_>) -> f64 {
        let said: Vec<&Note> = inbox.iter().flatten().filter_map(|m| m.notes.last()).collect();
        if cx.workers == 1 {
            return said.first().and_then(|n| n.as_number()).unwrap_or(0.0);
        }
        let mut away = cx.x.clone();
        away.subtract(&shared.x_ref);
        let mut away = self.sketch(&away, cx);
        let share = (cx.lr / cx.workers as f64) as f32;
        for note in said {
            if let Note::Sketch(own) = note {
                away.add_scaled(-share, own);
            }
        }
        away.norm()
    }
}

/// x_{t+1}, where the step was not yet corrected by a reset.
fn moved(direction: &Message, cx: &Cx<'_>) -> Vector {
    let mut x = cx.x.clone();
    x.add_decoded(-cx.lr as f32, direction, cx.layout);
    x
}

display_by_arguments!(Perturbed, FORM.name);

/// e_i.
#[derive(Clone, Debug)]
pub struct Local {
    owed: Outside,
    /// q_i, until the step ends.
    said: Message,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.owed.visit(visitor, layout);
    }
}

/// x_ref and t_ref.
#[derive(Clone, Debug)]
pub struct Shared {
    x_ref: Vector,
    t_ref: u64,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("x_ref", Role::Tracker, &mut self.x_ref);
        visitor.count("t_ref", &mut self.t_ref);
    }
}

impl Algorithm for Perturbed {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { owed: Outside::new(cx.layout), said: Message::new() }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { x_ref: if self.resets() { cx.x.clone() } else { Vector::new() }, t_ref: cx.step }
    }

    fn arguments(&self) -> Vec<Argument> {
        let resets = [Argument::option("interval", self.interval), Argument::option("radius", self.radius)];
        let columns = Argument::unless("columns", self.columns, COLUMNS);
        chained([Argument::shown("r", self.r)], chained(resets, [columns]))
    }

    fn needs_x(&self) -> bool {
        self.resets()
    }

    fn asks_elsewhere(&self) -> bool {
        self.resets()
    }

    fn speaks_by_unit(&self) -> bool {
        !self.resets()
    }

    fn leaves_step_open(&self) -> bool {
        !self.resets()
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        match (self.r != 0.0, self.resets()) {
            (true, _) => Err("its noise is a draw of its own"),
            (false, true) => Err("a reset that finds nothing better goes back"),
            (false, false) => Ok(Conserves::Outside),
        }
    }

    fn parent(&self) -> Result<Parent, Why> {
        if self.r != 0.0 {
            return Err("its noise is a draw of its own");
        }
        let restarts = self.resets().then_some(Restarts { interval: self.interval, radius: self.radius });
        Ok(Parent { restarts, ..Parent::default() })
    }

    fn ask(&self, _: &Local, shared: &Shared, said: &[Message], cx: &Cx<'_>) -> Vec<Ask> {
        match said {
            [] => vec![Ask::GRADIENT],
            [direction, ..] => {
                vec![Ask::Loss { at: Some(moved(direction, cx)) }, Ask::Loss { at: Some(shared.x_ref.clone()) }]
            }
        }
    }

    fn begin(&self, local: &mut Local, shared: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let Some(decay) = local.owed.rescale(cx) else { return silence(cx.layout) };
        let mut g = seen.take();
        if self.r != 0.0 {
            g.add_noise(self.r as f32, &Self::key(Stream::PERTURBATION, cx), cx.layout);
        }
        local.said = local.owed.residual.compress(decay, 1.0, &g, cx);
        let mut message = local.said.clone();
        if self.radius.is_some() {
            message.notes.push(self.measure(local.owed.residual.corrected(), shared, cx));
        }
        message
    }

    fn reduce(&self, shared: &Shared, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        let mean = mean(inbox, cx.layout);
        let Some(direction) = said.first() else {
            let late = self.interval.is_some_and(|i| cx.step + 1 - shared.t_ref.min(cx.step + 1) > i);
            let far = || self.radius.is_some_and(|r| self.distance(shared, inbox, cx) > r);
            let due = cx.lr != 0.0 && inbox.iter().any(Option::is_some) && (late || far());
            return if due { Next::Round(mean) } else { Move::Direction(mean).into() };
        };
        let differences = inbox.iter().flatten().filter_map(|m| m.notes.last()?.as_number());
        let difference = differences.sum::<f64>();
        let verdict = Note::number(difference);
        if difference < 0.0 {
            let mut y = moved(direction, cx);
            y.add_decoded(-cx.lr as f32, &mean, cx.layout);
            Next::Done(Decision { heard: Some(mean.with_note(verdict)), ..Move::Jump(y).into() })
        } else {
            Next::Done(Decision {
                heard: Some(Message::new().with_note(verdict)),
                ..Move::Jump(shared.x_ref.clone()).into()
            })
        }
    }

    fn answer(&self, local: &mut Local, _: &Shared, seen: Seen, _: &[Message], cx: &Cx<'_>) -> Message {
        let mut e = local.owed.residual.corrected().clone();
        e.add_decoded(-1.0, &local.said, cx.layout);
        let difference = if let [here, there] = seen.losses[..] { here - there } else { f64::NAN };
        e.to_message(cx.layout).with_note(Note::number(difference))
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
        local.said = Message::new();
        match decided.map(|d| &d.moved) {
            Some(Move::Jump(_)) => local.owed.residual.clear(),
            other => local.owed.residual.settle(other.is_some()),
        }
        None
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], _: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        if let Move::Jump(y) = &decided.moved {
            shared.x_ref.clone_from(y);
            shared.t_ref = cx.step + 1;
        }
    }
}
