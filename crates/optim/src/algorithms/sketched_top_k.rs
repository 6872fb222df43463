use std::sync::Arc;

use backburn_compress::payload::{Levels, Sketch, Sparse, Values};
use backburn_compress::text::Form;
use backburn_compress::{CountSketch, Layout, Message, ParameterError, Payload, Unit, Vector, mean_at};

use super::LocalGradient;
use super::parts::joint::{Worker, floats, unused};
use super::parts::{Units, silence, with_local_gradient};
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Plain, Seen, Why, chained,
    display_by_arguments,
};

/// [Sketched-SGD](https://arxiv.org/abs/1903.04488) (Ivkin, Rothchild, Ullah, Braverman, Stoica, Arora 2019): workers send count-sketches
/// of p_i = g_i + e_i, which add; everybody finds the k heaviest places of the sum, and in a second
/// round the workers send their exact values there. e_i = p_i with zeros at those places;
/// x ← x − γ·mean.
///
/// Departing from the paper: k places are taken from the sketch at once, not from P·k candidates;
/// momentum is the worker's own, before. Units that a sketch would not shorten are sent dense. Its
/// compressor is its own: any other is accepted and unused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SketchedTopK {
    rows: usize,
    columns: usize,
    k: usize,
    sketch: CountSketch,
    local: LocalGradient,
}

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "sketched-topk",
    usage: "sketched-topk:k=COUNT,cols=COUNT[,rows=COUNT][,momentum=β][,weight-decay=λ][,nesterov]",
    about: "top-k of the sum of the workers' sketches, with exact values in a second round",
    equation: "p = g_i + e_i; J = the k heaviest of Σ sketch(p); send p_J, e_i = p with 0 at J, x ← x − γ·mean p_J",
    source: "Communication-efficient Distributed SGD with Sketching, Ivkin, Rothchild, Ullah, Braverman, Stoica, Arora 2019",
    link: "https://arxiv.org/abs/1903.04488",
    defaults: &[("rows=5", "of the sketch"), ("momentum=0", "β"), ("weight-decay=0", "λ")],
    examples: &[
        "sketched-topk:k=2,cols=4,rows=3",
        "sketched-topk:k=1,cols=3,rows=1,momentum=0.5",
        "sketched-topk:k=1,cols=3,rows=1",
    ],
    parse: |args| {
        let sketched = SketchedTopK::new(args.required("k")?, args.required("cols")?)?;
        let sketched = sketched.with_rows(args.named("rows")?.unwrap_or(ROWS))?;
        Ok(AnyAlgorithm::new(SketchedTopK { local: LocalGradient::parse(args)?, ..sketched }))
    },
};

/// Rows where nothing is said.
const ROWS: usize = 5;

impl SketchedTopK {
    /// The `k` heaviest places of every unit, by a sketch of five rows of so many columns.
    ///
    /// # Errors
    /// Where `k` or `columns` is 0.
    pub fn new(k: usize, columns: usize) -> Result<Self, ParameterError> {
        let sketch = CountSketch::columns(columns)?.with_rows(ROWS)?.with_k(k)?;
        Ok(Self { rows: ROWS, columns, k, sketch, local: LocalGradient::default() })
    }

    /// Rows of the sketch.
    ///
    /// # Errors
    /// Where they are not 1 … 64.
    pub fn with_rows(self, rows: usize) -> Result<Self, ParameterError> {
        Ok(Self { rows, sketch: self.sketch.with_rows(rows)?, ..self })
    }

    fn is_sketched(&self, unit: &Unit) -> bool {
        !unit.dense && self.rows.saturating_mul(self.columns).saturating_add(self.k) < unit.len()
    }

    /// The units with their places in the second round's messages, `None` where they are dense.
    fn second<'a>(&self, layout: &'a Layout) -> Vec<(&'a Unit, Option<usize>)> {
        let mut next = 0..;
        layout.units().iter().map(|u| (u, if self.is_sketched(u) { next.next() } else { None })).collect()
    }
}

/// The sum of the sketches of a unit, if all are.
fn sum(inbox: Inbox<'_>, unit: usize) -> Option<Sketch> {
    let sketch =
        |m: &&Message| if let Payload::Sketch(sketch) = &*m.payloads[unit] { Some(sketch.clone()) } else { None };
    let sketches: Option<Vec<Sketch>> = inbox.iter().flatten().map(sketch).collect();
    Sketch::merge(&sketches?)
}

