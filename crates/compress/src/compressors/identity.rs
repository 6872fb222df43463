use std::fmt;
use std::sync::Arc;

use super::Entry;
use crate::payload::Values;
use crate::sweep::{BLOCK, Source, task};
use crate::{Class, Compressor, Feedback, Key, Memo, Payload, Unit, Update};

/// C(x) = x: every method with it equals its uncompressed parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity;

pub(super) const ENTRY: Entry = Entry {
    name: "identity",
    usage: "identity",
    about: "everything, uncompressed",
    examples: &["identity"],
    parse: |_| Ok(Arc::new(Identity)),
};

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("identity")
    }
}

impl From<Identity> for Feedback {
    fn from(c: Identity) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for Identity {
    fn class(&self, _: &Unit) -> Class {
        Class::Contractive(1.0)
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn compress(&self, x: &[f32], _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        Payload::Dense(Values::F32(x.to_vec()))
    }

    fn feedback(&self, p: &mut [f32], update: Update<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        let mut values = vec![0.0; p.len()];
        let mut outputs: Vec<_> = values.chunks_mut(task(BLOCK)).collect();
        Source::moving(p, update).sweep(BLOCK, &mut outputs, |values, start, x| {
            values[start % task(BLOCK)..][..x.len()].copy_from_slice(x);
        });
        Payload::Dense(Values::F32(values))
    }
}
