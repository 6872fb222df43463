//! A worker's message: one payload a unit.

use std::sync::Arc;

use rayon::prelude::*;

use crate::{Compressor, Identity, Key, Layout, Memo, Payload, Unit, Update};

/// What one worker says in one round: one payload a unit, shared so that nobody copies it.
pub type Message = Vec<Arc<Payload>>;

/// C(x), unit by unit, in parallel; dense units go as they are. `memos` has one memo a unit.
pub fn compress(c: &dyn Compressor, x: &[f32], layout: &Layout, key: &Key, memos: &mut [Memo]) -> Message {
    layout
        .units()
        .par_iter()
        .zip(memos)
        .map(|(unit, memo)| Arc::new(choose(c, unit).compress(&x[unit.range.clone()], unit, &key.unit(unit.key), memo)))
        .collect()
}

/// Moves p on with [`Update`], then C(p), unit by unit, in parallel. `last` is what counts as
/// applied of the p of the last step.
#[allow(clippy::too_many_arguments)] // the equation has this many symbols
pub fn feedback(
    c: &dyn Compressor,
    p: &mut [f32],
    last: Option<&[Arc<Payload>]>,
    decay: f32,
    gain: f32,
    gradient: &[f32],
    layout: &Layout,
    key: &Key,
    memos: &mut [Memo],
) -> Message {
    let pieces = split(p, layout);
    pieces
        .into_par_iter()
        .zip(layout.units())
        .zip(memos)
        .enumerate()
        .map(|(i, ((p, unit), memo))| {
            let update = Update { last: last.map(|l| &*l[i]), decay, gain, gradient: &gradient[unit.range.clone()] };
            Arc::new(choose(c, unit).feedback(p, update, unit, &key.unit(unit.key), memo))
        })
        .collect()
}

/// y ← y + a·decode(message), unit by unit, in parallel.
pub fn decode_into(message: &[Arc<Payload>], a: f32, y: &mut [f32], layout: &Layout) {
    let pieces = split(y, layout);
    pieces.into_par_iter().zip(message).for_each(|(y, payload)| payload.axpy(a, y));
}

/// The units' slices of a flat vector.
fn split<'a>(mut x: &'a mut [f32], layout: &Layout) -> Vec<&'a mut [f32]> {
    let mut pieces = Vec::with_capacity(layout.units().len());
    for unit in layout.units() {
        let (piece, rest) = x.split_at_mut(unit.len());
        pieces.push(piece);
        x = rest;
    }
    pieces
}

fn choose<'a>(c: &'a dyn Compressor, unit: &Unit) -> &'a dyn Compressor {
    if unit.dense { &Identity } else { c }
}
