//! What is known of a compressor's error.

/// The class of a compressor C on vectors of a given length: what its error obeys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Class {
    /// E‖C(x) − x‖² ≤ (1 − α)‖x‖², with this α ∈ [0, 1].
    Contractive(f64),
    /// ‖C(x) − x‖² ≤ κ², with this κ², whatever x is.
    Absolute(f64),
    /// E C(x) = x and E‖C(x) − x‖² ≤ ω‖x‖², with this ω.
    Unbiased(f64),
    /// No bound at all (the plain sign, say).
    None,
}

impl Class {
    /// Whether error feedback around such a compressor keeps its residual bounded.
    pub fn bears_feedback(self) -> bool {
        matches!(self, Class::Contractive(_) | Class::Absolute(_))
    }
}
