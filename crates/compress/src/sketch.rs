//! Count-sketches (Charikar, Chen, Farach-Colton 2002): linear, so that workers' sketches add.
//!
//! For the joint method of two rounds (Ivkin et al. 2019, *Communication-efficient distributed SGD with
//! sketching*): every worker sends [`sketch`]; the sketches are averaged by [`mean`](crate::mean) or [`merge`];
//! all find the [`heaviest`] places of the result and send their exact values there.

use rayon::prelude::*;

use crate::Payload;
use crate::compressors::top_indices;
use crate::key::mix;

/// A payload [`Payload::Sketch`] of `x`: `rows` × `columns` cells, hashed by `draw`. Every row adds each coordinate,
/// times a random sign, to a random cell. `rows` must be 1 … 64 and `columns` not 0.
pub fn sketch(x: &[f32], rows: usize, columns: usize, draw: u64) -> Payload {
    assert!((1..=64).contains(&rows) && columns > 0, "a sketch has 1 … 64 rows, and columns");
    let mut cells = vec![0.0; rows * columns];
    cells.par_chunks_exact_mut(columns).enumerate().for_each(|(row, cells)| {
        let key = row_key(draw, row);
        for (i, x) in x.iter().enumerate() {
            let (column, sign) = place(key, i as u32, columns);
            cells[column] += sign * x;
        }
    });
    Payload::Sketch { len: x.len(), rows, draw, cells }
}

/// The sum of sketches of one draw and shape; `None` where they are not, or where there are none.
pub fn merge(parts: &[&Payload]) -> Option<Payload> {
    let (first, rest) = parts.split_first()?;
    let Payload::Sketch { len, rows, draw, cells } = first else { return None };
    let mut sum = cells.clone();
    for part in rest {
        match part {
            Payload::Sketch { len: l, rows: r, draw: d, cells }
                if (l, r, d) == (len, rows, draw) && cells.len() == sum.len() =>
            {
                sum.iter_mut().zip(cells).for_each(|(s, c)| *s += c);
            }
            _ => return None,
        }
    }
    Some(Payload::Sketch { len: *len, rows: *rows, draw: *draw, cells: sum })
}

/// The `k` places of largest estimated magnitude of a sketch, ascending; among equal ones the lowest
/// win.
pub fn heaviest(sketch: &Payload, k: usize) -> Vec<u32> {
    top_indices(&sketch.decode(), k)
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

    fn vector(seed: u64) -> Vec<f32> {
        let mut random = crate::Philox::new(seed);
        (0..1000).map(|_| 0.01 * random.normal()).collect()
    }

    #[test]
    fn finds_heavy_hitters_of_a_sum() {
        let (mut x, mut y) = (vector(1), vector(2));
        (x[17], y[17], x[400], y[999]) = (2.0, 2.0, -3.0, 5.0);
        let parts = [sketch(&x, 5, 100, 9), sketch(&y, 5, 100, 9)];
        let sum = merge(&[&parts[0], &parts[1]]).unwrap();
        assert_eq!(heaviest(&sum, 3), [17, 400, 999]);
        let estimate = sum.decode();
        assert!((estimate[17] - 4.0).abs() < 0.3, "{}", estimate[17]);
    }

    #[test]
    fn medians_of_five() {
        for code in 0..5u32.pow(5) {
            let x: [f32; 5] = std::array::from_fn(|i| (code / 5u32.pow(i as u32) % 5) as f32);
            let mut sorted = x;
            sorted.sort_unstable_by(f32::total_cmp);
            assert_eq!(median_of_five(x), sorted[2], "{x:?}");
        }
    }

    #[test]
    fn only_like_sketches_merge() {
        let (x, y) = (sketch(&[1.0, 2.0], 3, 4, 1), sketch(&[1.0, 2.0], 3, 4, 2));
        assert_eq!(merge(&[&x, &y]), None);
        assert_eq!(merge(&[]), None);
    }
}
