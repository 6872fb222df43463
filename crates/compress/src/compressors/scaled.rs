use std::fmt;

use crate::{Class, Compressor, Feedback, Key, Memo, Payload, Unit, Update};

/// An unbiased compressor, which becomes a contraction when divided by 1 + ω.
pub trait Unbiased: Compressor + 'static {
    /// The ω of E‖C(x) − x‖² ≤ ω‖x‖² on this unit.
    fn omega(&self, unit: &Unit) -> f64;

    /// As [`Compressor::compress`], and what is sent is `factor`·C(x).
    fn compress_times(&self, factor: f64, x: &[f32], key: &Key) -> Payload;

    /// As [`Compressor::feedback`], and what is sent is `factor`·C(p).
    fn feedback_times(&self, factor: f64, p: &mut [f32], update: Update<'_>, key: &Key) -> Payload;

    /// C(x)/(1 + ω).
    fn scaled(self) -> Scaled<Self>
    where
        Self: Sized,
    {
        Scaled(self)
    }
}

/// C(x)/(1 + ω) of an unbiased compressor C: contractive with α = 1/(1 + ω) (Karimireddy et al.
/// 2019, Remark 5). Its textual form is that of C with the word `scaled`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled<C>(C);

impl<C: Unbiased> fmt::Display for Scaled<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.0.to_string();
        let separator = if inner.contains(':') { ',' } else { ':' };
        write!(f, "{inner}{separator}scaled")
    }
}

impl<C: Unbiased> From<Scaled<C>> for Feedback {
    fn from(c: Scaled<C>) -> Self {
        Feedback::new(c)
    }
}

impl<C: Unbiased> Compressor for Scaled<C> {
    fn class(&self, unit: &Unit) -> Class {
        Class::Contractive(1.0 / (1.0 + self.0.omega(unit)))
    }

    fn compress(&self, x: &[f32], unit: &Unit, key: &Key, _: &mut Memo) -> Payload {
        self.0.compress_times(1.0 / (1.0 + self.0.omega(unit)), x, key)
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, unit: &Unit, key: &Key, _: &mut Memo) -> Payload {
        self.0.feedback_times(1.0 / (1.0 + self.0.omega(unit)), p, update, key)
    }
}
