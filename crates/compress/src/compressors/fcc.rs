use std::fmt;
use std::sync::Arc;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::feedback::{Feedback, Fits};
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Sum, wire::MAX_PARTS};
use crate::source::Source;
use crate::text::Form;

/// Fast compressed communication, FCC(C, R) of NEOLITHIC (Huang et al. 2022): R rounds of C, each on what the ones
/// before left over; the payload is their sum. α becomes 1 − (1 − α)^R; an absolute κ stays. Every round draws anew.
///
/// <https://arxiv.org/abs/2206.03665>
#[derive(Clone, Debug)]
pub struct Fcc {
    rounds: usize,
    of: Feedback,
}

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "fcc",
    usage: "fcc:rounds=COUNT,of=COMPRESSOR",
    about: "several rounds of a compressor, each on what is left over",
    equation: "C₀ = 0, C_r = C_{r−1} + C(x − C_{r−1}), r = 1 … R",
    source: "Lower Bounds and Nearly Optimal Algorithms in Distributed Learning with Communication Compression, Huang, Chen, Yin, Yuan 2022",
    link: "https://arxiv.org/abs/2206.03665",
    defaults: &[],
    examples: &[
        "fcc:rounds=3,of=topk:0.1",
        "fcc:rounds=4,of=randk:0.1",
        "fcc:rounds=2,of=sign:scaled",
        "fcc:rounds=2,of=qsgd:scaled",
    ],
    parse: |args| {
        let rounds = args.required("rounds")?;
        let of: Feedback = args.required::<String>("of")?.parse()?;
        Ok(Arc::new(Fcc::new(rounds, of)?))
    },
};

impl Fcc {
    /// `rounds` of a compressor; with the rounds of `of` itself, 64 at most.
    ///
    /// # Errors
    /// Where `rounds` is 0, or there are more than 64 with those of `of`.
    pub fn new(rounds: usize, of: impl Fits<Feedback>) -> Result<Self, ParameterError> {
        let of = of.fit();
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

    fn compress(&self, mut source: Source<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let (inner, gain) = (self.of.compressor(), source.gain());
        let name = |round: usize| key.round(key.round.wrapping_mul(MAX_PARTS as u32).wrapping_add(round as u32));
        // Every round has its own guess of what the same round of the next step will find.
        let mut scratch = std::mem::take(&mut memo.rounds);
        scratch.resize_with(self.rounds, Vec::new);
        let mut say = |source: Source<'_>, round: usize, memo: &mut Memo| {
            std::mem::swap(&mut memo.scratch, &mut scratch[round]);
            let payload = inner.compress(source, unit, &name(round), memo);
            std::mem::swap(&mut memo.scratch, &mut scratch[round]);
            payload
        };
        // While rounds send values as they are, they are taken off where they stand, and put back in the end.
        let mut taken = Vec::with_capacity(self.rounds);
        let mut next = say(source.reborrow(), 0, memo);
        while taken.len() + 1 < self.rounds && source.take_off(&next) {
            taken.push(next);
            next = say(source.reborrow(), taken.len(), memo);
        }
        let mut parts = Vec::with_capacity(self.rounds);
        let round = taken.len() + 1;
        let mut left = Vec::new();
        if round < self.rounds {
            left = source.minus(&next, std::mem::take(&mut memo.work)).into_vec();
        }
        taken.iter().rev().for_each(|payload| source.put_back(payload));
        taken.into_iter().chain([next]).for_each(|payload| add(&mut parts, payload));
        for round in round..self.rounds {
            // What is left over is in the same units.
            let payload = say(Source::still(&left).in_units_of(gain), round, memo);
            payload.axpy(-1.0, &mut left);
            add(&mut parts, payload);
        }
        if left.capacity() > 0 {
            memo.work = left;
        }
        memo.rounds = scratch;
        Sum { parts }.into()
    }
}

/// Another part; the parts of a sum by themselves.
fn add(parts: &mut Vec<Payload>, payload: Payload) {
    match payload {
        Payload::Sum(sum) => parts.extend(sum.parts),
        one => parts.push(one),
    }
}
