use super::bytes::{Reader, put_floats};
use crate::error::WireError;
use crate::kernels::finite;

/// Values of four sizes, two bits each: those of one level share their mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Codebook {
    /// The four sizes.
    pub sizes: [f32; 4],
    /// A level a value, 0 … 3.
    pub levels: Vec<u8>,
}

impl Codebook {
    /// SparseLoCo's quantiser (Sarfi et al. 2025): with μ and σ of all values and s = 6σ/4, level
    /// clamp(round((v − μ)/s + 2), 0, 3); every level becomes the mean of its values.
    pub fn new(values: &[f32]) -> Self {
        let wide = || values.iter().map(|v| f64::from(*v));
        let n = values.len().max(1) as f64;
        let mean = wide().sum::<f64>() / n;
        let sigma = (wide().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let step = 1.5 * sigma;
        let level = |v: f64| if step > 0.0 { ((v - mean) / step + 2.0).round().clamp(0.0, 3.0) as u8 } else { 2 };
        let levels: Vec<u8> = wide().map(level).collect();
        let (mut sums, mut counts) = ([0.0f64; 4], [0u32; 4]);
        for (level, v) in levels.iter().zip(wide()) {
            sums[usize::from(*level)] += v;
            counts[usize::from(*level)] += 1;
        }
        let size = |l: usize| (sums[l] / f64::from(counts[l].max(1))) as f32;
        Self { sizes: [size(0), size(1), size(2), size(3)], levels }
    }

    /// Value `i`.
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        self.sizes[usize::from(self.levels[i] & 3)]
    }

    /// A bound on all magnitudes.
    pub(super) fn bound(&self) -> f64 {
        f64::from(finite::largest(&self.sizes))
    }

    pub(super) fn num_bytes(&self) -> usize {
        16 + self.levels.len().div_ceil(4)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_floats(&self.sizes, out);
        let pack = |four: &[u8]| four.iter().enumerate().fold(0, |byte, (i, l)| byte | (l & 3) << (2 * i));
        out.extend(self.levels.chunks(4).map(pack));
    }

    pub(super) fn decode(count: usize, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let sizes = reader.floats(4)?;
        let bytes: Vec<u8> = reader.numbers(count.div_ceil(4) as u64, |byte: u8| byte)?;
        let unused = 8 * bytes.len() - 2 * count;
        if bytes.last().is_some_and(|last| unused > 0 && last >> (8 - unused) != 0) {
            return Err(WireError::Malformed { what: "a codebook", why: "unused bits are not zero" });
        }
        let levels = (0..count).map(|i| bytes[i / 4] >> (2 * (i % 4)) & 3).collect();
        Ok(Self { sizes: [sizes[0], sizes[1], sizes[2], sizes[3]], levels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_formula() {
        // μ = 0, σ² = 2.5, s = 2.372: (v − μ)/s + 2 is 1.157, 1.578, 2.421, 2.843.
        let codebook = Codebook::new(&[-2.0, -1.0, 1.0, 2.0]);
        assert_eq!(codebook.levels, [1, 2, 2, 3]);
        assert_eq!(codebook.sizes, [0.0, -2.0, 0.0, 2.0]);
        assert_eq!(Codebook::new(&[3.0; 5]).sizes[2], 3.0);
        assert!(Codebook::new(&[]).levels.is_empty());
    }
}
