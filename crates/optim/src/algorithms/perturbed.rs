use std::fmt;
use std::sync::Arc;

use backburn_compress::payload::Values;
use backburn_compress::{Feedback, Layout, Message, ParameterError, Payload, Philox, decode_into, mean, sketch};
use rayon::prelude::*;

use super::ef_sgd::silence;
use super::outside::Outside;
use super::{Entry, dense};
use crate::spec::{unless, write_form};
use crate::{Algorithm, AnyAlgorithm, Ask, Buf, Cx, Decision, Inbox, Move, Next, Role, Seen, State, Visitor};

/// Perturbed compressed SGD (Avdiukhin, Yaroslavtsev 2021, Algorithm 1): error feedback with the
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

pub(super) const ENTRY: Entry = Entry {
    name: "perturbed",
    usage: "perturbed:r=r[,interval=I][,radius=R][,columns=COUNT]",
    about: "perturbed compressed SGD: noise for all alike, and resets that let it escape saddle points",
    examples: &[
        "perturbed:r=0.01",
        "perturbed:r=0.01,interval=3",
        "perturbed:r=0.1,interval=300,radius=0.5,columns=32",
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
/// The random streams of noise and sketches.
const NOISE: u32 = 0x6e6f_6973;
const SKETCH: u32 = 0x736b_6574;

impl Perturbed {
    /// Noise of standard deviation r ≥ 0 in each coordinate; no resets.
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

    /// Resets once x − γe is further than R > 0 from x_ref.
    pub fn with_radius(self, radius: f64) -> Result<Self, ParameterError> {
        if radius > 0.0 && radius.is_finite() {
            Ok(Self { radius: Some(radius), ..self })
        } else {
            Err(ParameterError::Range { name: "radius", value: radius, allowed: "(0, ∞)" })
        }
    }

    /// Columns of the sketch by which several workers measure the radius, five rows of them.
    pub fn with_columns(self, columns: usize) -> Result<Self, ParameterError> {
        if columns == 0 { Err(ParameterError::Zero("columns")) } else { Ok(Self { columns, ..self }) }
    }

    fn resets(&self) -> bool {
        self.interval.is_some() || self.radius.is_some()
    }

    /// g ← g + ξ.
    fn perturb(&self, g: &mut [f32], cx: &Cx<'_>) {
        if self.r == 0.0 {
            return;
        }
        let key = cx.key().shared().round(0).stream(NOISE);
        let mut pieces = Vec::new();
        let mut rest = g;
        for unit in cx.layout.units() {
            let (own, after) = rest.split_at_mut(unit.len());
            pieces.push((unit, own));
            rest = after;
        }
        pieces.into_par_iter().for_each(|(unit, g)| {
            let mut random = Philox::new(key.unit(unit.key).draw());
            g.iter_mut().for_each(|g| *g += self.r as f32 * random.normal());
        });
    }

    fn sketch(&self, x: &[f32], cx: &Cx<'_>) -> Payload {
        let draw = cx.key().shared().round(0).stream(SKETCH).draw();
        sketch::sketch(x, ROWS, self.columns, draw)
    }

    /// What a worker says of its distance from x_ref: the distance itself where it is alone.
    fn measure(&self, p: &[f32], shared: &Shared, cx: &Cx<'_>) -> Payload {
        if cx.workers > 1 {
            return self.sketch(p, cx);
        }
        let lr = cx.lr as f32;
        let square = |((x, p), x_ref): ((&f32, &f32), &f32)| f64::from(x - lr * p - x_ref).powi(2);
        number(cx.x.iter().zip(p).zip(&shared.x_ref).map(square).sum::<f64>().sqrt())
    }

    /// ‖(x − γe) − x_ref‖ after this step, or its estimate.
    fn distance(&self, shared: &Shared, inbox: Inbox<'_>, cx: &Cx<'_>) -> f64 {
        let said: Vec<&Payload> = inbox.iter().flatten().filter_map(|m| m.last().map(|p| &**p)).collect();
        if cx.workers == 1 {
            return said.first().map_or(0.0, |p| f64::from(p.decode()[0]));
        }
        let away: Buf = cx.x.iter().zip(&shared.x_ref).map(|(x, x_ref)| x - x_ref).collect();
        let Payload::Sketch { mut cells, .. } = self.sketch(&away, cx) else { return 0.0 };
        let share = (cx.lr / cx.workers as f64) as f32;
        for payload in said {
            if let Payload::Sketch { cells: own, .. } = payload {
                cells.iter_mut().zip(own).for_each(|(c, own)| *c -= share * own);
            }
        }
        let square = |row: &[f32]| row.iter().map(|c| f64::from(*c).powi(2)).sum::<f64>();
        let mut rows: Vec<f64> = cells.chunks_exact(self.columns).map(square).collect();
        rows.sort_by(f64::total_cmp);
        rows[ROWS / 2].sqrt()
    }
}

/// A single finite number as a payload; NaN becomes the largest.
fn number(x: f64) -> Payload {
    let most = f64::from(f32::MAX);
    let x = if x.is_nan() { most } else { x.clamp(-most, most) };
    Payload::Dense(Values::F32(vec![x as f32]))
}

/// x_{t+1}, where the step was not yet corrected by a reset.
fn moved(direction: &[Arc<Payload>], cx: &Cx<'_>) -> Buf {
    let mut x = cx.x.to_vec();
    decode_into(direction, -cx.lr as f32, &mut x, cx.layout);
    x
}

impl fmt::Display for Perturbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<String>| value.unwrap_or_default();
        let interval = text(self.interval.map(|i| i.to_string()));
        let radius = text(self.radius.map(|r| r.to_string()));
        let columns = unless(self.columns, COLUMNS);
        let r = self.r.to_string();
        write_form(f, "perturbed", &[("r", r), ("interval", interval), ("radius", radius), ("columns", columns)])
    }
}

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
    x_ref: Buf,
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
        Shared { x_ref: if self.resets() { cx.x.to_vec() } else { Buf::new() }, t_ref: cx.step }
    }

    fn needs_x(&self) -> bool {
        self.resets()
    }

    fn asks_elsewhere(&self) -> bool {
        self.resets()
    }

    fn leaves_step_open(&self) -> bool {
        !self.resets()
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
        let Some(decay) = local.owed.decay(cx) else { return silence(cx.layout) };
        let mut g = seen.take();
        self.perturb(&mut g, cx);
        local.said = local.owed.residual.compress(decay, 1.0, &g, cx);
        let mut message = local.said.clone();
        if self.radius.is_some() {
            message.push(Arc::new(self.measure(local.owed.residual.corrected(), shared, cx)));
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
        let differences = inbox.iter().flatten().filter_map(|m| m.last()).map(|p| f64::from(p.decode()[0]));
        let difference = differences.sum::<f64>();
        let verdict = Arc::new(number(difference));
        if difference < 0.0 {
            let mut y = moved(direction, cx);
            decode_into(&mean, -cx.lr as f32, &mut y, cx.layout);
            let heard = mean.into_iter().chain([verdict]).collect();
            Next::Done(Decision { heard: Some(heard), ..Move::Jump(y).into() })
        } else {
            Next::Done(Decision { heard: Some(vec![verdict]), ..Move::Jump(shared.x_ref.clone()).into() })
        }
    }

    fn answer(&self, local: &mut Local, _: &Shared, seen: Seen, _: &[Message], cx: &Cx<'_>) -> Message {
        let mut e = local.owed.residual.corrected().to_vec();
        decode_into(&local.said, -1.0, &mut e, cx.layout);
        let mut message = dense(&e, cx.layout);
        let difference = if let [here, there] = seen.losses[..] { here - there } else { f64::NAN };
        message.push(Arc::new(number(difference)));
        message
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, _: &Cx<'_>) -> Option<Buf> {
        local.said.clear();
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
