//! Everything, or what stands at given places.

use super::sweep::{BLOCK, Sweep, task};
use crate::room;

/// Every coordinate.
pub(crate) fn all(source: &mut impl Sweep) -> Vec<f32> {
    let mut values = room::take(source.len());
    let mut outputs: Vec<_> = values.chunks_mut(task(BLOCK)).collect();
    source.sweep(BLOCK, &mut outputs, |values, start, x| {
        values[start % task(BLOCK)..][..x.len()].copy_from_slice(x);
    });
    values
}

/// The values at these places, ascending and all within the vector, taken while each block is in the cache.
pub(crate) fn gather(source: &mut impl Sweep, places: &[u32]) -> Vec<f32> {
    let len = source.len();
    let mut values = room::take(places.len());
    let (mut places, mut free) = (places, values.as_mut_slice());
    let mut parts = Vec::with_capacity(len.div_ceil(task(BLOCK)));
    for end in (0..len).step_by(task(BLOCK)).map(|start| start + task(BLOCK)) {
        let count = places.partition_point(|place| (*place as usize) < end);
        let (own, rest) = places.split_at(count);
        let (filled, left) = free.split_at_mut(count);
        parts.push((own, filled.iter_mut()));
        (places, free) = (rest, left);
    }
    source.sweep(BLOCK, &mut parts, |(places, values), start, x| {
        let count = places.iter().take_while(|place| (**place as usize) < start + x.len()).count();
        let (own, rest) = places.split_at(count);
        own.iter().zip(values).for_each(|(place, value)| *value = x[*place as usize - start]);
        *places = rest;
    });
    values
}
