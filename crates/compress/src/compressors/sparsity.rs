use std::fmt;

use super::{Amount, Coding};
use crate::class::Class;
use crate::error::ParameterError;
use crate::text::{Args, TextError};

/// How many coordinates a sparsifier keeps of a unit, and how it writes their values:
/// `RATIO|k=COUNT[,values=f32|f16|bf16|qsgd:S|2bit|4bit|sign]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sparsity {
    amount: Amount,
    values: Coding,
}

impl Sparsity {
    /// What [`parse`](Self::parse) takes for granted, as the forms list it.
    pub const DEFAULTS: &[(&str, &str)] = &[("values=f32", "how values are written")];

    pub fn ratio(ratio: f64) -> Result<Self, ParameterError> {
        Ok(Self { amount: Amount::ratio(ratio)?, values: Coding::default() })
    }

    pub fn count(k: usize) -> Result<Self, ParameterError> {
        Ok(Self { amount: Amount::count(k)?, values: Coding::default() })
    }

    pub fn with_values(self, values: impl Into<Coding>) -> Self {
        Self { values: values.into(), ..self }
    }

    pub fn parse(args: &mut Args) -> Result<Self, TextError> {
        let values = args.named("values")?.unwrap_or_default();
        Ok(Self { amount: Amount::parse(args)?, values })
    }

    /// k of a unit of `len` coordinates.
    pub fn of(self, len: usize) -> usize {
        self.amount.of(len)
    }

    pub fn values(self) -> Coding {
        self.values
    }

    /// That of a unit of `len` coordinates: α ≥ k/d, less what the values are rounded by.
    pub fn class(self, len: usize) -> Class {
        let k = self.of(len);
        self.values.class(k as f64 / len.max(1) as f64, k)
    }
}

impl fmt::Display for Sparsity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.amount, self.values.suffix())
    }
}

/// What compressors of a [`Sparsity`] alone have in common: constructors, text, and that they stand under feedback.
macro_rules! by_sparsity {
    ($compressor:ident, $name:expr) => {
        impl $compressor {
            /// Keeps ⌈ratio·d⌉ of a unit's d coordinates, ratio ∈ (0, 1].
            ///
            /// # Errors
            /// Where `ratio` is not in (0, 1].
            pub fn ratio(ratio: f64) -> Result<Self, $crate::error::ParameterError> {
                $crate::compressors::Sparsity::ratio(ratio).map(Self)
            }

            /// Keeps `k` ≥ 1 coordinates of every unit.
            ///
            /// # Errors
            /// Where `k` is 0.
            pub fn count(k: usize) -> Result<Self, $crate::error::ParameterError> {
                $crate::compressors::Sparsity::count(k).map(Self)
            }

            /// Sends values in this format, or in levels; the rounding error stays in the residual.
            pub fn with_values(self, values: impl Into<$crate::compressors::Coding>) -> Self {
                Self(self.0.with_values(values))
            }
        }

        impl std::fmt::Display for $compressor {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}:{}", $name, self.0)
            }
        }

        impl From<$compressor> for $crate::feedback::Feedback {
            fn from(c: $compressor) -> Self {
                $crate::feedback::Feedback::new(c)
            }
        }
    };
}
pub(super) use by_sparsity;