/// Places without values: levels that are all zero, at less than two bits each.
fn places(len: usize, indices: Vec<u32>) -> Arc<Payload> {
    let levels = Levels { most: 1, bucket: indices.len().max(1), steps: vec![0.0], levels: vec![0; indices.len()] };
    Arc::new(Sparse { len, indices, values: Values::Levels(levels) }.into())
}

with_local_gradient!(SketchedTopK, local);
display_by_arguments!(SketchedTopK, FORM.name);

impl Algorithm for SketchedTopK {
    type Takes = Plain;
    type Local = Worker;
    type Shared = Units;

    fn local(&self, cx: &Cx<'_>) -> Worker {
        Worker::new(cx.layout)
    }

    fn shared(&self, _: &Cx<'_>) -> Units {
        Units::default()
    }

    fn arguments(&self) -> Vec<Argument> {
        let sizes = [("k", self.k), ("cols", self.columns), ("rows", self.rows)];
        chained(sizes.map(|(name, size)| Argument::shown(name, size)), self.local.arguments())
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
        Ok(Conserves::Outside)
    }

    fn parent(&self) -> Result<Parent, Why> {
        Ok(Parent { local: self.local.rules(), ..Parent::default() })
    }

    fn warning(&self, cx: &Cx<'_>) -> Option<String> {
        unused(self, cx.compressor)
    }

    fn begin(&self, local: &mut Worker, shared: &Units, seen: Seen, cx: &Cx<'_>) -> Message {
        let Some(p) = local.accumulate(&self.local, seen, shared, false, cx) else { return silence(cx.layout) };
        let said = cx.layout.units().iter().map(|unit| {
            let key = cx.key().unit(unit.key);
            Arc::new(if self.is_sketched(unit) { p.sketch_unit(unit, &self.sketch, &key) } else { p.dense(unit) })
        });
        let said: Message = said.collect();
        local.said = said.clone();
        said
    }

    fn reduce(&self, shared: &Units, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        if !shared.moves(cx.lr) || inbox.iter().all(Option::is_none) {
            return Move::Direction(silence(cx.layout)).into();
        }
        let units = self.second(cx.layout);
        if let [first, ..] = said {
            let heard: Message =
                units.iter().filter_map(|(_, place)| Some(floats(mean_at(inbox, (*place)?)))).collect();
            let joint = units.iter().zip(&first.payloads).map(|((_, place), first)| match place {
                Some(place) => Arc::new(first.with_values(heard.payloads[*place].decode())),
                None => first.clone(),
            });
            return Next::Done(Decision { heard: Some(heard.clone()), ..Move::Direction(joint.collect()).into() });
        }
        let first = units.iter().enumerate().map(|(u, (unit, place))| match (place, sum(inbox, u)) {
            (Some(_), Some(sum)) => places(unit.len(), sum.heaviest(self.sketch.k(unit.len()))),
            _ => floats(mean_at(inbox, u)),
        });
        let first: Message = first.collect();
        if units.iter().all(|(_, place)| place.is_none()) { Move::Direction(first).into() } else { Next::Round(first) }
    }

    fn answer(&self, local: &mut Worker, _: &Units, _: Seen, said: &[Message], cx: &Cx<'_>) -> Message {
        let p = local.owed.residual.corrected();
        let mut answer = Message::new();
        let first = said.first().map_or(&[][..], |m| &m.payloads);
        for ((u, (unit, place)), first) in self.second(cx.layout).into_iter().enumerate().zip(first) {
            if place.is_some() {
                let values = p.gather(unit, first);
                local.said.payloads[u] = Arc::new(first.with_values(values.clone()));
                answer.payloads.push(floats(values));
            }
        }
        answer
    }

    fn commit(&self, local: &mut Worker, _: &Units, decided: Option<&Decision>, _: &Cx<'_>) -> Option<Vector> {
        let said = std::mem::take(&mut local.said);
        if !said.is_empty() {
            local.owed.residual.settle_as(decided.map(|_| said));
        }
        None
    }

    fn advance(&self, shared: &mut Units, _: &[Message], _: Inbox<'_>, _: &mut Decision, cx: &Cx<'_>) {
        shared.rescale(cx.lr);
    }
}
