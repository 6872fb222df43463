//! Count-sketches (Charikar, Chen, Farach-Colton 2002): linear, so that workers' sketches add.
//!
//! For the joint method of two rounds (Ivkin et al. 2019, *Communication-efficient distributed SGD with
//! sketching*): every worker sends [`Sketch::new`]; the sketches are averaged by [`mean`](crate::mean) or
//! [`Sketch::merge`]; all find the [`Sketch::heaviest`] places of the result and send their exact values there.

use super::bytes::{Reader, put_floats, put_varint, varint_bytes};
use super::kind::{Head, Kind};
use super::prepared::{Add, Part};
use crate::error::WireError;
use crate::kernels::{finite, select, sketch};
use crate::room;

/// A count-sketch: it adds coordinate by coordinate to others of the same draw and shape, and decodes to the
/// median estimate of every coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    /// Coordinates.
    pub len: usize,
    /// Independent rows of cells.
    pub rows: usize,
    /// Names the hash functions.
    pub draw: u64,
    /// The cells, rows × columns.
    pub cells: Vec<f32>,
}

/// Rows of a sketch, at most.
pub const MAX_ROWS: usize = 64;

impl Sketch {
    /// The sketch of `x` in `rows` × `columns` cells, hashed by `draw`.
    ///
    /// # Panics
    /// Where `rows` is not in 1 … 64, or `columns` is 0.
    pub fn new(x: &[f32], rows: usize, columns: usize, draw: u64) -> Self {
        assert!((1..=MAX_ROWS).contains(&rows) && columns > 0, "a sketch has 1 … 64 rows, and columns");
        Self { len: x.len(), rows, draw, cells: sketch::cells(x, rows, columns, draw) }
    }

    /// Whether two are of one shape.
    pub fn is_shaped_like(&self, other: &Self) -> bool {
        (self.len, self.rows, self.cells.len()) == (other.len, other.rows, other.cells.len())
    }

    /// Whether two add: of one draw and one shape.
    pub fn is_like(&self, other: &Self) -> bool {
        self.draw == other.draw && self.is_shaped_like(other)
    }

    /// Whether its rows hash coordinates by blocks, as they do from 256 columns on.
    pub(super) fn hashes_by_blocks(&self) -> bool {
        self.cells.len() / self.rows >= sketch::MANY
    }

    /// The sum of sketches of one draw and shape; `None` where they are not, or where there are none.
    pub fn merge<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut sum = parts.next()?.clone();
        for part in parts {
            if !sum.is_like(part) {
                return None;
            }
            sum.cells.iter_mut().zip(&part.cells).for_each(|(s, c)| *s += c);
        }
        Some(sum)
    }

    /// y ← y + a·x, cell by cell; an x of another draw or shape changes nothing.
    pub fn add_scaled(&mut self, a: f32, x: &Self) {
        if self.is_like(x) {
            self.cells.iter_mut().zip(&x.cells).for_each(|(y, x)| *y += a * x);
        }
    }

    /// An estimate of ‖x‖₂: the median of the rows' norms.
    pub fn norm(&self) -> f64 {
        let square = |row: &[f32]| row.iter().map(|c| f64::from(*c).powi(2)).sum::<f64>();
        let mut squares: Vec<f64> = self.cells.chunks_exact(self.cells.len() / self.rows).map(square).collect();
        squares.sort_by(f64::total_cmp);
        squares[self.rows / 2].sqrt()
    }

    /// What it says of every coordinate.
    pub fn estimate(&self) -> Vec<f32> {
        let mut y = room::take(self.len);
        sketch::estimate(&self.cells, self.rows, self.draw, &mut y);
        y
    }

    /// The `k` places of largest estimated magnitude, ascending; among equal ones the lowest win.
    pub fn heaviest(&self, k: usize) -> Vec<u32> {
        self.heaviest_by(k, &mut Vec::new())
    }

    /// The same with what is remembered from the last step, of which nothing but the time depends.
    pub(crate) fn heaviest_by(&self, k: usize, memo: &mut Vec<u32>) -> Vec<u32> {
        let estimate = self.estimate();
        let heaviest = select::largest(&mut estimate.as_slice(), k.min(self.len), memo).indices;
        room::put(estimate);
        heaviest
    }
}

impl Kind for Sketch {
    const CODES: std::ops::RangeInclusive<u8> = 7..=7;

    fn len(&self) -> usize {
        self.len
    }

    fn bound(&self) -> f64 {
        f64::from(finite::largest(&self.cells))
    }

    fn prepare<'a>(&'a self, parts: &mut Vec<Part<'a>>) {
        parts.push(Part::Whole(self));
    }

    fn num_bytes(&self) -> usize {
        let columns = self.cells.len() / self.rows;
        varint_bytes(self.rows as u64) + varint_bytes(columns as u64) + 8 + 4 * self.cells.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.rows as u64, out);
        put_varint((self.cells.len() / self.rows) as u64, out);
        out.extend_from_slice(&self.draw.to_le_bytes());
        put_floats(&self.cells, out);
    }

    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let rows = reader.varint("a number of rows")?;
        let columns = reader.varint("a number of columns")?;
        if !(1..=MAX_ROWS as u64).contains(&rows) || columns == 0 {
            let why = "its rows are not 1 … 64, or it has no columns";
            return Err(WireError::Malformed { what: "a sketch", why });
        }
        let draw = reader.draw()?;
        let cells = reader.floats(rows.saturating_mul(columns))?;
        Ok(Self { len: head.len, rows: rows as usize, draw, cells })
    }
}

impl Add for Sketch {
    fn add(&self, a: f32, start: usize, y: &mut [f32]) {
        sketch::add(a, &self.cells, self.rows, self.draw, start, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(seed: u64) -> Vec<f32> {
        let mut random = crate::random::Philox::new(seed);
        (0..1000).map(|_| 0.01 * random.normal()).collect()
    }

    #[test]
    fn finds_heavy_hitters_of_a_sum() {
        let (mut x, mut y) = (vector(1), vector(2));
        (x[17], y[17], x[400], y[999]) = (2.0, 2.0, -3.0, 5.0);
        let sum = Sketch::merge([&Sketch::new(&x, 5, 100, 9), &Sketch::new(&y, 5, 100, 9)]).unwrap();
        assert_eq!(sum.heaviest(3), [17, 400, 999]);
        let estimate = sum.estimate();
        assert!((estimate[17] - 4.0).abs() < 0.3, "{}", estimate[17]);
    }

    #[test]
    fn only_like_sketches_merge() {
        let (x, y) = (Sketch::new(&[1.0, 2.0], 3, 4, 1), Sketch::new(&[1.0, 2.0], 3, 4, 2));
        assert_eq!(Sketch::merge([&x, &y]), None);
        assert_eq!(Sketch::merge([]), None);
    }
}
