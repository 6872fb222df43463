//! Newton and Schulz's iteration towards the nearest orthogonal matrix.

use rayon::prelude::*;

use crate::simd::dispatch;

/// a, b and c of X ← aX + (bA + cA²)X, A = XXᵀ (Jordan 2024): singular values in (0, 1] end between about 0.7 and 1.2.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
const STEPS: usize = 5;

/// What five steps make of the matrix M of `rows` rows, row by row, from M/‖M‖: about U·Vᵀ of its singular value
/// decomposition. A matrix of zeros stays one.
///
/// Every product sums in the order of its inner index, in f32 without fused multiply-add.
pub(crate) fn newton_schulz(m: &[f32], rows: usize) -> Vec<f32> {
    let columns = m.len() / rows.max(1);
    let norm = m.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if norm == 0.0 || !norm.is_finite() {
        return vec![0.0; m.len()];
    }
    // The shorter side is the one of XXᵀ.
    let turned = rows > columns;
    let (short, long) = if turned { (columns, rows) } else { (rows, columns) };
    let mut x: Vec<f32> = m.iter().map(|x| (f64::from(*x) / norm) as f32).collect();
    if turned {
        x = transpose(&x, rows, columns);
    }
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..STEPS {
        let gram = product(&x, &transpose(&x, short, long), short, long, short);
        let square = product(&gram, &gram, short, short, short);
        let factor: Vec<f32> = gram.iter().zip(&square).map(|(g, s)| b * g + c * s).collect();
        let moved = product(&factor, &x, short, short, long);
        x.iter_mut().zip(moved).for_each(|(x, m)| *x = a * *x + m);
    }
    if turned { transpose(&x, short, long) } else { x }
}

fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|j| (0..rows).map(move |i| x[i * columns + j])).collect()
}

/// A·B, A being rows × inner and B inner × columns.
fn product(a: &[f32], b: &[f32], rows: usize, inner: usize, columns: usize) -> Vec<f32> {
    let mut y = vec![0.0; rows * columns];
    y.par_chunks_mut(columns.max(1)).enumerate().for_each(|(i, y)| row(&a[i * inner..][..inner], b, y));
    y
}

dispatch! {
    /// One row of [`product`].
    fn row(a: &[f32], b: &[f32], y: &mut [f32]) {
        for (a, b) in a.iter().zip(b.chunks_exact(y.len())) {
            y.iter_mut().zip(b).for_each(|(y, b)| *y += a * b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::low_rank::orthonormalise;
    use crate::random::Philox;

    /// Keeps the singular vectors, and brings the singular values near 1: of U·diag(s)·Vᵀ it makes U·diag(s′)·Vᵀ, s′
    /// being the scalar iteration.
    #[test]
    fn acts_on_singular_values_alone() {
        for (rows, columns, seed) in [(3, 3, 1), (5, 2, 2), (4, 9, 3), (17, 6, 4), (1, 7, 5)] {
            let mut random = Philox::new(seed);
            let rank = rows.min(columns);
            let mut basis = |n: usize| {
                let mut p: Vec<f32> = (0..n * rank).map(|_| random.normal()).collect();
                orthonormalise(&mut p, rank);
                p
            };
            let (u, v) = (basis(rows), basis(columns));
            let s: Vec<f64> = (0..rank).map(|r| 0.3 + r as f64).collect();
            let norm = s.iter().map(|s| s * s).sum::<f64>().sqrt();
            let scalar = |s: f64| {
                let [a, b, c] = COEFFICIENTS.map(f64::from);
                (0..STEPS).fold(s / norm, |x, _| a * x + b * x.powi(3) + c * x.powi(5))
            };
            let of = |s: &dyn Fn(usize) -> f64| -> Vec<f64> {
                let at = |i: usize, j: usize| {
                    (0..rank).map(|r| f64::from(u[i * rank + r]) * s(r) * f64::from(v[j * rank + r])).sum::<f64>()
                };
                (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|(i, j)| at(i, j)).collect()
            };
            let m: Vec<f32> = of(&|r| s[r]).into_iter().map(|x| x as f32).collect();
            let expected = of(&|r| scalar(s[r]));
            for (got, expected) in newton_schulz(&m, rows).iter().zip(&expected) {
                assert!((f64::from(*got) - expected).abs() < 1e-3, "{rows} × {columns}: {got} against {expected}");
            }
            assert!(s.iter().all(|s| (0.6..1.3).contains(&scalar(*s))), "{rows} × {columns}");
        }
        assert_eq!(newton_schulz(&[0.0; 6], 2), [0.0; 6]);
    }
}
