//! The cells of count-sketches, and what they say of a coordinate.
//!
//! A row hashes coordinates to cells and signs. Where it has many columns, it hashes them by blocks: sixteen neighbours
//! go to sixteen neighbouring cells, in an order that is turned by the exclusive or of four random bits, each with a
//! sign of its own. Two coordinates then still share a cell with probability 1/columns (two of one block never do), and
//! all is vectors, at a cache line a block.

use rayon::prelude::*;

use super::sweep;
use crate::key::mix;
use crate::simd::dispatch;

/// Columns from which on coordinates are hashed by blocks.
pub(crate) const MANY: usize = 1 << 8;
/// Coordinates of a block.
const WIDTH: usize = 16;

/// The cells of `x`, `rows` × `columns`, hashed by `draw`: every row adds each coordinate, times a random sign, to a
/// random cell.
pub(crate) fn cells(x: &[f32], rows: usize, columns: usize, draw: u64) -> Vec<f32> {
    let mut cells = vec![0.0; rows * columns];
    cells.par_chunks_exact_mut(columns).enumerate().for_each(|(row, cells)| {
        let key = row_key(draw, row);
        if columns >= MANY {
            return scatter(key, x, cells);
        }
        for (i, x) in x.iter().enumerate() {
            let (column, sign) = place(key, i as u32, columns);
            cells[column] += sign * x;
        }
    });
    cells
}

/// y ← y + a·estimate on the stretch from coordinate `start` on: the median over the rows of what each says of a
/// coordinate; of two middle ones their mean.
pub(crate) fn add(a: f32, cells: &[f32], rows: usize, draw: u64, start: usize, y: &mut [f32]) {
    let columns = cells.len() / rows;
    let rows: Vec<(u64, &[f32])> =
        cells.chunks_exact(columns).enumerate().map(|(row, cells)| (row_key(draw, row), cells)).collect();
    // Five rows, the default, need no sorting.
    if let ([r0, r1, r2, r3, r4], true) = (rows.as_slice(), columns >= MANY) {
        return add_blocks(a, [*r0, *r1, *r2, *r3, *r4], start, y);
    }
    let mut said = vec![0.0f32; rows.len()];
    for (i, y) in y.iter_mut().enumerate() {
        said.iter_mut().zip(&rows).for_each(|(said, (key, cells))| *said = says(*key, cells, start + i));
        *y += a * median(&mut said);
    }
}

/// The same of a whole vector of `len`, alone and in parallel.
pub(crate) fn estimate(cells: &[f32], rows: usize, draw: u64, y: &mut [f32]) {
    sweep::each(y, |start, y| {
        y.fill(0.0);
        add(1.0, cells, rows, draw, start, y);
    });
}

fn median(said: &mut [f32]) -> f32 {
    if let [a, b, c, d, e] = *said {
        return median_of_five([a, b, c, d, e]);
    }
    said.sort_unstable_by(f32::total_cmp);
    let middle = said[said.len() / 2];
    if said.len() % 2 == 1 { middle } else { 0.5 * said[said.len() / 2 - 1] + 0.5 * middle }
}

/// What a row says of coordinate `i`.
fn says(key: u64, cells: &[f32], i: usize) -> f32 {
    if cells.len() < MANY {
        let (column, sign) = place(key, i as u32, cells.len());
        return sign * cells[column];
    }
    let (lane, Block { first, turn, signs }) = (i % WIDTH, Block::new(key, i / WIDTH, cells.len()));
    let cell = cells[first + (lane ^ turn)];
    if signs >> lane & 1 == 0 { cell } else { -cell }
}

/// Where a block's coordinates go.
struct Block {
    /// The first of its cells.
    first: usize,
    /// By which their order is turned.
    turn: usize,
    /// A set bit where one is added negated.
    signs: u16,
}

impl Block {
    #[inline(always)]
    fn new(key: u64, block: usize, columns: usize) -> Self {
        let h = mix(key ^ block as u64);
        let first = ((u128::from(h) * (columns / WIDTH) as u128) >> 64) as usize * WIDTH;
        Self { first, turn: (h >> 16) as usize % WIDTH, signs: h as u16 }
    }
}

/// Adds all coordinates to their cells of a row, block by block.
fn scatter(key: u64, x: &[f32], cells: &mut [f32]) {
    let (whole, rest) = x.as_chunks::<WIDTH>();
    #[cfg(target_arch = "x86_64")]
    if crate::simd::level() == crate::simd::Level::Avx512 {
        // SAFETY: `level` has found it on this processor.
        unsafe { avx512::scatter(key, whole, cells) };
        return scatter_lanes(key, whole.len(), rest, cells);
    }
    whole.iter().enumerate().for_each(|(b, x)| scatter_lanes(key, b, x, cells));
    scatter_lanes(key, whole.len(), rest, cells);
}

