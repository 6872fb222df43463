//! The random draws of data handling, each named by what it is for.

use backburn_compress::{Key, Philox, Stream};

/// What a draw is for: draws of one seed for two purposes are independent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The order of a shard in one epoch.
    Shuffle,
    /// Crops and flips.
    Augment,
    /// Who gets which example.
    Partition,
    /// The first values of a model.
    Init,
}

impl Purpose {
    /// The stream of draw `step` of `worker` for this purpose.
    pub(crate) fn key(self, seed: u64, worker: Option<u32>, step: u64) -> u64 {
        let stream = match self {
            Self::Shuffle => Stream::SHUFFLE,
            Self::Augment => Stream::AUGMENT,
            Self::Partition => Stream::PARTITION,
            Self::Init => Stream::INIT,
        };
        Key { worker, step, stream, ..Key::new(seed) }.draw()
    }
}

/// Shuffles in place (Fisher and Yates).
pub(crate) fn shuffle<T>(items: &mut [T], random: &mut Philox) {
    for i in (1..items.len()).rev() {
        // Data sets here have far fewer than 2^32 items.
        items.swap(i, random.below(i as u32 + 1) as usize);
    }
}

/// One draw of the gamma distribution with scale 1 (Marsaglia and Tsang, 2000). `shape` > 0.
pub(crate) fn gamma(shape: f64, random: &mut Philox) -> f64 {
    if shape < 1.0 {
        // Gamma(a) is Gamma(a + 1) · U^(1/a); 1 − U is never 0.
        let u = 1.0 - f64::from(random.uniform());
        return gamma(shape + 1.0, random) * u.powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = f64::from(random.normal());
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - f64::from(random.uniform());
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_and_repeats() {
        let draw = |key| {
            let mut order: Vec<u32> = (0..100).collect();
            shuffle(&mut order, &mut Philox::new(key));
            order
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let mut sorted = draw(1);
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
    }

    #[test]
    fn gamma_has_its_mean_and_variance() {
        for shape in [0.3, 1.0, 4.5] {
            let mut random = Philox::new(9);
            let draws: Vec<f64> = (0..20_000).map(|_| gamma(shape, &mut random)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            assert!((mean / shape - 1.0).abs() < 0.06, "{shape}: mean {mean}");
            assert!((variance / shape - 1.0).abs() < 0.15, "{shape}: variance {variance}");
        }
    }

    #[test]
    fn purposes_and_workers_draw_independently() {
        let keys = [
            Purpose::Shuffle.key(1, Some(0), 0),
            Purpose::Augment.key(1, Some(0), 0),
            Purpose::Shuffle.key(1, Some(1), 0),
            Purpose::Shuffle.key(1, None, 0),
            Purpose::Shuffle.key(2, Some(0), 0),
            Purpose::Shuffle.key(1, Some(0), 1),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key));
        }
    }
}
