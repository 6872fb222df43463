//! The mean of several payloads of one unit, as a payload.

use rayon::prelude::*;

use super::prepared::{Add, Prepared};
use super::stretch::within;
use super::{Cosine, Drawn, Levels, Payload, Sketch, Sparse, Values, levels};
use crate::kernels::finite::all_finite;
use crate::kernels::signs::{self, Bits};
use crate::kernels::sweep::{self, BLOCK, task};
use crate::kernels::tasks;
use crate::room;
use crate::simd::dispatch;

/// (1/n)·Σ of the parts, of `len` coordinates each where there are any, in their order.
///
/// As sparse as they allow: sparse ones merge, random-k payloads and sketches of one draw add, all else becomes dense.
/// Sums are of f32; where one of them leaves its range and the mean need not, it is summed again in f64.
pub(crate) fn mean_of(parts: &[&Payload], n: usize, len: usize) -> Payload {
    // The values of a second round may be fewer than the unit's coordinates.
    let len = parts.first().map_or(len, |p| p.len());
    let alike = drawn(parts, n).or_else(|| sketch(parts, n)).or_else(|| cosine(parts, |of| mean_of(of, n, len)));
    alike.or_else(|| sparse(parts, n, len)).unwrap_or_else(|| {
        let parts: Vec<Prepared<'_>> = parts.iter().map(|p| p.prepared()).collect();
        let mut mean = room::take(len);
        let whole = Whole::new(&parts);
        sweep::each(&mut mean, |start, mean| {
            for (b, mean) in mean.chunks_mut(STRIP).enumerate() {
                let start = start + b * STRIP;
                match &whole {
                    Some(Whole::Bits(bits)) => signs::mean(bits, n, start, mean),
                    Some(Whole::Levels(levels)) => levels::mean(levels, n, start, mean),
                    None => block(&parts, n, start, mean),
                }
            }
        });
        Payload::floats(mean)
    })
}

/// Each coordinate's mean over the parts that name it.
pub(crate) fn mean_over_senders(parts: &[&Payload], len: usize) -> Payload {
    let len = parts.first().map_or(len, |p| p.len());
    if let Some(mean) = cosine(parts, |of| mean_over_senders(of, len)) {
        return mean;
    }
    let (mut sum, mut senders) = (vec![0.0f64; len], vec![0u32; len]);
    let mut own = vec![0.0f32; len];
    for part in parts {
        own.fill(1.0);
        part.mask(&mut own);
        senders.iter_mut().zip(&own).for_each(|(n, named)| *n += u32::from(*named == 0.0));
        own.fill(0.0);
        part.axpy(1.0, &mut own);
        sum.iter_mut().zip(&own).for_each(|(s, x)| *s += f64::from(*x));
    }
    let mean = |j: usize| (sum[j] / f64::from(senders[j].max(1))) as f32;
    let indices: Vec<u32> = (0..len as u32).filter(|j| senders[*j as usize] > 0).collect();
    if indices.len() > len / 4 {
        return Payload::floats((0..len).map(mean).collect());
    }
    let values = Values::F32(indices.iter().map(|j| mean(*j as usize)).collect());
    Sparse { len, indices, values }.into()
}

/// Coordinates of the mean that all parts are added to before the next: few, so that the parts are streams that the
/// processor reads ahead.
const STRIP: usize = 1024;

