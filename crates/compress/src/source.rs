//! What is compressed: a vector at rest, or one that first moves on; and the primitives by which compressors touch it.

use std::borrow::Cow;

use crate::kernels::quantise::{self, Quantiser};
use crate::kernels::select::{self, Kept};
use crate::kernels::signs::{self, Bits};
use crate::kernels::sweep::{self, Sweep};
use crate::kernels::{low_rank, places, sums};
use crate::memo::Memo;
use crate::payload::{Add, Drawn, Levels, Payload, Powers, Prepared, Signs, Sketch, Sparse, Stretch, Values};
use crate::random;
use crate::simd::dispatch;
use crate::vector::Vector;

/// What moves the corrected gradient p on before it is compressed:
/// p ← (p − decode(last))·decay + gain·gradient, in that order and without fused multiply-add, so
/// that every device, and a resumed run, gets the same bits.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// What counts as applied of the p of the last step; `None` where nothing does.
    pub last: Option<&'a Payload>,
    /// The factor on the residual: γ_old/γ_new where the step size is kept outside, otherwise 1.
    pub decay: f32,
    /// The factor on the gradient: γ where the step size is inside, otherwise 1.
    pub gain: f32,
    /// The gradient, as long as p.
    pub gradient: &'a [f32],
}

/// What is compressed: a vector at rest, or one that first moves on, see [`Update`].
///
/// A compressor touches it by the primitives here and nothing else. The first of them moves the vector on in the same
/// pass over memory in which it looks at it, so that error feedback costs no pass of its own, and the vector is at rest
/// from then on. A source that nobody looked at moves on when it is dropped. What stands here is the host's home of
/// vectors; whatever another home does, it gives the same bits.
#[derive(Debug)]
pub struct Source<'a> {
    home: Home<'a>,
    /// How it is still to move.
    pending: Option<Move<'a>>,
    gain: f64,
}

#[derive(Debug)]
enum Home<'a> {
    Shared(&'a [f32]),
    Own(&'a mut [f32]),
}

#[derive(Debug)]
struct Move<'a> {
    update: Update<'a>,
    /// The places of a drawn `last`, where somebody remembers them.
    places: Option<&'a [u32]>,
}

impl<'a> Source<'a> {
    /// A vector as it is.
    pub fn still(x: &'a [f32]) -> Self {
        Self { home: Home::Shared(x), pending: None, gain: 1.0 }
    }

    /// A corrected gradient, which first moves on. It is in units of the update's gain.
    ///
    /// # Panics
    /// Where the gradient, or what was applied, is not as long as `p`.
    pub fn moving(p: &'a mut [f32], update: Update<'a>) -> Self {
        assert_eq!(p.len(), update.gradient.len(), "a gradient as long as p");
        assert!(update.last.is_none_or(|last| last.len() == p.len()), "a payload as long as p");
        let gain = f64::from(update.gain);
        Self { home: Home::Own(p), pending: Some(Move { update, places: None }), gain }
    }

    /// The same, where what is compressed is in units of γ: a threshold that was calibrated on gradients then acts at
    /// λγ.
    pub fn in_units_of(mut self, gamma: f64) -> Self {
        self.gain = gamma;
        self
    }

    /// γ where what is compressed is in units of γ, as a worker's is whose step size is inside; else 1.
    pub fn gain(&self) -> f64 {
        self.gain
    }

    /// Its number of coordinates.
    pub fn len(&self) -> usize {
        match &self.home {
            Home::Shared(x) => x.len(),
            Home::Own(p) => p.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same for another compressor: when that is done, this one is at rest.
    pub fn reborrow(&mut self) -> Source<'_> {
        let home = match &mut self.home {
            Home::Shared(x) => Home::Shared(x),
            Home::Own(p) => Home::Own(p),
        };
        Source { home, pending: self.pending.take(), gain: self.gain }
    }

    /// Moves on, and gives the vector at rest, on the host.
    pub fn settle(&mut self) -> Cow<'_, [f32]> {
        self.rest().into()
    }

    fn rest(&mut self) -> &[f32] {
        if self.pending.is_some() {
            return self.pass();
        }
        match &self.home {
            Home::Shared(x) => x,
            Home::Own(p) => p,
        }
    }

