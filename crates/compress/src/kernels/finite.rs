//! Whether a vector may be compressed at all.

use rayon::prelude::*;

use super::{sums, tasks};

/// Coordinates of a task.
const TASK: usize = 1 << 16;

/// Whether no coordinate is infinite or NaN; in parallel, at the speed of memory.
pub fn all_finite(x: &[f32]) -> bool {
    if x.len() < tasks::MANY { sums::all_finite(x) } else { x.par_chunks(TASK).all(sums::all_finite) }
}

/// The largest magnitude; infinite or NaN where some coordinate is.
pub(crate) fn largest(x: &[f32]) -> f32 {
    // Magnitudes are ordered as their bits are, NaN above all.
    let largest = tasks::map_of(x.len(), x.par_chunks(TASK), |x| sums::largest(x).to_bits());
    f32::from_bits(largest.into_iter().fold(0, u32::max))
}

/// The first coordinate that is infinite or NaN.
pub fn first_non_finite(x: &[f32]) -> Option<usize> {
    let task = x.par_chunks(TASK).position_first(|x| !sums::all_finite(x))?;
    x[task * TASK..].iter().position(|x| !x.is_finite()).map(|i| task * TASK + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first() {
        let mut x = vec![f32::MAX; 200_000];
        assert!(all_finite(&x) && all_finite(&[]));
        assert_eq!(first_non_finite(&x), None);
        x[199_999] = f32::NEG_INFINITY;
        x[150_001] = f32::NAN;
        assert!(!all_finite(&x));
        assert_eq!(first_non_finite(&x), Some(150_001));
    }
}
