use std::fmt;
use std::sync::Arc;

use super::ScaledSign;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::Payload;
use crate::source::Source;
use crate::text::Form;

/// C(x) = ±1 with sign(0) = +1 (signSGD, Bernstein et al. 2018). No contraction: it is here for
/// signSGD and its counter-examples, and does not convert to [`Feedback`](crate::Feedback).
///
/// <https://arxiv.org/abs/1802.04434>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sign;

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "sign",
    usage: "sign[:scaled]",
    about: "one bit a coordinate: ±1, or scaled ±‖x‖₁/d",
    equation: "C(x)_j = sign(x_j); scaled: C(x) = (‖x‖₁/d)·sign(x); sign(0) = +1",
    source: "signSGD, Bernstein, Wang, Azizzadenesheli, Anandkumar 2018; scaled: Error Feedback Fixes SignSGD, Karimireddy, Rebjock, Stich, Jaggi 2019",
    link: "https://arxiv.org/abs/1901.09847",
    defaults: &[],
    examples: &["sign", "sign:scaled"],
    parse: |args| Ok(if args.flag("scaled") { Arc::new(ScaledSign) } else { Arc::new(Sign) }),
};

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sign")
    }
}

impl Compressor for Sign {
    fn class(&self, _: &Unit) -> Class {
        Class::None
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, _: &Key, _: &mut Memo) -> Payload {
        source.signs(-1.0, 1.0).into()
    }
}