    /// Moves on, and takes these values of its own off, which leaves exactly 0 at their places; or gives them back to
    /// whoever wants them taken off elsewhere, where the vector is not its own or the values are others. Until
    /// [`put_back`](Self::put_back) it is what is left over.
    pub(crate) fn take_off(&mut self, payload: &Payload) -> bool {
        self.pass();
        let (Home::Own(p), Payload::Sparse(Sparse { indices, values: Values::F32(values), .. })) =
            (&mut self.home, payload)
        else {
            return false;
        };
        if indices.iter().zip(values).any(|(i, v)| p[*i as usize].to_bits() != v.to_bits() || !v.is_finite()) {
            return false;
        }
        // x − x is +0, of −0 as well.
        indices.iter().for_each(|i| p[*i as usize] = 0.0);
        true
    }

    /// Puts back what was taken off last.
    pub(crate) fn put_back(&mut self, payload: &Payload) {
        if let (Home::Own(p), Payload::Sparse(Sparse { indices, values: Values::F32(values), .. })) =
            (&mut self.home, payload)
        {
            indices.iter().zip(values).for_each(|(i, v)| p[*i as usize] = *v);
        }
    }

    /// Every coordinate.
    pub fn dense(&mut self) -> Vec<f32> {
        if self.pending.is_none() { self.rest().to_vec() } else { places::all(self) }
    }

    /// x − decode(payload), a new vector, in `room` where there is some.
    ///
    /// # Panics
    /// Where the payload is not as long as the vector.
    pub fn minus(&mut self, payload: &Payload, mut room: Vec<f32>) -> Vector {
        room.clear();
        room.extend_from_slice(self.rest());
        payload.axpy(-1.0, &mut room);
        room.into()
    }

    /// ‖x‖².
    pub fn square(&mut self) -> f64 {
        self.rest().chunks(sweep::BLOCK).map(sums::squares).sum()
    }

    /// ‖x‖₁.
    pub fn magnitudes(&mut self) -> f64 {
        signs::and_magnitudes(self).1
    }

    /// The signs as a payload of these two values; sign(0) = +1.
    pub fn signs(&mut self, low: f32, high: f32) -> Signs {
        Signs { len: self.len(), words: signs::alone(self), low, high }
    }

    /// The signs, of values that ‖x‖₁ makes.
    pub fn signs_with_magnitudes(&mut self, levels: impl FnOnce(f64) -> [f32; 2]) -> Signs {
        let (words, sum) = signs::and_magnitudes(self);
        let [low, high] = levels(sum);
        Signs { len: self.len(), words, low, high }
    }

    /// The signs, of values that the sums of the negative and of the other coordinates make, and the numbers of
    /// these.
    pub fn signs_with_sides(&mut self, levels: impl FnOnce([f64; 2], [usize; 2]) -> [f32; 2]) -> Signs {
        let len = self.len();
        let (words, sums) = signs::and_sides(self);
        let high: usize = words.iter().map(|w| w.count_ones() as usize).sum();
        let [low, high] = levels(sums, [len - high, high]);
        Signs { len, words, low, high }
    }

    /// The `k` coordinates of largest magnitude; among equal ones the lowest win. What the memo's `scratch` holds from
    /// the last step saves time and changes nothing.
    pub fn largest(&mut self, k: usize, memo: &mut Memo) -> Kept {
        select::largest(self, k.min(self.len()), &mut memo.scratch)
    }

    /// The coordinates of magnitude `lambda` or more.
    pub fn above(&mut self, lambda: f32) -> Kept {
        select::above(self, lambda)
    }

    /// The values at these places.
    ///
    /// # Panics
    /// Where they are not ascending, or lie beyond the vector.
    pub fn gather(&mut self, places: &[u32]) -> Vec<f32> {
        if self.pending.is_some() {
            return places::gather(self, places);
        }
        let x = self.rest();
        places.iter().map(|i| x[*i as usize]).collect()
    }

    /// The values at `k` places that `draw` names. The memo's `scratch` and `work` hold the places of two steps in turn,
    /// so that those of the last one need not be drawn again to move on; they change nothing.
    pub fn drawn(&mut self, draw: u64, k: usize, memo: &mut Memo) -> Vec<f32> {
        let len = self.len();
        let before = std::mem::take(&mut memo.scratch);
        let mut now: Vec<u32> = bytemuck::allocation::cast_vec(std::mem::take(&mut memo.work));
        remember(draw, len, k.min(len), &mut now);
        let mut source = self.reborrow();
        if let Some(Move { update: Update { last: Some(Payload::Drawn(last)), .. }, places }) = &mut source.pending {
            *places = recall(last, &before);
        }
        let values = source.gather(&now[HEAD..]);
        drop(source);
        memo.work = bytemuck::allocation::cast_vec(before);
        memo.scratch = now;
        values
    }

