//! A unit cut into tiles, and the cosine transform of each.

use rayon::prelude::*;

/// A matrix, row by row, cut into tiles of `tall` × `wide`; the last of a row of tiles may be narrower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    pub rows: usize,
    pub columns: usize,
    pub tall: usize,
    pub wide: usize,
}

impl Tiling {
    /// A unit of this shape: a matrix [d₀, d/d₀] in blocks whose sides are the largest divisors of its own up to `side`, a
    /// vector in pieces of `side`.
    pub fn of(shape: &[usize], len: usize, side: usize) -> Self {
        let rows = shape.first().copied().unwrap_or(1);
        if shape.len() < 2 || len == 0 || rows == 0 {
            return Self { rows: 1, columns: len, tall: 1, wide: side };
        }
        let divisor = |of: usize| (1..=side.min(of)).rev().find(|d| of.is_multiple_of(*d)).unwrap_or(1);
        let columns = len / rows;
        Self { rows, columns, tall: divisor(rows), wide: divisor(columns) }
    }

    /// The tiles: their first coordinate and their width, band by band from the left.
    pub fn tiles(self) -> impl Iterator<Item = (usize, usize)> {
        let bands = (0..self.rows).step_by(self.tall.max(1));
        bands.flat_map(move |row| {
            let starts = (0..self.columns).step_by(self.wide.max(1));
            starts.map(move |column| (row * self.columns + column, self.wide.min(self.columns - column)))
        })
    }

    /// The coordinates of a tile, in their order.
    pub fn places(self, (first, wide): (usize, usize)) -> impl Iterator<Item = usize> {
        (0..self.tall).flat_map(move |i| (0..wide).map(move |j| first + i * self.columns + j))
    }

    /// The orthonormal cosine transform (DCT-II) of every tile, or its inverse, in place. All sums are of f64, in order.
    pub fn cosine(self, x: &mut [f32], inverse: bool) {
        let (tall, wide) = (Basis::new(self.tall, inverse), Basis::new(self.wide, inverse));
        let narrow = Basis::new(self.columns % self.wide.max(1), inverse);
        x.par_chunks_mut((self.tall * self.columns).max(1)).for_each(|band| {
            for column in (0..self.columns).step_by(self.wide) {
                let width = self.wide.min(self.columns - column);
                let across = if width == self.wide { &wide } else { &narrow };
                let mut tile: Vec<f64> = Vec::with_capacity(self.tall * width);
                for row in band.chunks_exact(self.columns) {
                    across.apply(&row[column..column + width], &mut tile);
                }
                let mut line = vec![0.0f32; self.tall];
                let mut turned = Vec::with_capacity(tile.len());
                for j in 0..width {
                    line.clear();
                    line.extend((0..self.tall).map(|i| tile[i * width + j] as f32));
                    tall.apply(&line, &mut turned);
                }
                for (i, row) in band.chunks_exact_mut(self.columns).enumerate() {
                    row[column..column + width]
                        .iter_mut()
                        .enumerate()
                        .for_each(|(j, x)| *x = turned[j * self.tall + i] as f32);
                }
            }
        });
    }
}

/// The matrix of a transform of n numbers, row by row.
struct Basis(Vec<f64>);

impl Basis {
    fn new(n: usize, inverse: bool) -> Self {
        let at = |k: usize, j: usize| {
            let scale = if k == 0 { 1.0 } else { 2.0 };
            (scale / n as f64).sqrt() * cosine((2 * j + 1) * k, 2 * n)
        };
        let entry = |(a, b): (usize, usize)| if inverse { at(b, a) } else { at(a, b) };
        Self((0..n).flat_map(|a| (0..n).map(move |b| (a, b))).map(entry).collect())
    }

    /// Appends the transform of x, as long as the basis is wide.
    fn apply(&self, x: &[f32], out: &mut Vec<f64>) {
        let dot = |row: &[f64]| row.iter().zip(x).map(|(b, x)| b * f64::from(*x)).sum::<f64>();
        out.extend(self.0.chunks_exact(x.len()).map(dot));
    }
}

/// cos(π·p/q), q even, by its series: the same bits on every machine, which a library's cosine does not promise.
fn cosine(p: usize, q: usize) -> f64 {
    let p = p % (2 * q);
    let p = p.min(2 * q - p);
    let (p, sign) = if 2 * p > q { (q - p, -1.0) } else { (p, 1.0) };
    let square = (std::f64::consts::PI * p as f64 / q as f64).powi(2);
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..14 {
        term *= -square / f64::from((2 * k - 1) * 2 * k);
        sum += term;
    }
    sign * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    #[test]
    fn the_series_is_the_cosine() {
        for q in [2, 4, 6, 128, 130] {
            for p in 0..5 * q {
                let expected = (std::f64::consts::PI * p as f64 / q as f64).cos();
                assert!((cosine(p, q) - expected).abs() < 1e-14, "{p}/{q}");
            }
        }
    }

    #[test]
    fn tiles_cover_every_coordinate_once() {
        for (shape, side) in [(vec![6, 10], 4), (vec![7, 7], 4), (vec![130], 64), (vec![3, 4, 5], 64), (vec![0], 3)] {
            let len = shape.iter().product();
            let tiling = Tiling::of(&shape, len, side);
            let mut places: Vec<usize> = tiling.tiles().flat_map(|tile| tiling.places(tile)).collect();
            places.sort_unstable();
            assert_eq!(places, (0..len).collect::<Vec<_>>(), "{shape:?}");
        }
        assert_eq!(Tiling::of(&[6, 10], 60, 4), Tiling { rows: 6, columns: 10, tall: 3, wide: 2 });
    }

    /// The transform of each tile is the textbook's double sum, and its inverse undoes it.
    #[test]
    fn transforms_are_the_textbook_s() {
        for shape in [vec![6, 8], vec![11], vec![1, 5]] {
            let len: usize = shape.iter().product();
            let tiling = Tiling::of(&shape, len, 4);
            let mut random = Philox::new(len as u64);
            let x: Vec<f32> = (0..len).map(|_| random.normal()).collect();
            let mut y = x.clone();
            tiling.cosine(&mut y, false);
            for tile in tiling.tiles() {
                let (m, n) = (tiling.tall, tile.1);
                let places: Vec<usize> = tiling.places(tile).collect();
                for (at, place) in places.iter().enumerate() {
                    let (k, l) = (at / n, at % n);
                    let wave = |k: usize, j: usize, n: usize| {
                        let scale = if k == 0 { 1.0 } else { 2.0f64 } / n as f64;
                        scale.sqrt() * (std::f64::consts::PI * (j as f64 + 0.5) * k as f64 / n as f64).cos()
                    };
                    let of =
                        |(at, place): (usize, &usize)| f64::from(x[*place]) * wave(k, at / n, m) * wave(l, at % n, n);
                    let expected: f64 = places.iter().enumerate().map(of).sum();
                    assert!((f64::from(y[*place]) - expected).abs() < 1e-5, "{shape:?} {place}");
                }
            }
            tiling.cosine(&mut y, true);
            assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-6), "{shape:?}");
        }
    }
}
