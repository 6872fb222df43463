//! What is known of a compressor's error.

/// The class of a compressor C on vectors of a given length: what its error obeys.
///
/// Under error feedback only a contraction with α > 0 and an absolute compressor with κ < ∞ promise a bounded
/// residual, see [`bounds_residual`](Self::bounds_residual).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Class {
    /// E‖C(x) − x‖² ≤ (1 − α)‖x‖², with this α ∈ (0, 1].
    Contractive(f64),
    /// ‖C(x) − x‖ ≤ ‖x‖, and no more: at its worst α is 0. It may stand under error feedback, which promises
    /// nothing of the residual.
    NonExpansive,
    /// ‖C(x) − x‖² ≤ κ², with this κ², whatever x is.
    Absolute(f64),
    /// E C(x) = x and E‖C(x) − x‖² ≤ ω‖x‖², with this ω.
    Unbiased(f64),
    /// No bound at all (the plain sign, say).
    None,
}

impl Class {
    /// Whether such a compressor may stand under error feedback: α ≥ 0, or an absolute bound.
    pub fn bears_feedback(self) -> bool {
        match self {
            Class::Contractive(_) | Class::NonExpansive | Class::Absolute(_) => true,
            Class::Unbiased(_) | Class::None => false,
        }
    }

    /// Whether error feedback around it is promised a bounded residual: α > 0, or κ < ∞.
    pub fn bounds_residual(self) -> bool {
        match self {
            Class::Contractive(alpha) => alpha > 0.0,
            Class::Absolute(kappa) => kappa.is_finite(),
            Class::NonExpansive | Class::Unbiased(_) | Class::None => false,
        }
    }
}
