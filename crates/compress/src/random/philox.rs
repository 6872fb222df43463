//! Philox4x32-10, a counter-based generator.

use crate::simd::dispatch;

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: *Parallel random numbers: as easy as 1, 2, 3*, SC'11):
/// block `i` of a stream is a pure function of the stream's 64-bit key and `i`.
#[derive(Clone, Debug)]
pub struct Philox {
    key: u64,
    counter: u64,
    block: [u32; 4],
    used: usize,
}

impl Philox {
    /// The stream of this key, at its beginning.
    pub fn new(key: u64) -> Self {
        Self { key, counter: 0, block: [0; 4], used: 4 }
    }

    /// Block `index` of the stream of `key`, without any state.
    #[inline]
    pub fn block(key: u64, index: u64) -> [u32; 4] {
        rounds::<10>(key, index)
    }

    /// The next 32 bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = rounds::<10>(self.key, self.counter);
            self.counter += 1;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Uniform on 0 … bound − 1, without bias (Lemire 2019). `bound` must not be 0.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        let mut product = u64::from(self.next_u32()) * u64::from(bound);
        if (product as u32) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u32) < threshold {
                product = u64::from(self.next_u32()) * u64::from(bound);
            }
        }
        (product >> 32) as u32
    }

    /// Uniform on [0, 1) with 24 bits.
    #[inline]
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// Standard normal, by Box and Muller's transform (one of the pair is dropped).
    pub fn normal(&mut self) -> f32 {
        let u = (f64::from(self.next_u32()) + 0.5) / 4_294_967_296.0;
        let v = f64::from(self.next_u32()) / 4_294_967_296.0;
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }
}

/// Blocks that [`fill`] makes at a time.
const LANES: usize = 16;

dispatch! {
    /// The first words of the blocks from `index` on, in order: as [`Philox::next_u32`] gives them, many at
    /// a time. `words` must be a whole number of batches.
    #[allow(clippy::needless_range_loop)] // lanes run through four arrays at once
    pub(super) fn fill(key: u64, index: u64, words: &mut [u32]) {
        for (batch, words) in words.chunks_exact_mut(4 * LANES).enumerate() {
            let mut c = [[0u32; LANES]; 4];
            for lane in 0..LANES {
                let index = index + (batch * LANES + lane) as u64;
                (c[0][lane], c[1][lane]) = (index as u32, (index >> 32) as u32);
            }
            let mut k = [key as u32, (key >> 32) as u32];
            for _ in 0..10 {
                for lane in 0..LANES {
                    let [c0, c1, c2, c3] = [c[0][lane], c[1][lane], c[2][lane], c[3][lane]];
                    let (a, b) = (u64::from(c0) * 0xd251_1f53, u64::from(c2) * 0xcd9e_8d57);
                    c[0][lane] = (b >> 32) as u32 ^ c1 ^ k[0];
                    c[1][lane] = b as u32;
                    c[2][lane] = (a >> 32) as u32 ^ c3 ^ k[1];
                    c[3][lane] = a as u32;
                }
                k = [k[0].wrapping_add(0x9e37_79b9), k[1].wrapping_add(0xbb67_ae85)];
            }
            for (lane, words) in words.chunks_exact_mut(4).enumerate() {
                (0..4).for_each(|i| words[i] = c[i][lane]);
            }
        }
    }
}

/// Philox4x32-R of this key and counter.
#[inline]
pub(super) fn rounds<const R: usize>(key: u64, index: u64) -> [u32; 4] {
    turns::<R>([index as u32, (index >> 32) as u32, 0, 0], [key as u32, (key >> 32) as u32])
}

#[inline]
fn turns<const R: usize>(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for _ in 0..R {
        let a = u64::from(c[0]) * 0xd251_1f53;
        let b = u64::from(c[2]) * 0xcd9e_8d57;
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9e37_79b9), k[1].wrapping_add(0xbb67_ae85)];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // From the authors' Random123 test vectors.
        assert_eq!(turns::<10>([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(turns::<10>([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn many_at_a_time_are_the_same() {
        let mut words = [0; 3 * 4 * LANES];
        for (key, index) in [(7, 0), (u64::MAX, u64::from(u32::MAX) - 5)] {
            fill(key, index, &mut words);
            for (i, words) in words.chunks(4).enumerate() {
                assert_eq!(words, Philox::block(key, index + i as u64));
            }
        }
    }

    #[test]
    fn below_is_uniform_enough() {
        let mut random = Philox::new(3);
        let mut counts = [0u32; 7];
        (0..70_000).for_each(|_| counts[random.below(7) as usize] += 1);
        // 4.5 standard deviations of a binomial(70000, 1/7) are 417.
        assert!(counts.iter().all(|c| c.abs_diff(10_000) < 417), "{counts:?}");
    }
}