/// Parts of one kind that is added without a look at memory in between, and whose sums are sure to be finite.
enum Whole<'a> {
    Bits(Vec<Bits<'a>>),
    Levels(Vec<&'a Levels>),
}

impl<'a> Whole<'a> {
    fn new(parts: &[Prepared<'a>]) -> Option<Self> {
        let finite = |bound: f64| bound < 0.9 * f64::from(f32::MAX);
        if let Some(bits) = parts.iter().map(Prepared::bits).collect::<Option<Vec<_>>>() {
            return finite(bits.iter().map(Bits::bound).sum()).then_some(Self::Bits(bits));
        }
        let levels = |part: &Prepared<'a>| match part.dense() {
            Some(Values::Levels(levels)) => Some(levels),
            _ => None,
        };
        let levels: Vec<&Levels> = parts.iter().map(levels).collect::<Option<_>>()?;
        let alike = levels::share_steps(&levels) && finite(levels.iter().map(|l| l.bound()).sum());
        alike.then_some(Self::Levels(levels))
    }
}

/// A number that sums are made of.
trait Number: Copy + Default {
    fn plus(self, x: f32) -> Self;
    fn over(self, n: usize) -> f32;
}

impl Number for f32 {
    fn plus(self, x: f32) -> Self {
        self + x
    }

    fn over(self, n: usize) -> f32 {
        self / n as f32
    }
}

impl Number for f64 {
    fn plus(self, x: f32) -> Self {
        self + Self::from(x)
    }

    fn over(self, n: usize) -> f32 {
        (self / n as Self) as f32
    }
}

/// The mean of the stretch from coordinate `start` on.
fn block(parts: &[Prepared<'_>], n: usize, start: usize, mean: &mut [f32]) {
    mean.fill(0.0);
    parts.iter().for_each(|p| p.add(1.0, start, mean));
    divide(mean, n);
    if !all_finite(mean) {
        let mut wide = vec![0.0f64; mean.len()];
        for part in parts {
            mean.fill(0.0);
            part.add(1.0, start, mean);
            wide.iter_mut().zip(&*mean).for_each(|(w, x)| *w += f64::from(*x));
        }
        mean.iter_mut().zip(wide).for_each(|(x, w)| *x = w.over(n));
    }
}

dispatch! {
    /// x ← x/n.
    fn divide(x: &mut [f32], n: usize) {
        let n = n as f32;
        if n.to_bits() & 0x7f_ffff == 0 {
            // By a power of two both are exact, and products are cheap.
            let over = 1.0 / n;
            x.iter_mut().for_each(|x| *x *= over);
        } else {
            x.iter_mut().for_each(|x| *x /= n);
        }
    }
}

/// The mean of vectors of `len` values.
fn mean_values<'a, I: Iterator<Item = f32>>(parts: impl Fn() -> Vec<I> + 'a, n: usize, len: usize) -> Vec<f32> {
    fn sum<N: Number, I: Iterator<Item = f32>>(parts: Vec<I>, n: usize, len: usize) -> Vec<f32> {
        let mut sum = vec![N::default(); len];
        parts.into_iter().for_each(|part| sum.iter_mut().zip(part).for_each(|(s, v)| *s = s.plus(v)));
        sum.into_iter().map(|s| s.over(n)).collect()
    }
    let mean = sum::<f32, _>(parts(), n, len);
    if all_finite(&mean) { mean } else { sum::<f64, _>(parts(), n, len) }
}

/// Random-k payloads of one draw: their values add.
fn drawn(parts: &[&Payload], n: usize) -> Option<Payload> {
    let all: Option<Vec<&Drawn>> =
        parts.iter().map(|p| if let Payload::Drawn(drawn) = p { Some(drawn) } else { None }).collect();
    let all = all?;
    let first = all.first()?;
    if all.iter().any(|p| p.draw != first.draw || p.values.len() != first.values.len()) {
        return None;
    }
    let values = mean_values(|| all.iter().map(|p| p.values.iter()).collect(), n, first.values.len());
    Some(Drawn { len: first.len, draw: first.draw, values: Values::F32(values) }.into())
}

/// Sketches of one draw: their cells add.
fn sketch(parts: &[&Payload], n: usize) -> Option<Payload> {
    let all: Option<Vec<&Sketch>> =
        parts.iter().map(|p| if let Payload::Sketch(sketch) = p { Some(sketch) } else { None }).collect();
    let all = all?;
    let first = *all.first()?;
    if !all.iter().all(|p| p.is_like(first)) {
        return None;
    }
    let cells = mean_values(|| all.iter().map(|p| p.cells.iter().copied()).collect(), n, first.cells.len());
    Some(Sketch { cells, ..*first }.into())
}

/// Transforms of one tiling: their coefficients add.
fn cosine(parts: &[&Payload], mean: impl FnOnce(&[&Payload]) -> Payload) -> Option<Payload> {
    let all: Option<Vec<&Cosine>> =
        parts.iter().map(|p| if let Payload::Cosine(cosine) = p { Some(cosine) } else { None }).collect();
    let all = all?;
    let first = *all.first()?;
    if !all.iter().all(|p| p.is_like(first)) {
        return None;
    }
    let of: Vec<&Payload> = all.iter().map(|p| p.coefficients()).collect();
    Some(first.with(mean(&of)).into())
}

/// Sparse payloads: the union of their places, while it stays worth its indices.
fn sparse(parts: &[&Payload], n: usize, len: usize) -> Option<Payload> {
    let flat = parts.iter().flat_map(|p| p.parts());
    let all: Option<Vec<&Sparse>> =
        flat.map(|p| if let Payload::Sparse(sparse) = p { Some(sparse) } else { None }).collect();
    let parts = all?;
    let total: usize = parts.iter().map(|p| p.indices.len()).sum();
    if total > len / 4 {
        return None;
    }
    // Stretches of the vector by themselves: each merges through a small dense sum.
    let size = task(BLOCK);
    let merge = |t: usize| {
        let (start, end) = (t * size, ((t + 1) * size).min(len));
        let merged = stretch::<f32>(&parts, n, start, end);
        if all_finite(&merged.1) { merged } else { stretch::<f64>(&parts, n, start, end) }
    };
    let stretches: Vec<(Vec<u32>, Vec<f32>)> = tasks::map((0..len.div_ceil(size)).into_par_iter(), merge);
    let (mut indices, mut values) = (room::take(total), room::take(total));
    let mut count = 0;
    for (places, means) in stretches {
        let end = count + places.len();
        indices[count..end].copy_from_slice(&places);
        values[count..end].copy_from_slice(&means);
        count = end;
        room::put(places);
        room::put(means);
    }
    indices.truncate(count);
    values.truncate(count);
    Some(Sparse { len, indices, values: Values::F32(values) }.into())
}

/// Places and means of the coordinates from `start` to `end`, a block at a time that stays in the nearest cache.
fn stretch<N: Number>(parts: &[&Sparse], n: usize, start: usize, end: usize) -> (Vec<u32>, Vec<f32>) {
    let mut ranges: Vec<_> = parts.iter().map(|part| within(&part.indices, start, end - start)).collect();
    let most = ranges.iter().map(|range| range.len()).sum();
    let (mut places, mut means) = (room::empty(most), room::empty(most));
    let mut sums = [N::default(); BLOCK];
    let mut words = [0u64; BLOCK / 64];
    for first in (start..end).step_by(BLOCK) {
        for (Sparse { indices, values, .. }, range) in parts.iter().zip(&mut ranges) {
            let count = indices[range.clone()].iter().take_while(|i| (**i as usize) < first + BLOCK).count();
            let (own, rest) = (range.start..range.start + count, range.start + count..range.end);
            *range = rest;
            for j in own {
                let at = indices[j] as usize - first;
                sums[at] = sums[at].plus(values.get(j));
                words[at / 64] |= 1 << (at % 64);
            }
        }
        for (w, word) in words.iter_mut().enumerate() {
            while *word != 0 {
                let at = 64 * w + word.trailing_zeros() as usize;
                places.push((first + at) as u32);
                means.push(std::mem::take(&mut sums[at]).over(n));
                *word &= *word - 1;
            }
        }
    }
    (places, means)
}
