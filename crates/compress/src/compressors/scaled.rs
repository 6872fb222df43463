use std::fmt;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::feedback::Feedback;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::Payload;
use crate::source::Source;

/// An unbiased compressor, which becomes a contraction when divided by 1 + ω.
///
/// ```
/// use backburn_compress::{Class, Compressor, Natural, Unbiased, Unit};
///
/// let unit = Unit::vector("weights", 100);
/// assert_eq!(Natural.class(&unit), Class::Unbiased(0.125));
/// assert_eq!(Natural.scaled().class(&unit), Class::Contractive(1.0 / 1.125));
/// ```
pub trait Unbiased: Compressor + 'static {
    /// The ω of E‖C(x) − x‖² ≤ ω‖x‖² on this unit.
    fn omega(&self, unit: &Unit) -> f64;

    /// As [`Compressor::compress`], and what is sent is `factor`·C(x).
    fn compress_times(&self, factor: f64, source: Source<'_>, key: &Key) -> Payload;

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
///
/// <https://arxiv.org/abs/1901.09847>
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

    fn compress(&self, source: Source<'_>, unit: &Unit, key: &Key, _: &mut Memo) -> Payload {
        self.0.compress_times(1.0 / (1.0 + self.0.omega(unit)), source, key)
    }
}
