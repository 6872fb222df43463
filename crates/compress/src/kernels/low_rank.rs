//! The steps of rank-r power iteration (PowerSGD, Vogels et al. 2019), for compressors and for the
//! joint method that all-reduces P and Q.
//!
//! A matrix M stands row by row; so does P (rows × rank). Q is kept transposed (rank × columns), so that all
//! inner loops run over contiguous memory.

use rayon::prelude::*;

use super::sweep::{Sweep, task};
use crate::key::Key;
use crate::layout::Unit;
use crate::random::Philox;
use crate::simd::dispatch;

/// Columns of a task of Q = Mᵀ·P.
const STRIPE: usize = 512;

/// The unit as a matrix [d₀, d/d₀], where rank `rank` is worth it: `None` for one-dimensional units, and where
/// the two factors would take no less than the matrix.
pub fn matrix(unit: &Unit, rank: usize) -> Option<(usize, usize)> {
    let rows = *unit.shape.first()?;
    if unit.shape.len() < 2 || rows == 0 || unit.is_empty() {
        return None;
    }
    let columns = unit.len() / rows;
    (rank * (rows + columns) < unit.len()).then_some((rows, columns))
}

/// The first Qᵀ: standard normal, the same for all workers.
pub fn first_q(columns: usize, rank: usize, key: &Key) -> Vec<f32> {
    let mut random = Philox::new(key.shared().draw());
    (0..rank * columns).map(|_| random.normal()).collect()
}

/// Makes a warm Qᵀ fit to start from: every row at unit length; rows without any come anew from `key`.
pub fn refresh_q(q: &mut [f32], columns: usize, key: &Key) {
    let rank = q.len() / columns;
    for (r, row) in q.chunks_exact_mut(columns).enumerate() {
        let mut norm = norm(row);
        if norm == 0.0 || !norm.is_finite() {
            row.copy_from_slice(&first_q(columns, rank, key)[r * columns..][..columns]);
            norm = self::norm(row);
        }
        if norm > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
    }
}

/// P = M·Q, rows × rank.
pub fn times_q(m: &[f32], rows: usize, q: &[f32], rank: usize) -> Vec<f32> {
    sweep_times_q(&mut &*m, rows, q, rank)
}

/// The same, in the pass that moves M on, row by row.
pub(crate) fn sweep_times_q(m: &mut impl Sweep, rows: usize, q: &[f32], rank: usize) -> Vec<f32> {
    let columns = m.len() / rows;
    let mut p = vec![0.0; rows * rank];
    let mut outputs: Vec<_> = p.chunks_mut(task(columns) / columns * rank).collect();
    m.sweep(columns, &mut outputs, |p, start, m| {
        let row = start % task(columns) / columns;
        row_times_q(m, q, &mut p[row * rank..][..rank]);
    });
    p
}

/// Makes the columns of P (rows × rank) orthonormal, by Gram and Schmidt's process, twice over. Columns that
/// depend on those before them become zero, as do all of a zero matrix.
pub fn orthonormalise(p: &mut [f32], rank: usize) {
    let rows = p.len() / rank;
    let mut columns: Vec<Vec<f64>> =
        (0..rank).map(|r| (0..rows).map(|i| f64::from(p[i * rank + r])).collect()).collect();
    gram_schmidt(&mut columns);
    for (r, column) in columns.iter().enumerate() {
        column.iter().enumerate().for_each(|(i, c)| p[i * rank + r] = *c as f32);
    }
}

/// The same for the rows of a Qᵀ, rank × columns.
pub fn orthonormalise_rows(q: &mut [f32], rank: usize) {
    let columns = q.len() / rank;
    let mut rows: Vec<Vec<f64>> =
        q.chunks_exact(columns).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
    gram_schmidt(&mut rows);
    q.iter_mut().zip(rows.iter().flatten()).for_each(|(q, x)| *q = *x as f32);
}

fn gram_schmidt(vectors: &mut [Vec<f64>]) {
    for r in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(r);
        let vector = &mut rest[0];
        let whole = dot(vector, vector).sqrt();
        for _ in 0..2 {
            for b in &*before {
                let share = dot(b, vector);
                vector.iter_mut().zip(b).for_each(|(c, b)| *c -= share * b);
            }
        }
        let left = dot(vector, vector).sqrt();
        // What is left of a dependent one is the rounding of the f32 it came from.
        let scale = if left > 1e-6 * whole && left.is_finite() { 1.0 / left } else { 0.0 };
        vector.iter_mut().for_each(|c| *c *= scale);
        if scale == 0.0 {
            vector.fill(0.0);
        }
    }
}

