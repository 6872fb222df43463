use std::fmt;
use std::sync::Arc;

use super::Entry;
use crate::payload::wire::MAX_PARTS;
use crate::spec::{AnyCompressor, SpecError};
use crate::{Class, Compressor, Feedback, Key, Memo, ParameterError, Payload, Unit};

/// Fast compressed communication, FCC(C, R) of NEOLITHIC (Huang et al. 2022): R rounds of C, each on what the ones
/// before left over; the payload is their sum. α becomes 1 − (1 − α)^R; an absolute κ stays. Every round draws anew.
#[derive(Clone, Debug)]
pub struct Fcc {
    rounds: usize,
    of: Feedback,
}

pub(super) const ENTRY: Entry = Entry {
    name: "fcc",
    usage: "fcc:rounds=COUNT,of=COMPRESSOR",
    about: "several rounds of a compressor, each on what is left over",
    examples: &[
        "fcc:rounds=3,of=topk:0.1",
        "fcc:rounds=4,of=randk:0.1",
        "fcc:rounds=2,of=sign:scaled",
        "fcc:rounds=2,of=qsgd:scaled",
    ],
    parse: |args| {
        let rounds = args.required("rounds")?;
        let text = args.required::<String>("of")?;
        let of = Feedback::try_from(text.parse::<AnyCompressor>()?).map_err(|e| SpecError::Refused(e.to_string()))?;
        Ok(Arc::new(Fcc::new(rounds, of)?))
    },
};

impl Fcc {
    /// `rounds` of a compressor; with the rounds of `of` itself, 64 at most.
    pub fn new(rounds: usize, of: impl Into<Feedback>) -> Result<Self, ParameterError> {
        let of = of.into();
        let most = MAX_PARTS / of.compressor().parts().max(1);
        if (1..=most).contains(&rounds) {
            Ok(Self { rounds, of })
        } else {
            Err(ParameterError::Range {
                name: "rounds",
                value: rounds as f64,
                allowed: "1 … 64, inner rounds included",
            })
        }
    }
}

impl fmt::Display for Fcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fcc:rounds={},of={}", self.rounds, self.of)
    }
}

impl From<Fcc> for Feedback {
    fn from(c: Fcc) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for Fcc {
    fn class(&self, unit: &Unit) -> Class {
        match self.of.compressor().class(unit) {
            Class::Contractive(alpha) => Class::Contractive(1.0 - (1.0 - alpha).powi(self.rounds as i32)),
            other => other,
        }
    }

    fn parts(&self) -> usize {
        self.rounds * self.of.compressor().parts()
    }

    fn compress(&self, x: &[f32], unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let mut left = std::mem::take(&mut memo.work);
        left.clear();
        left.extend_from_slice(x);
        let mut parts = Vec::with_capacity(self.rounds);
        for round in 0..self.rounds as u32 {
            let key = key.round(key.round.wrapping_mul(MAX_PARTS as u32).wrapping_add(round));
            let payload = self.of.compressor().compress(&left, unit, &key, memo);
            payload.axpy(-1.0, &mut left);
            match payload {
                Payload::Sum(inner) => parts.extend(inner),
                one => parts.push(one),
            }
        }
        memo.work = left;
        Payload::Sum(parts)
    }
}
