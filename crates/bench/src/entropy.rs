//! What a payload would cost at the entropy of its parts.

use backburn_compress::payload::{Payload, Signs, Values};

/// Bits: log₂ C(d,k) for places, the empirical entropy of signs, levels and exponents, and the plain width of
/// floats.
pub fn bits(payload: &Payload) -> f64 {
    match payload {
        Payload::Dense(dense) => values(&dense.values),
        Payload::Signs(Signs { len, words, .. }) => {
            let set: u64 = words.iter().map(|w| u64::from(w.count_ones())).sum();
            empirical(&[set, *len as u64 - set])
        }
        Payload::Sparse(sparse) => log2_choose(sparse.len, sparse.indices.len()) + values(&sparse.values),
        Payload::Drawn(drawn) => values(&drawn.values),
        Payload::LowRank(low_rank) => 32.0 * (low_rank.p.len() + low_rank.q.len()) as f64,
        Payload::Sketch(sketch) => 32.0 * sketch.cells.len() as f64,
        Payload::Cosine(cosine) => bits(cosine.coefficients()),
        Payload::Sum(sum) => sum.parts.iter().map(bits).sum(),
    }
}

fn values(values: &Values) -> f64 {
    match values {
        Values::F32(v) => 32.0 * v.len() as f64,
        Values::F16(_) | Values::Bf16(_) | Values::Halves(_) => 16.0 * values.len() as f64,
        Values::Levels(v) => {
            let mut counts = [0; 256];
            v.levels.iter().for_each(|l| counts[usize::from(*l as u8)] += 1);
            32.0 * v.steps.len() as f64 + empirical(&counts)
        }
        Values::Powers(v) => {
            let mut counts = [0; 512];
            v.codes.iter().for_each(|c| counts[usize::from(*c)] += 1);
            empirical(&counts)
        }
        Values::Codebook(v) => {
            let mut counts = [0; 4];
            v.levels.iter().for_each(|l| counts[usize::from(*l & 3)] += 1);
            32.0 * v.sizes.len() as f64 + empirical(&counts)
        }
    }
}

/// Σ cᵢ·log₂(n/cᵢ).
fn empirical(counts: &[u64]) -> f64 {
    let n: u64 = counts.iter().sum();
    counts.iter().filter(|c| **c > 0).map(|c| *c as f64 * (n as f64 / *c as f64).log2()).sum()
}

/// log₂ C(d,k), by Stirling's series.
fn log2_choose(d: usize, k: usize) -> f64 {
    let ln_factorial = |n: usize| match n {
        0 | 1 => 0.0,
        n => {
            let n = n as f64;
            n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + 1.0 / (12.0 * n)
        }
    };
    (ln_factorial(d) - ln_factorial(k) - ln_factorial(d - k)) / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binomials() {
        assert!((log2_choose(10, 3) - 120f64.log2()).abs() < 1e-3);
        assert_eq!(log2_choose(10, 0), 0.0);
    }
}