    /// Random rounding to levels.
    ///
    /// # Panics
    /// Where the quantiser has no levels, more than 127, or buckets of no size.
    pub fn quantise(&mut self, quantiser: &Quantiser) -> Levels {
        let (steps, levels) = quantiser.quantise(self);
        Levels { most: quantiser.most, bucket: quantiser.bucket, steps, levels }
    }

    /// Random rounding to powers of two, all times `scale`.
    pub fn powers(&mut self, scale: f32, draw: u64) -> Powers {
        Powers { scale, codes: quantise::to_powers(draw, self) }
    }

    /// −λ, 0 or λ: by x_j ≤ −λ, between, or x_j ≥ λ.
    pub fn ternary(&mut self, lambda: f32) -> Levels {
        let levels = quantise::to_ternary(lambda, self);
        let steps = if levels.is_empty() { Vec::new() } else { vec![lambda] };
        Levels { most: 1, bucket: levels.len().max(1), steps, levels }
    }

    /// P = M·Q for the vector as a matrix of `rows`, and Qᵀ of `rank` rows.
    pub fn times(&mut self, rows: usize, q: &[f32], rank: usize) -> Vec<f32> {
        low_rank::sweep_times_q(self, rows, q, rank)
    }

    /// Qᵀ = Pᵀ·M for the vector as a matrix of `rows`, and P of `rank` columns.
    pub fn transpose_times(&mut self, rows: usize, p: &[f32], rank: usize) -> Vec<f32> {
        low_rank::transpose_times(self.rest(), rows, p, rank)
    }

    /// Its count-sketch of `rows` × `columns` cells, hashed by `draw`.
    ///
    /// # Panics
    /// Where `rows` is not in 1 … 64, or `columns` is 0.
    pub fn sketch(&mut self, rows: usize, columns: usize, draw: u64) -> Sketch {
        Sketch::new(self.rest(), rows, columns, draw)
    }
}

impl Vector {
    /// As something to compress, at rest.
    pub fn source(&self) -> Source<'_> {
        Source::still(self.as_slice())
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        if self.pending.is_some() && !std::thread::panicking() {
            self.pass();
        }
    }
}

impl Sweep for Source<'_> {
    fn len(&self) -> usize {
        self.len()
    }

    fn sweep<O: Send>(
        &mut self,
        block: usize,
        outputs: &mut [O],
        visit: impl Fn(&mut O, usize, &[f32]) + Sync,
    ) -> &[f32] {
        match (&mut self.home, self.pending.take()) {
            (Home::Own(p), Some(Move { update, places })) => {
                let last = update.last.map(|last| match (last, places) {
                    (Payload::Drawn(drawn), Some(places)) => Prepared::places(places, &drawn.values),
                    _ => last.prepared(),
                });
                let last = last.as_ref();
                // A task's places are found once, and used up block by block.
                let begin = |start: usize, len: usize| last.map_or(Vec::new(), |last| last.stretches(start, len));
                let on = |places: &mut Vec<Stretch<'_>>, start: usize, p: &mut [f32]| {
                    advance(last, places, &update, start, p);
                };
                sweep::moving(p, block, outputs, begin, on, visit);
                p
            }
            (Home::Own(p), None) => {
                (&**p).sweep(block, outputs, visit);
                p
            }
            (Home::Shared(x), _) => {
                (&**x).sweep(block, outputs, visit);
                x
            }
        }
    }
}

/// Words before the remembered places: the draw's name, the length and the count.
const HEAD: usize = 4;

fn head(draw: u64, len: usize, k: usize) -> [u32; HEAD] {
    [draw as u32, (draw >> 32) as u32, len as u32, k as u32]
}

/// Leaves a draw and its places in `memo`.
fn remember(draw: u64, len: usize, k: usize, memo: &mut Vec<u32>) {
    memo.clear();
    memo.extend(head(draw, len, k));
    random::extend_subset(draw, len, k, memo);
}

/// The places of a draw, if it is the one in `memo`.
fn recall<'a>(drawn: &Drawn, memo: &'a [u32]) -> Option<&'a [u32]> {
    let k = drawn.values.len();
    let (name, places) = memo.split_at_checked(HEAD)?;
    (name == head(drawn.draw, drawn.len, k) && places.len() == k).then_some(places)
}

