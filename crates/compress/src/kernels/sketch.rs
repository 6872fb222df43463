//! The cells of count-sketches, and what they say of a coordinate.

use rayon::prelude::*;

use crate::key::mix;

/// The cells of `x`, `rows` × `columns`, hashed by `draw`: every row adds each coordinate, times a random sign, to a
/// random cell.
pub(crate) fn cells(x: &[f32], rows: usize, columns: usize, draw: u64) -> Vec<f32> {
    let mut cells = vec![0.0; rows * columns];
    cells.par_chunks_exact_mut(columns).enumerate().for_each(|(row, cells)| {
        let key = row_key(draw, row);
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
    let says = |(key, cells): (u64, &[f32]), i: usize| {
        let (column, sign) = place(key, i as u32, columns);
        sign * cells[column]
    };
    // Five rows, the default, need no sorting.
    if let [r0, r1, r2, r3, r4] = *rows.as_slice() {
        for (i, y) in y.iter_mut().enumerate() {
            let i = start + i;
            *y += a * median_of_five([says(r0, i), says(r1, i), says(r2, i), says(r3, i), says(r4, i)]);
        }
        return;
    }
    let mut said = vec![0.0f32; rows.len()];
    for (i, y) in y.iter_mut().enumerate() {
        said.iter_mut().zip(&rows).for_each(|(said, row)| *said = says(*row, start + i));
        said.sort_unstable_by(f32::total_cmp);
        let middle = said[rows.len() / 2];
        let median = if rows.len() % 2 == 1 { middle } else { 0.5 * said[rows.len() / 2 - 1] + 0.5 * middle };
        *y += a * median;
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
}
