//! The sign with sign(0) = 0, for comparison with the paper's statements.

use std::fmt;

use backburn_compress::{Class, Compressor, Key, Memo, Payload, Source, Unit};

/// C(x) = sign(x) with sign(0) = 0, or ‖x‖₁/d · sign(x).
///
/// It is no wire format, since a bit has no third value: the payload is dense. Karimireddy et al. (2019)
/// use it in §3 (Theorem I) and where many columns of a data matrix are zero (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceSign {
    /// Whether the signs are scaled by the mean magnitude.
    pub scaled: bool,
}

impl fmt::Display for ReferenceSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.scaled { "reference-sign:scaled" } else { "reference-sign" })
    }
}

impl Compressor for ReferenceSign {
    fn class(&self, unit: &Unit) -> Class {
        // With s zeros left out ‖C(x) − x‖² = ‖x‖² − (‖x‖₁²/d)(1 + s/d), so α ≥ φ(x) ≥ 1/d.
        if self.scaled { Class::Contractive(1.0 / unit.len().max(1) as f64) } else { Class::None }
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        let x = source.settle();
        let sum: f64 = x.iter().map(|x| f64::from(x.abs())).sum();
        let size = if self.scaled { (sum / x.len().max(1) as f64) as f32 } else { 1.0 };
        let sign = |x: &f32| {
            if *x > 0.0 {
                size
            } else if *x < 0.0 {
                -size
            } else {
                0.0
            }
        };
        Payload::floats(x.iter().map(sign).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_stay_and_the_contraction_holds() {
        let x = [1.0, -3.0, 0.0, 0.0];
        let unit = Unit::vector("x", 4);
        let c = |scaled| {
            ReferenceSign { scaled }.compress(Source::still(&x), &unit, &Key::new(1), &mut Memo::default()).decode()
        };
        assert_eq!(c(false), [1.0, -1.0, 0.0, 0.0]);
        assert_eq!(c(true), [1.0, -1.0, 0.0, 0.0]);
        let error: f32 = c(true).iter().zip(x).map(|(c, x)| (c - x).powi(2)).sum();
        assert!(error <= (1.0 - 16.0 / 40.0) * 10.0);
    }
}
