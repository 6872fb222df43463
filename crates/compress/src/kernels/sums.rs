//! Sums in double precision, in a fixed order: sixteen partial sums, coordinate j in number j mod 16, are added in
//! order at the end.

use crate::simd::dispatch;

const LANES: usize = 16;

#[inline(always)]
fn lanes(x: &[f32], term: impl Fn(f32) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for l in 0..LANES {
            lanes[l] += term(x[l]);
        }
    }
    rest.iter().zip(&mut lanes).for_each(|(x, lane)| *lane += term(*x));
    lanes.iter().sum()
}

dispatch! {
    /// Σ|x_j|.
    pub(crate) fn absolute(x: &[f32]) -> f64 {
        lanes(x, |x| f64::from(x.abs()))
    }
}

dispatch! {
    /// Σx_j².
    pub(crate) fn squares(x: &[f32]) -> f64 {
        lanes(x, |x| f64::from(x) * f64::from(x))
    }
}

dispatch! {
    /// The sum of the negative coordinates, and of the others.
    pub(crate) fn sides(x: &[f32]) -> [f64; 2] {
        [lanes(x, |x| f64::from(x.min(0.0))), lanes(x, |x| f64::from(x.max(0.0)))]
    }
}

dispatch! {
    /// The largest magnitude.
    pub(crate) fn largest(x: &[f32]) -> f32 {
        // The bits of magnitudes order as magnitudes do.
        f32::from_bits(x.iter().fold(0, |most, x| most.max(x.to_bits() & 0x7fff_ffff)))
    }
}

dispatch! {
    /// Whether all coordinates are finite.
    pub(crate) fn all_finite(x: &[f32]) -> bool {
        x.iter().fold(0, |most, x| most.max(x.to_bits() & 0x7fff_ffff)) < 0x7f80_0000
    }
}
