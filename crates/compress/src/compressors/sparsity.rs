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
