use std::fmt;
use std::sync::Arc;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::feedback::Feedback;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::Payload;
use crate::source::Source;
use crate::text::Form;

/// C(x) = x: every method with it equals its uncompressed parent. The trivial contraction, α = 1 (<https://arxiv.org/abs/1809.07599>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity;

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "identity",
    usage: "identity",
    about: "everything, uncompressed",
    equation: "C(x) = x",
    source: "Sparsified SGD with Memory, Stich, Cordonnier, Jaggi 2018 (k = d)",
    link: "https://arxiv.org/abs/1809.07599",
    defaults: &[],
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

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        Payload::floats(source.dense())
    }
}