/// The same for one block, which may be short.
fn scatter_lanes(key: u64, block: usize, x: &[f32], cells: &mut [f32]) {
    let Block { first, turn, signs } = Block::new(key, block, cells.len());
    for (lane, x) in x.iter().enumerate() {
        cells[first + (lane ^ turn)] += if signs >> lane & 1 == 0 { *x } else { -*x };
    }
}

/// [`add`] for five rows that are hashed by blocks.
fn add_blocks(a: f32, rows: [(u64, &[f32]); 5], start: usize, y: &mut [f32]) {
    let lanes = |start: usize, y: &mut [f32]| {
        for (i, y) in y.iter_mut().enumerate() {
            *y += a * median_of_five(rows.map(|(key, cells)| says(key, cells, start + i)));
        }
    };
    let (first, y) = y.split_at_mut((start.next_multiple_of(WIDTH) - start).min(y.len()));
    lanes(start, first);
    let start = start + first.len();
    let (whole, rest) = y.as_chunks_mut::<WIDTH>();
    lanes(start + WIDTH * whole.len(), rest);
    #[cfg(target_arch = "x86_64")]
    if crate::simd::level() == crate::simd::Level::Avx512 {
        // SAFETY: `level` has found it on this processor.
        return unsafe { avx512::add_blocks(a, rows, start / WIDTH, whole) };
    }
    add_blocks_plain(a, rows, start / WIDTH, whole);
}

