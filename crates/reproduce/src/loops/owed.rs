//! What a lone worker still owes.

use backburn_compress::Memo;
use backburn_optim::{Role, Vector, Visitor};

/// Takes the residual e of the only worker; empty where it has none.
#[derive(Default)]
pub(crate) struct Owed(pub Vector);

impl Visitor for Owed {
    fn vector(&mut self, _: &str, role: Role, x: &mut Vector) {
        if role == Role::Residual {
            self.0.clone_from(x);
        }
    }

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, _: &str, _: &mut Vec<Memo>) {}
}

/// Sums of a vector's magnitudes and squares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Norms {
    /// ‖v‖₁.
    pub one: f64,
    /// ‖v‖².
    pub square: f64,
    /// d.
    pub len: usize,
}

impl Norms {
    pub fn of(values: impl IntoIterator<Item = f32>) -> Self {
        values.into_iter().fold(Self::default(), |Self { one, square, len }, v| {
            let v = f64::from(v);
            Self { one: one + v.abs(), square: square + v * v, len: len + 1 }
        })
    }

    /// φ(v) = ‖v‖₁²/(d‖v‖²), 1 of zero (Karimireddy et al. 2019, Lemma 8).
    pub fn density(self) -> f64 {
        if self.square == 0.0 { 1.0 } else { self.one * self.one / (self.len as f64 * self.square) }
    }
}
