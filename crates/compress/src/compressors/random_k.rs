use std::fmt;
use std::sync::Arc;

use super::{Amount, Coding, Entry};
use crate::sweep::{BLOCK, Source, task};
use crate::{Class, Compressor, Feedback, Key, Memo, ParameterError, Payload, Unit, Update, random};

/// C(x) keeps k coordinates drawn without replacement, the same for all workers, so that messages
/// add and no index is sent. E‖C(x) − x‖² = (1 − k/d)‖x‖² (Stich et al. 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomK {
    amount: Amount,
    values: Coding,
}

pub(super) const ENTRY: Entry = Entry {
    name: "randk",
    usage: "randk:RATIO|k=COUNT[,values=f32|f16|bf16|qsgd:S]",
    about: "k coordinates drawn at random, the same for all workers",
    examples: &["randk:0.1", "randk:k=3", "randk:0.1,values=bf16", "randk:0.1,values=qsgd:15"],
    parse: |args| {
        let values = args.named("values")?.unwrap_or_default();
        Ok(Arc::new(RandomK { amount: Amount::parse(args)?, values }))
    },
};

impl RandomK {
    /// Keeps ⌈ratio·d⌉ of a unit's d coordinates, ratio ∈ (0, 1].
    pub fn ratio(ratio: f64) -> Result<Self, ParameterError> {
        Ok(Self { amount: Amount::ratio(ratio)?, values: Coding::default() })
    }

    /// Keeps `k` ≥ 1 coordinates of every unit.
    pub fn count(k: usize) -> Result<Self, ParameterError> {
        Ok(Self { amount: Amount::count(k)?, values: Coding::default() })
    }

    /// Sends values in this format, or in levels; the rounding error stays in the residual.
    pub fn with_values(self, values: impl Into<Coding>) -> Self {
        Self { values: values.into(), ..self }
    }
}

impl fmt::Display for RandomK {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "randk:{}{}", self.amount, self.values.suffix())
    }
}

impl From<RandomK> for Feedback {
    fn from(c: RandomK) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for RandomK {
    fn class(&self, unit: &Unit) -> Class {
        let k = self.amount.of(unit.len());
        Class::Contractive(k as f64 / unit.len().max(1) as f64 * self.values.share(k))
    }

    fn is_linear(&self) -> bool {
        self.values.is_exact()
    }

    fn compress(&self, x: &[f32], _: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let draw = key.shared().draw();
        remember(draw, x.len(), self.amount.of(x.len()), &mut memo.scratch);
        self.keep(Source::Still(x), draw, &memo.scratch[HEAD..], key)
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let (draw, len) = (key.shared().draw(), p.len());
        let before = std::mem::take(&mut memo.scratch);
        // Two steps take turns in the memo, so that neither allocates.
        let mut now: Vec<u32> = bytemuck::allocation::cast_vec(std::mem::take(&mut memo.work));
        let known = |last: &Payload| match last {
            Payload::Drawn { len, draw, values } => recall(*draw, *len, values.len(), &before),
            _ => None,
        };
        remember(draw, len, self.amount.of(len), &mut now);
        let payload = self.keep(Source::moving_known(p, update, known), draw, &now[HEAD..], key);
        memo.work = bytemuck::allocation::cast_vec(before);
        memo.scratch = now;
        payload
    }
}

impl RandomK {
    /// The values at these places, taken while each block is in the cache.
    fn keep(&self, source: Source<'_>, draw: u64, places: &[u32], key: &Key) -> Payload {
        let len = source.len();
        let mut values = vec![0.0; places.len()];
        let (mut places, mut free) = (places, values.as_mut_slice());
        let mut parts = Vec::with_capacity(len.div_ceil(task(BLOCK)));
        for end in (0..len).step_by(task(BLOCK)).map(|start| start + task(BLOCK)) {
            let count = places.partition_point(|place| (*place as usize) < end);
            let (own, rest) = places.split_at(count);
            let (filled, left) = free.split_at_mut(count);
            parts.push((own, filled.iter_mut()));
            (places, free) = (rest, left);
        }
        source.sweep(BLOCK, &mut parts, |(places, values), start, x| {
            let count = places.iter().take_while(|place| (**place as usize) < start + x.len()).count();
            let (own, rest) = places.split_at(count);
            own.iter().zip(values).for_each(|(place, value)| *value = x[*place as usize - start]);
            *places = rest;
        });
        Payload::Drawn { len, draw, values: self.values.encode(values, key) }
    }
}

/// Words before the remembered places: the draw's name, the length and the count.
const HEAD: usize = 4;

/// Leaves a draw and its places in `memo`.
fn remember(draw: u64, len: usize, k: usize, memo: &mut Vec<u32>) {
    memo.clear();
    memo.extend([draw as u32, (draw >> 32) as u32, len as u32, k as u32]);
    random::extend_subset(draw, len, k, memo);
}

/// The places of a draw, if it is the one in `memo`.
fn recall(draw: u64, len: usize, k: usize, memo: &[u32]) -> Option<&[u32]> {
    let (head, places) = memo.split_at_checked(HEAD)?;
    (head == [draw as u32, (draw >> 32) as u32, len as u32, k as u32] && places.len() == k).then_some(places)
}
