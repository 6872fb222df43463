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

/// C(x) = x/2, a toy: ‖C(x) − x‖² = ¼‖x‖², so α = ¾ exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Half;

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "half",
    usage: "half",
    about: "half of everything; a toy",
    equation: "C(x) = x/2",
    source: "a toy, 2026",
    link: "https://arxiv.org/abs/1809.07599",
    defaults: &[],
    examples: &["half"],
    parse: |_| Ok(Arc::new(Half)),
};

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half")
    }
}

impl From<Half> for Feedback {
    fn from(c: Half) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for Half {
    fn class(&self, _: &Unit) -> Class {
        Class::Contractive(0.75)
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        Payload::floats(source.dense().into_iter().map(|x| 0.5 * x).collect())
    }
}
