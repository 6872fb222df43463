//! The mean of several messages, as a message.

use std::sync::Arc;

use rayon::prelude::*;

use crate::payload::{Prepared, Values, within};
use crate::sweep::{BLOCK, task};
use crate::{Layout, Message, Payload};

/// (1/n)·Σ of the messages, unit by unit, summed in the order of the inbox; an absent one counts as
/// zero, never as a smaller n.
///
/// The mean is as sparse as its parts allow: sparse messages merge, random-k messages and sketches of
/// one draw add, all else becomes dense. A single message of n = 1 is passed on as it is.
pub fn mean(inbox: &[Option<&Message>], layout: &Layout) -> Message {
    let n = inbox.len();
    (0..layout.units().len())
        .into_par_iter()
        .map(|u| {
            let parts: Vec<&Arc<Payload>> = inbox.iter().flatten().map(|m| &m[u]).collect();
            match parts.as_slice() {
                [one] if n == 1 => (*one).clone(),
                _ => Arc::new(mean_of(&parts, n, layout.units()[u].len())),
            }
        })
        .collect()
}

fn mean_of(parts: &[&Arc<Payload>], n: usize, len: usize) -> Payload {
    // The values of a second round may be fewer than the unit's coordinates.
    let len = parts.first().map_or(len, |p| p.len());
    drawn(parts, n).or_else(|| sketch(parts, n)).or_else(|| sparse(parts, n, len)).unwrap_or_else(|| {
        let parts: Vec<Prepared<'_>> = parts.iter().map(|p| Prepared::new(p)).collect();
        let mut sum = vec![0.0; len];
        let each = |(t, sum): (usize, &mut [f32])| {
            for (b, sum) in sum.chunks_mut(BLOCK).enumerate() {
                parts.iter().for_each(|p| p.add(1.0, t * task(BLOCK) + b * BLOCK, sum));
                sum.iter_mut().for_each(|x| *x /= n as f32);
            }
        };
        sum.par_chunks_mut(task(BLOCK)).enumerate().for_each(each);
        Payload::Dense(Values::F32(sum))
    })
}

/// Random-k payloads of one draw: their values add.
fn drawn(parts: &[&Arc<Payload>], n: usize) -> Option<Payload> {
    let Payload::Drawn { len, draw, values } = &***parts.first()? else { return None };
    let mut sum = vec![0.0; values.len()];
    for part in parts {
        let Payload::Drawn { draw: other, values, .. } = &***part else { return None };
        if other != draw || values.len() != sum.len() {
            return None;
        }
        sum.iter_mut().zip(values.iter()).for_each(|(s, v)| *s += v);
    }
    sum.iter_mut().for_each(|x| *x /= n as f32);
    Some(Payload::Drawn { len: *len, draw: *draw, values: Values::F32(sum) })
}

/// Sketches of one draw: their cells add.
fn sketch(parts: &[&Arc<Payload>], n: usize) -> Option<Payload> {
    let parts: Vec<&Payload> = parts.iter().map(|p| &***p).collect();
    let mut sum = crate::sketch::merge(&parts)?;
    if let Payload::Sketch { cells, .. } = &mut sum {
        cells.iter_mut().for_each(|c| *c /= n as f32);
    }
    Some(sum)
}

/// Sparse payloads: the union of their places, while it stays worth its indices.
fn sparse(parts: &[&Arc<Payload>], n: usize, len: usize) -> Option<Payload> {
    let flat: Option<Vec<(&[u32], &Values)>> = parts.iter().flat_map(|p| p.parts()).map(Payload::as_sparse).collect();
    let parts = flat?;
    let total: usize = parts.iter().map(|(indices, _)| indices.len()).sum();
    if total > len / 4 {
        return None;
    }
    // Stretches of the vector by themselves: each merges through a small dense sum.
    let merge = |t: usize| {
        let (start, end) = (t * task(BLOCK), ((t + 1) * task(BLOCK)).min(len));
        let mut sums = vec![0.0f32; end - start];
        let mut words = vec![0u64; (end - start).div_ceil(64)];
        for (indices, values) in &parts {
            let range = within(indices, start, end - start);
            for (i, j) in indices[range.clone()].iter().zip(range) {
                let at = *i as usize - start;
                sums[at] += values.get(j);
                words[at / 64] |= 1 << (at % 64);
            }
        }
        let mut places = Vec::new();
        let mut means = Vec::new();
        for (w, word) in words.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let at = 64 * w + word.trailing_zeros() as usize;
                places.push((start + at) as u32);
                means.push(sums[at] / n as f32);
                word &= word - 1;
            }
        }
        (places, means)
    };
    let stretches: Vec<(Vec<u32>, Vec<f32>)> = (0..len.div_ceil(task(BLOCK))).into_par_iter().map(merge).collect();
    let mut indices = Vec::with_capacity(total);
    let mut values = Vec::with_capacity(total);
    for (places, means) in stretches {
        indices.extend(places);
        values.extend(means);
    }
    Some(Payload::Sparse { len, indices, values: Values::F32(values) })
}
