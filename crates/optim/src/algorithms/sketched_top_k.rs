use std::fmt;
use std::sync::Arc;

use backburn_compress::payload::{Levels, Values};
use backburn_compress::sketch::{heaviest, merge};
use backburn_compress::{CountSketch, Layout, Message, ParameterError, Payload, Unit};

use super::ef_sgd::silence;
use super::joint::{Worker, floats, mean_at, unused};
use super::{Entry, LocalGradient};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Buf, Cx, Decision, Inbox, Move, Next, Plain, Seen};

/// Sketched-SGD (Ivkin, Rothchild, Ullah, Braverman, Stoica, Arora 2019): workers send count-sketches
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

pub(super) const ENTRY: Entry = Entry {
    name: "sketched-topk",
    usage: "sketched-topk:k=COUNT,cols=COUNT[,rows=5][,momentum=β][,weight-decay=λ]",
    about: "top-k of the sum of the workers' sketches, with exact values in a second round",
    examples: &["sketched-topk:k=2,cols=4,rows=3", "sketched-topk:k=1,cols=3,rows=1,momentum=0.5"],
    parse: |args| {
        let (k, columns) = (args.required("k")?, args.required("cols")?);
        let sketched = SketchedTopK::new(k, args.named("rows")?.unwrap_or(ROWS), columns)?;
        Ok(AnyAlgorithm::new(SketchedTopK { local: LocalGradient::parse(args)?, ..sketched }))
    },
};

/// Rows where nothing is said.
const ROWS: usize = 5;

impl SketchedTopK {
    /// The `k` ≥ 1 heaviest places of every unit, by a sketch of 1 … 64 rows and `columns` ≥ 1.
    pub fn new(k: usize, rows: usize, columns: usize) -> Result<Self, ParameterError> {
        let sketch = CountSketch::columns(columns)?.with_rows(rows)?.with_k(k)?;
        Ok(Self { rows, columns, k, sketch, local: LocalGradient::default() })
    }

    /// Momentum β ∈ [0, 1) and weight decay λ ≥ 0, at the worker.
    pub fn with_momentum(self, momentum: f64, weight_decay: f64) -> Result<Self, ParameterError> {
        Ok(Self { local: LocalGradient::new(momentum, weight_decay)?, ..self })
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

/// Places without values: levels that are all zero, at less than two bits each.
fn places(len: usize, indices: Vec<u32>) -> Arc<Payload> {
    let levels = Levels { most: 1, bucket: indices.len().max(1), steps: vec![0.0], levels: vec![0; indices.len()] };
    Arc::new(Payload::Sparse { len, indices, values: Values::Levels(levels) })
}

/// Values at such places.
fn at(places: &Payload, values: Buf) -> Arc<Payload> {
    let indices = match places {
        Payload::Sparse { indices, .. } => indices.clone(),
        _ => Vec::new(),
    };
    Arc::new(Payload::Sparse { len: places.len(), indices, values: Values::F32(values) })
}

impl fmt::Display for SketchedTopK {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [momentum, decay] = self.local.form();
        let (k, columns, rows) = (self.k.to_string(), self.columns.to_string(), self.rows.to_string());
        write_form(f, "sketched-topk", &[("k", k), ("cols", columns), ("rows", rows), momentum, decay])
    }
}

impl Algorithm for SketchedTopK {
    type Takes = Plain;
    type Local = Worker;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Worker {
        Worker::new(cx.layout)
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn needs_x(&self) -> bool {
        self.local.needs_x()
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn warning(&self, cx: &Cx<'_>) -> Option<String> {
        unused(self, cx.compressor)
    }

    fn begin(&self, local: &mut Worker, _: &(), seen: Seen, cx: &Cx<'_>) -> Message {
        let Some(p) = local.accumulate(&self.local, seen, cx) else { return silence(cx.layout) };
        let said = cx.layout.units().iter().map(|unit| {
            let p = &p[unit.range.clone()];
            if self.is_sketched(unit) {
                Arc::new(self.sketch.sketch(p, &cx.key().unit(unit.key)))
            } else {
                floats(p.to_vec())
            }
        });
        let said: Message = said.collect();
        local.said.clone_from(&said);
        said
    }

    fn reduce(&self, _: &(), said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        if cx.lr == 0.0 || inbox.iter().all(Option::is_none) {
            return Move::Direction(silence(cx.layout)).into();
        }
        let units = self.second(cx.layout);
        if let [first, ..] = said {
            let heard: Message =
                units.iter().filter_map(|(_, place)| Some(floats(mean_at(inbox, (*place)?)))).collect();
            let joint = units.iter().zip(first).map(|((_, place), first)| match place {
                Some(place) => at(first, heard[*place].decode()),
                None => first.clone(),
            });
            return Next::Done(Decision { heard: Some(heard.clone()), ..Move::Direction(joint.collect()).into() });
        }
        let first = units.iter().enumerate().map(|(u, (unit, place))| {
            let parts: Vec<&Payload> = inbox.iter().flatten().map(|m| &*m[u]).collect();
            match (place, merge(&parts)) {
                (Some(_), Some(sum)) => places(unit.len(), heaviest(&sum, self.sketch.k(unit.len()))),
                _ => floats(mean_at(inbox, u)),
            }
        });
        let first = first.collect();
        if units.iter().all(|(_, place)| place.is_none()) { Move::Direction(first).into() } else { Next::Round(first) }
    }

    fn answer(&self, local: &mut Worker, _: &(), _: Seen, said: &[Message], cx: &Cx<'_>) -> Message {
        let p = local.owed.residual.corrected();
        let mut answer = Message::new();
        let first = said.first().map_or(&[][..], Vec::as_slice);
        for ((u, (unit, place)), first) in self.second(cx.layout).into_iter().enumerate().zip(first) {
            if let (Some(_), Payload::Sparse { indices, .. }) = (place, &**first) {
                let p = &p[unit.range.clone()];
                let values: Buf = indices.iter().map(|i| p[*i as usize]).collect();
                local.said[u] = at(first, values.clone());
                answer.push(floats(values));
            }
        }
        answer
    }

    fn commit(&self, local: &mut Worker, _: &(), decided: Option<&Decision>, _: &Cx<'_>) -> Option<Buf> {
        let said = std::mem::take(&mut local.said);
        if !said.is_empty() {
            local.owed.residual.settle_as(decided.map(|_| said));
        }
        None
    }
}
