//! From bytes to centred, scaled floats.

use std::borrow::Cow;

/// One mean and standard deviation a channel, in units of full intensity (255 is 1.0):
/// a pixel `p` becomes `(p / 255 − mean) / std`.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    mean: Cow<'static, [f32]>,
    std: Cow<'static, [f32]>,
}

impl Normalisation {
    /// Fashion-MNIST's training set.
    pub const FASHION: Self = Self::fixed(&[0.2860], &[0.3530]);
    /// MNIST's training set.
    pub const MNIST: Self = Self::fixed(&[0.1307], &[0.3081]);
    /// CIFAR-10's training set.
    pub const CIFAR10: Self = Self::fixed(&[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616]);
    /// CIFAR-100's training set.
    pub const CIFAR100: Self = Self::fixed(&[0.5071, 0.4865, 0.4409], &[0.2673, 0.2564, 0.2762]);

    const fn fixed(mean: &'static [f32], std: &'static [f32]) -> Self {
        Self { mean: Cow::Borrowed(mean), std: Cow::Borrowed(std) }
    }

    /// No centring, no scaling: pixels in [0, 1], what an autoencoder reconstructs.
    pub fn unit(channels: usize) -> Self {
        Self { mean: vec![0.0; channels].into(), std: vec![1.0; channels].into() }
    }

    /// The means and standard deviations given; `None` unless there is one of each a channel, all
    /// finite, and every deviation is positive.
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Option<Self> {
        let finite = mean.iter().chain(&std).all(|x| x.is_finite());
        let valid = finite && mean.len() == std.len() && std.iter().all(|s| *s > 0.0);
        valid.then(|| Self { mean: mean.into(), std: std.into() })
    }

    /// The mean and deviation of planar images (n × channels × `plane` bytes).
    ///
    /// A channel of one single colour has deviation 1 here, so that it maps to 0.
    pub fn measure(pixels: &[u8], channels: usize, plane: usize) -> Self {
        let mut sums = vec![(0u64, 0u64); channels];
        for (i, part) in pixels.chunks_exact(plane.max(1)).enumerate() {
            let (sum, squares) = &mut sums[i % channels];
            *sum += part.iter().map(|p| u64::from(*p)).sum::<u64>();
            *squares += part.iter().map(|p| u64::from(*p).pow(2)).sum::<u64>();
        }
        let n = (pixels.len() / channels.max(1)).max(1) as f64;
        let moments = sums.iter().map(|(sum, squares)| {
            let mean = *sum as f64 / n / 255.0;
            let variance = *squares as f64 / n / (255.0 * 255.0) - mean * mean;
            (mean as f32, if variance > 1e-12 { variance.sqrt() as f32 } else { 1.0 })
        });
        let (mean, std): (Vec<_>, Vec<_>) = moments.unzip();
        Self { mean: mean.into(), std: std.into() }
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// The mean of each channel.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The standard deviation of each channel.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// One table a channel from byte to float: 256 divisions instead of one a pixel.
    pub(crate) fn tables(&self) -> Vec<[f32; 256]> {
        let table = |(mean, std): (&f32, &f32)| std::array::from_fn(|p| (p as f32 / 255.0 - mean) / std);
        self.mean.iter().zip(self.std.iter()).map(table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_centre_and_scale() {
        let tables = Normalisation::new(vec![0.5, 0.0], vec![0.25, 1.0]).unwrap().tables();
        assert_eq!((tables[0][0], tables[0][255]), (-2.0, 2.0));
        assert_eq!((tables[1][0], tables[1][255]), (0.0, 1.0));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Normalisation::new(vec![0.0], vec![0.0]).is_none());
        assert!(Normalisation::new(vec![0.0], vec![1.0, 1.0]).is_none());
        assert!(Normalisation::new(vec![f32::NAN], vec![1.0]).is_none());
    }

    #[test]
    fn measures_each_channel() {
        // Two images of two channels with two pixels a plane.
        let found = Normalisation::measure(&[0, 255, 7, 7, 0, 255, 7, 7], 2, 2);
        assert_eq!(found.mean(), [0.5, 7.0 / 255.0]);
        assert_eq!(found.std(), [0.5, 1.0]);
    }
}
