//! Random crops and flips, as a pure function of a 64-bit key.

use backburn_compress::Philox;

/// How far a crop may move in each direction: CIFAR's customary padding, in pixels.
pub const PADDING: usize = 4;

/// Where an image is cut and whether it is mirrored.
///
/// The image is thought of as surrounded by [`PADDING`] black pixels on all four sides; the crop,
/// of the image's own size, begins `top` rows and `left` columns into that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// First row, 0 … 2 · [`PADDING`].
    pub top: usize,
    /// First column, 0 … 2 · [`PADDING`].
    pub left: usize,
    /// Whether the cut is mirrored left to right.
    pub flip: bool,
}

impl Crop {
    /// The image as it is.
    pub const NONE: Self = Self { top: PADDING, left: PADDING, flip: false };

    /// A uniformly drawn crop, mirrored half of the time: the same for the same key.
    pub fn draw(key: u64) -> Self {
        let mut random = Philox::new(key);
        let places = 2 * PADDING as u32 + 1;
        let (top, left) = (random.below(places) as usize, random.below(places) as usize);
        Self { top, left, flip: random.below(2) == 1 }
    }

    /// The `position`-th crop of a batch whose key is `key`.
    pub fn of_batch(key: u64, position: usize) -> Self {
        let block = Philox::block(key, position as u64);
        Self::draw(u64::from(block[0]) << 32 | u64::from(block[1]))
    }

    /// Writes one plane's crop, each byte sent through `table`; outside the image it is black.
    ///
    /// `plane` and `out` both have `height` × `width` elements.
    pub(crate) fn write(self, plane: &[u8], [height, width]: [usize; 2], table: &[f32; 256], out: &mut [f32]) {
        for (y, row) in out.chunks_exact_mut(width).enumerate() {
            let source = (y + self.top).checked_sub(PADDING).filter(|y| *y < height);
            let Some(source) = source.map(|y| &plane[y * width..(y + 1) * width]) else {
                row.fill(table[0]);
                continue;
            };
            for (x, value) in row.iter_mut().enumerate() {
                let x = if self.flip { width - 1 - x } else { x };
                let pixel = (x + self.left).checked_sub(PADDING).and_then(|x| source.get(x));
                *value = table[usize::from(pixel.copied().unwrap_or(0))];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(crop: Crop) -> Vec<f32> {
        let table = std::array::from_fn(|p| p as f32);
        let mut out = vec![-1.0; 6];
        crop.write(&[1, 2, 3, 4, 5, 6], [2, 3], &table, &mut out);
        out
    }

    #[test]
    fn moves_and_mirrors() {
        assert_eq!(cut(Crop::NONE), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(cut(Crop { flip: true, ..Crop::NONE }), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        assert_eq!(cut(Crop { top: 5, left: 5, flip: false }), [5.0, 6.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(cut(Crop { top: 3, left: 2, flip: false }), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(cut(Crop { top: 3, left: 3, flip: true }), [0.0, 0.0, 0.0, 2.0, 1.0, 0.0]);
        assert_eq!(cut(Crop { top: 8, left: 0, flip: false }), [0.0; 6]);
    }

    #[test]
    fn draws_repeat_and_cover_every_place() {
        assert_eq!(Crop::draw(5), Crop::draw(5));
        let mut seen = std::collections::HashSet::new();
        for position in 0..4_000 {
            let crop = Crop::of_batch(11, position);
            assert!(crop.top <= 2 * PADDING && crop.left <= 2 * PADDING);
            seen.insert((crop.top, crop.left, crop.flip));
        }
        assert_eq!(seen.len(), 9 * 9 * 2);
    }
}
