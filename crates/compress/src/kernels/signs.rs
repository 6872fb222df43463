//! A bit a coordinate, and what goes with it, in one pass.

use super::masks::not_negative;
use super::sums;
use super::sweep::{BLOCK, Sweep, task};

/// Signs, a set bit where a coordinate is not negative.
pub(crate) fn alone(source: &mut impl Sweep) -> Vec<u64> {
    with(source, |_| ()).0
}

/// Signs, and Σ|x_j|.
pub(crate) fn and_magnitudes(source: &mut impl Sweep) -> (Vec<u64>, f64) {
    let (words, blocks) = with(source, sums::absolute);
    (words, blocks.iter().sum())
}

/// Signs, the sum of the negative coordinates and that of the others.
pub(crate) fn and_sides(source: &mut impl Sweep) -> (Vec<u64>, [f64; 2]) {
    let (words, blocks) = with(source, sums::sides);
    (words, [0, 1].map(|side| blocks.iter().map(|b: &[f64; 2]| b[side]).sum()))
}

/// Signs, and what is said of every block.
fn with<T: Clone + Default + Send>(source: &mut impl Sweep, of: impl Fn(&[f32]) -> T + Sync) -> (Vec<u64>, Vec<T>) {
    let len = source.len();
    let mut words = vec![0; len.div_ceil(64)];
    let mut blocks = vec![T::default(); len.div_ceil(BLOCK)];
    let outputs = words.chunks_mut(task(BLOCK) / 64).zip(blocks.chunks_mut(task(BLOCK) / BLOCK));
    source.sweep(BLOCK, &mut outputs.collect::<Vec<_>>(), |(words, blocks), start, x| {
        let at = start % task(BLOCK);
        not_negative(x, &mut words[at / 64..(at + x.len()).div_ceil(64)]);
        blocks[at / BLOCK] = of(x);
    });
    (words, blocks)
}