/// p ← (p − decode(last))·decay + gain·gradient, on the stretch from coordinate `start` on.
fn advance(last: Option<&Prepared<'_>>, places: &mut [Stretch<'_>], update: &Update<'_>, start: usize, p: &mut [f32]) {
    let gradient = &update.gradient[start..start + p.len()];
    let (decay, gain) = (update.decay, update.gain);
    let Some(last) = last else { return add_gradient(decay, gain, gradient, p) };
    if let (Some(Bits { words, low, high }), 0) = (last.bits(), start % 64) {
        replace_signs(&words[start / 64..], -low, -high, decay, gain, gradient, p);
    } else if let Some(Values::F32(values)) = last.dense() {
        subtract_and_add(&values[start..start + p.len()], decay, gain, gradient, p);
    } else if let Some(Values::Levels(levels)) = last.dense() {
        levels.steps_on(start, p.len(), |step, levels, at| {
            let range = at - start..at - start + levels.len();
            replace_levels(levels, step, decay, gain, &gradient[range.clone()], &mut p[range]);
        });
    } else if !places.is_empty() {
        replace_places(places, start, decay, gain, gradient, p);
    } else {
        last.add(-1.0, start, p);
        add_gradient(decay, gain, gradient, p);
    }
}

/// The same with a few values of every part taken off before: by way of a small dense vector, since p itself would be
/// touched in an order that the processor does not foresee.
fn replace_places(last: &mut [Stretch<'_>], start: usize, decay: f32, gain: f32, gradient: &[f32], p: &mut [f32]) {
    const SIZE: usize = 1024;
    let mut off = [0.0f32; SIZE];
    for (i, (p, g)) in p.chunks_mut(SIZE).zip(gradient.chunks(SIZE)).enumerate() {
        let begin = start + i * SIZE;
        let first = last[0].before(begin + p.len());
        first.each(|place, v| off[place - begin] = v);
        for part in &mut last[1..] {
            // What an earlier part takes off at the same place comes first.
            part.before(begin + p.len())
                .each(|place, v| p[place - begin] -= std::mem::replace(&mut off[place - begin], v));
        }
        subtract_and_add(&off[..p.len()], decay, gain, g, p);
        if last.len() == 1 {
            first.indices.iter().for_each(|place| off[*place as usize - begin] = 0.0);
        } else {
            off[..p.len()].fill(0.0);
        }
    }
}

dispatch! {
    fn subtract_and_add(off: &[f32], decay: f32, gain: f32, gradient: &[f32], p: &mut [f32]) {
        p.iter_mut().zip(off).zip(gradient).for_each(|((p, v), g)| *p = (*p - v) * decay + gain * *g);
    }
}

dispatch! {
    /// The same with the last levels of one step taken off before.
    fn replace_levels(levels: &[i8], step: f32, decay: f32, gain: f32, gradient: &[f32], p: &mut [f32]) {
        let terms = p.iter_mut().zip(levels).zip(gradient);
        terms.for_each(|((p, l), g)| *p = (*p - f32::from(*l) * step) * decay + gain * *g);
    }
}

dispatch! {
    fn add_gradient(decay: f32, gain: f32, gradient: &[f32], p: &mut [f32]) {
        if decay == 1.0 {
            p.iter_mut().zip(gradient).for_each(|(p, g)| *p += gain * *g);
        } else {
            p.iter_mut().zip(gradient).for_each(|(p, g)| *p = *p * decay + gain * *g);
        }
    }
}

dispatch! {
    /// The same with the last signs taken off before.
    fn replace_signs(words: &[u64], low: f32, high: f32, decay: f32, gain: f32, gradient: &[f32], p: &mut [f32]) {
        for ((p, g), word) in p.chunks_mut(64).zip(gradient.chunks(64)).zip(words) {
            for (half, (p, g)) in p.chunks_mut(32).zip(g.chunks(32)).enumerate() {
                let bits = (word >> (32 * half)) as u32;
                for (l, (p, g)) in p.iter_mut().zip(g).enumerate() {
                    // Times one is exact: one loop serves both cases.
                    *p = (*p + if bits & 1 << l != 0 { high } else { low }) * decay + gain * *g;
                }
            }
        }
    }
}