dispatch! {
    fn add_blocks_plain(a: f32, rows: [(u64, &[f32]); 5], first: usize, y: &mut [[f32; 16]]) {
        for (b, y) in y.iter_mut().enumerate() {
            let said = rows.map(|(key, cells)| {
                let block = Block::new(key, first + b, cells.len());
                let cells: &[f32; WIDTH] = cells[block.first..].first_chunk().expect("a whole block");
                std::array::from_fn::<f32, WIDTH, _>(|l| {
                    let cell = cells[l ^ block.turn];
                    if block.signs >> l & 1 == 0 { cell } else { -cell }
                })
            });
            for l in 0..WIDTH {
                y[l] += a * median_of_five(said.map(|said| said[l]));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Block, WIDTH};

    /// Turns sixteen numbers about and negates some: before they are added to their cells, with the signs of those
    /// that come to stand at a place, or after they are taken from there.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn turned(x: __m512, turn: usize) -> __m512 {
        let ramp = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        _mm512_permutexvar_ps(_mm512_xor_si512(ramp, _mm512_set1_epi32(turn as i32)), x)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn negated(x: __m512, signs: u16) -> __m512 {
        let x = _mm512_castps_si512(x);
        _mm512_castsi512_ps(_mm512_mask_xor_epi32(x, signs, x, _mm512_set1_epi32(i32::MIN)))
    }

    #[target_feature(enable = "avx512f")]
    pub fn scatter(key: u64, x: &[[f32; WIDTH]], cells: &mut [f32]) {
        let columns = cells.len();
        for (b, x) in x.iter().enumerate() {
            let block = Block::new(key, b, columns);
            let cells: &mut [f32; WIDTH] = cells[block.first..].first_chunk_mut().expect("a whole block");
            // SAFETY: `x` and `cells` are sixteen floats.
            unsafe {
                let x = turned(negated(_mm512_loadu_ps(x.as_ptr()), block.signs), block.turn);
                _mm512_storeu_ps(cells.as_mut_ptr(), _mm512_add_ps(_mm512_loadu_ps(cells.as_ptr()), x));
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    pub fn add_blocks(a: f32, rows: [(u64, &[f32]); 5], first: usize, y: &mut [[f32; WIDTH]]) {
        let (min, max) = (|a, b| _mm512_min_ps(a, b), |a, b| _mm512_max_ps(a, b));
        for (i, y) in y.iter_mut().enumerate() {
            let mut said = [_mm512_setzero_ps(); 5];
            for ((key, cells), said) in rows.iter().zip(&mut said) {
                let block = Block::new(*key, first + i, cells.len());
                let cells: &[f32; WIDTH] = cells[block.first..].first_chunk().expect("a whole block");
                // SAFETY: `cells` is sixteen floats.
                *said = negated(turned(unsafe { _mm512_loadu_ps(cells.as_ptr()) }, block.turn), block.signs);
            }
            let [s, t, u, v, w] = said;
            let (low, high) = (max(min(s, t), min(u, v)), min(max(s, t), max(u, v)));
            let (low, high) = (min(low, high), max(low, high));
            let median = max(low, min(high, w));
            // SAFETY: `y` is sixteen floats.
            unsafe {
                let sum = _mm512_add_ps(_mm512_loadu_ps(y.as_ptr()), _mm512_mul_ps(_mm512_set1_ps(a), median));
                _mm512_storeu_ps(y.as_mut_ptr(), sum);
            }
        }
    }
}

/// Of the first four, the larger of the two smaller ones and the smaller of the two larger ones stand about the
/// median; the fifth decides.
#[inline]
fn median_of_five([a, b, c, d, e]: [f32; 5]) -> f32 {
    let low = a.min(b).max(c.min(d));
    let high = a.max(b).min(c.max(d));
    let (low, high) = (low.min(high), low.max(high));
    low.max(high.min(e))
}

#[inline]
fn row_key(draw: u64, row: usize) -> u64 {
    mix(draw ^ (row as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

/// The cell and the sign of coordinate `i` in the row of this key.
#[inline]
fn place(key: u64, i: u32, columns: usize) -> (usize, f32) {
    let h = mix(key ^ u64::from(i));
    let column = ((u128::from(h) * columns as u128) >> 64) as usize;
    (column, if h & 1 == 0 { 1.0 } else { -1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_five() {
        for code in 0..5u32.pow(5) {
            let x: [f32; 5] = std::array::from_fn(|i| (code / 5u32.pow(i as u32) % 5) as f32);
            let mut sorted = x;
            sorted.sort_unstable_by(f32::total_cmp);
            assert_eq!(median_of_five(x), sorted[2], "{x:?}");
        }
    }

    fn vector(len: usize) -> Vec<f32> {
        let mut random = crate::random::Philox::new(len as u64);
        (0..len).map(|_| random.normal()).collect()
    }

    /// By blocks or not, and on every instruction set: the plain loops over single coordinates, bit for bit.
    #[test]
    fn sketches_are_those_of_the_plain_loops() {
        for (len, columns) in [(1, 1), (1000, 7), (5, MANY), (30_000, MANY), (30_007, MANY + 5), (30_016, 3 * MANY)] {
            let (x, draw) = (vector(len), 77);
            for rows in [1, 2, 5, 6] {
                let got = cells(&x, rows, columns, draw);
                let mut expected = vec![0.0f32; rows * columns];
                for (row, cells) in expected.chunks_exact_mut(columns).enumerate() {
                    let key = row_key(draw, row);
                    for (i, x) in x.iter().enumerate() {
                        // Where a lone one of this coordinate goes.
                        let (cell, sign) = if columns < MANY {
                            place(key, i as u32, columns)
                        } else {
                            let h = mix(key ^ (i as u64 / 16));
                            let first = ((u128::from(h) * (columns / 16) as u128) >> 64) as usize * 16;
                            (
                                first + ((i % 16) ^ ((h >> 16) as usize % 16)),
                                if h >> (i % 16) & 1 == 0 { 1.0 } else { -1.0 },
                            )
                        };
                        cells[cell] += sign * x;
                    }
                }
                assert_eq!(got, expected, "{rows} × {columns}");
                for start in [0, 1, 16, 17, 4096].into_iter().filter(|s| *s < len) {
                    let mut y = vec![0.5; (len - start).min(5000)];
                    add(-2.0, &got, rows, draw, start, &mut y);
                    for (i, y) in y.into_iter().enumerate() {
                        let of = |(r, c): (usize, &[f32])| says(row_key(draw, r), c, start + i);
                        let mut said: Vec<f32> = got.chunks_exact(columns).enumerate().map(of).collect();
                        assert_eq!(y, 0.5 + -2.0 * median(&mut said), "{rows} × {columns}, coordinate {}", start + i);
                    }
                }
                // One coordinate alone is found again exactly.
                let mut lone = vec![0.0; len];
                lone[len - 1] = 3.0;
                let mut y = vec![7.0; len];
                estimate(&cells(&lone, rows, columns, draw), rows, draw, &mut y);
                assert_eq!(y[len - 1], 3.0);
            }
        }
    }

    /// Two coordinates share a cell with probability 1/columns whatever their places, and with either sign.
    #[test]
    fn collisions_are_those_of_independent_hashes() {
        let (columns, rows) = (1 << 10, 1 << 19);
        for (i, j) in [(0, 16), (3, 21), (5, 1 << 20), (31, 32)] {
            let (mut shared, mut same) = (0, 0);
            for row in 0..rows {
                let place = |i: usize| {
                    let block = Block::new(row_key(5, row), i / WIDTH, columns);
                    (block.first + ((i % WIDTH) ^ block.turn), block.signs >> (i % WIDTH) & 1)
                };
                let (a, b) = (place(i), place(j));
                shared += usize::from(a.0 == b.0);
                same += usize::from(a.0 == b.0 && a.1 == b.1);
            }
            // 512 are expected; five deviations of 22.6, and of 16 for half of them.
            assert!(shared.abs_diff(512) < 114, "{i} and {j}: {shared}");
            assert!(same.abs_diff(256) < 80, "{i} and {j}: {same}");
        }
    }
}
