//! One pass over memory: a vector moves on and is looked at, block by block, while each is in the
//! cache.

use rayon::prelude::*;

use crate::payload::{Prepared, Stretch};
use crate::simd::dispatch;
use crate::{Payload, Update};

/// Coordinates of a block, which stays in the first-level cache.
pub(crate) const BLOCK: usize = 4096;
/// Coordinates of a task, about: enough to be worth a thread's while.
const TASK: usize = 1 << 16;

/// Coordinates of a task of blocks of `block`.
pub(crate) fn task(block: usize) -> usize {
    block * (TASK / block).max(1)
}

/// What is compressed.
pub(crate) enum Source<'a> {
    /// A vector as it is.
    Still(&'a [f32]),
    /// A corrected gradient, which first moves on.
    Moving(&'a mut [f32], Move<'a>),
}

/// An [`Update`] that is ready to be made block by block.
pub(crate) struct Move<'a> {
    last: Option<Prepared<'a>>,
    update: Update<'a>,
}

impl<'a> Source<'a> {
    /// A corrected gradient, which first moves on.
    pub fn moving(p: &'a mut [f32], update: Update<'a>) -> Self {
        Self::Moving(p, Move { last: update.last.map(Prepared::new), update })
    }

    /// The same, where the places of a drawn payload are known and need no redrawing.
    pub fn moving_known(p: &'a mut [f32], update: Update<'a>, places: impl Fn(&Payload) -> Option<&'a [u32]>) -> Self {
        let prepare = |last: &'a Payload| match (places(last), last) {
            (Some(places), Payload::Drawn { values, .. }) => Prepared::places(places, values),
            _ => Prepared::new(last),
        };
        Self::Moving(p, Move { last: update.last.map(prepare), update })
    }

    /// Its number of coordinates.
    pub fn len(&self) -> usize {
        match self {
            Self::Still(x) => x.len(),
            Self::Moving(p, _) => p.len(),
        }
    }

    /// Moves on, and looks at nothing.
    pub fn pass(self) {
        let mut outputs = vec![(); self.len().div_ceil(task(BLOCK))];
        self.sweep(BLOCK, &mut outputs, |_, _, _| ());
    }

    /// Looks at all coordinates, in blocks of `block`, and gives them back.
    ///
    /// There is an output for every [`task`] coordinates; `visit` gets it with each of the task's
    /// blocks in order, and the block's first coordinate. Tasks do not depend on the number of
    /// threads.
    pub fn sweep<O: Send>(
        self,
        block: usize,
        outputs: &mut [O],
        visit: impl Fn(&mut O, usize, &[f32]) + Sync,
    ) -> &'a [f32] {
        match self {
            Self::Still(x) => {
                let each = |(t, (x, output)): (usize, (&[f32], &mut O))| {
                    let blocks = x.chunks(block).enumerate();
                    blocks.for_each(|(b, x)| visit(output, t * task(block) + b * block, x));
                };
                if x.len() <= task(block) {
                    x.chunks(task(block)).zip(outputs).enumerate().for_each(each);
                } else {
                    x.par_chunks(task(block)).zip(outputs).enumerate().for_each(each);
                }
                x
            }
            Self::Moving(p, Move { last, update }) => {
                let each = |(t, (p, output)): (usize, (&mut [f32], &mut O))| {
                    // The task's places are found once, and used up block by block.
                    let mut places = last.as_ref().and_then(|last| last.stretch(t * task(block), p.len()));
                    for (b, p) in p.chunks_mut(block).enumerate() {
                        let start = t * task(block) + b * block;
                        advance(last.as_ref(), places.as_mut(), &update, start, p);
                        visit(output, start, p);
                    }
                };
                if p.len() <= task(block) {
                    p.chunks_mut(task(block)).zip(outputs).enumerate().for_each(each);
                } else {
                    p.par_chunks_mut(task(block)).zip(outputs).enumerate().for_each(each);
                }
                p
            }
        }
    }
}

/// p ← (p − decode(last))·decay + gain·gradient, on the stretch from coordinate `start` on.
fn advance(
    last: Option<&Prepared<'_>>,
    places: Option<&mut Stretch<'_>>,
    update: &Update<'_>,
    start: usize,
    p: &mut [f32],
) {
    let gradient = &update.gradient[start..start + p.len()];
    let (decay, gain) = (update.decay, update.gain);
    let Some(last) = last else { return add_gradient(decay, gain, gradient, p) };
    if let (Some((words, low, high)), 0) = (last.signs(), start % 64) {
        replace_signs(&words[start / 64..], -low, -high, decay, gain, gradient, p);
    } else if let Some(places) = places {
        replace_places(places, start, decay, gain, gradient, p);
    } else {
        last.add(-1.0, start, p);
        add_gradient(decay, gain, gradient, p);
    }
}

/// The same with a few values taken off before: by way of a small dense vector, since p itself would be
/// touched in an order that the processor does not foresee.
fn replace_places(last: &mut Stretch<'_>, start: usize, decay: f32, gain: f32, gradient: &[f32], p: &mut [f32]) {
    const SIZE: usize = 1024;
    let mut off = [0.0f32; SIZE];
    for (i, (p, g)) in p.chunks_mut(SIZE).zip(gradient.chunks(SIZE)).enumerate() {
        let begin = start + i * SIZE;
        let own = last.before(begin + p.len());
        own.each(|place, v| off[place - begin] = v);
        subtract_and_add(&off[..p.len()], decay, gain, g, p);
        own.indices.iter().for_each(|place| off[*place as usize - begin] = 0.0);
    }
}

dispatch! {
    fn subtract_and_add(off: &[f32], decay: f32, gain: f32, gradient: &[f32], p: &mut [f32]) {
        p.iter_mut().zip(off).zip(gradient).for_each(|((p, v), g)| *p = (*p - v) * decay + gain * *g);
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

impl Update<'_> {
    /// Moves `p` on, in one pass.
    pub fn apply(self, p: &mut [f32]) {
        Source::moving(p, self).pass();
    }
}

/// y ← y + a·decode(payload), in parallel.
pub(crate) fn apply(payload: &Prepared<'_>, a: f32, y: &mut [f32]) {
    let size = task(BLOCK);
    if y.len() <= size {
        payload.add(a, 0, y);
    } else {
        y.par_chunks_mut(size).enumerate().for_each(|(t, y)| payload.add(a, t * size, y));
    }
}