/// Qᵀ = Pᵀ·M, rank × columns.
pub fn transpose_times(m: &[f32], rows: usize, p: &[f32], rank: usize) -> Vec<f32> {
    let columns = m.len() / rows;
    let mut q = vec![0.0; rank * columns];
    let mut stripes: Vec<Vec<&mut [f32]>> = (0..columns.div_ceil(STRIPE)).map(|_| Vec::with_capacity(rank)).collect();
    for row in q.chunks_exact_mut(columns) {
        row.chunks_mut(STRIPE).zip(&mut stripes).for_each(|(piece, stripe)| stripe.push(piece));
    }
    stripes.into_par_iter().enumerate().for_each(|(s, mut stripe)| {
        for (m, p) in m.chunks_exact(columns).zip(p.chunks_exact(rank)) {
            let m = &m[s * STRIPE..columns.min((s + 1) * STRIPE)];
            stripe.iter_mut().zip(p).for_each(|(q, p)| add_scaled(q, *p, m));
        }
    });
    q
}

/// y ← y + a·(P·Qᵀ) on the stretch from coordinate `start` on, every coordinate summed over the rank in order before
/// it is added.
pub(crate) fn add(a: f32, rows: usize, rank: usize, p: &[f32], q: &[f32], start: usize, y: &mut [f32]) {
    debug_assert_eq!(p.len(), rows * rank);
    let columns = q.len() / rank;
    let (mut row, mut column, mut rest) = (start / columns, start % columns, y);
    while !rest.is_empty() {
        let (y, more) = rest.split_at_mut((columns - column).min(rest.len()));
        add_row(a, &p[row * rank..][..rank], q, column, y);
        (row, column, rest) = (row + 1, 0, more);
    }
}

/// Columns of which [`add_row`] holds the sums in registers.
const BLOCK: usize = 64;

dispatch! {
    /// A stretch of one row of [`add`], from this column on.
    fn add_row(a: f32, p: &[f32], q: &[f32], column: usize, y: &mut [f32]) {
        let columns = q.len() / p.len();
        let (blocks, rest) = y.as_chunks_mut::<BLOCK>();
        for (i, y) in blocks.iter_mut().enumerate() {
            let mut sums = [0.0f32; BLOCK];
            for (r, p) in p.iter().enumerate() {
                let q: &[f32; BLOCK] = q[r * columns + column + i * BLOCK..].first_chunk().expect("a whole block");
                if r == 0 {
                    sums = q.map(|q| p * q);
                } else {
                    sums.iter_mut().zip(q).for_each(|(s, q)| *s += p * q);
                }
            }
            y.iter_mut().zip(&sums).for_each(|(y, s)| *y += a * s);
        }
        let (mut sums, start) = ([0.0f32; BLOCK], column + blocks.len() * BLOCK);
        let sums = &mut sums[..rest.len()];
        for (r, p) in p.iter().enumerate() {
            let q = &q[r * columns + start..][..sums.len()];
            if r == 0 {
                sums.iter_mut().zip(q).for_each(|(s, q)| *s = p * q);
            } else {
                sums.iter_mut().zip(q).for_each(|(s, q)| *s += p * q);
            }
        }
        rest.iter_mut().zip(sums).for_each(|(y, s)| *y += a * *s);
    }
}

dispatch! {
    /// One row of [`times_q`], in sixteen partial sums each.
    fn row_times_q(m: &[f32], q: &[f32], p: &mut [f32]) {
        for (q, p) in q.chunks_exact(m.len()).zip(p) {
            let mut lanes = [0.0f32; 16];
            let (m, q) = (m.chunks_exact(16), q.chunks_exact(16));
            let rest: f32 = m.remainder().iter().zip(q.remainder()).map(|(m, q)| m * q).sum();
            for (m, q) in m.zip(q) {
                for l in 0..16 {
                    lanes[l] += m[l] * q[l];
                }
            }
            *p = lanes.iter().sum::<f32>() + rest;
        }
    }
}

dispatch! {
    fn add_scaled(y: &mut [f32], a: f32, x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(x: &[f32]) -> f64 {
    x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}
