use std::sync::Arc;

use super::Sparsity;
use super::sparsity::by_sparsity;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Drawn, Payload};
use crate::source::Source;
use crate::text::Form;

/// C(x) keeps k coordinates drawn without replacement, the same for all workers, so that messages
/// add and no index is sent. E‖C(x) − x‖² = (1 − k/d)‖x‖² (Stich et al. 2018).
///
/// <https://arxiv.org/abs/1809.07599>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomK(Sparsity);

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "randk",
    usage: "randk:RATIO|k=COUNT[,values=f32|f16|bf16|qsgd:S|2bit|4bit|sign]",
    about: "k coordinates drawn at random, the same for all workers",
    equation: "C(x)_j = x_j for j in a random set of k, 0 elsewhere; k = ⌈ratio·d⌉",
    source: "Sparsified SGD with Memory, Stich, Cordonnier, Jaggi 2018",
    link: "https://arxiv.org/abs/1809.07599",
    defaults: Sparsity::DEFAULTS,
    examples: &["randk:0.1", "randk:k=3", "randk:0.1,values=bf16", "randk:0.1,values=qsgd:15"],
    parse: |args| Ok(Arc::new(RandomK(Sparsity::parse(args)?))),
};

by_sparsity!(RandomK, FORM.name);

impl Compressor for RandomK {
    fn class(&self, unit: &Unit) -> Class {
        self.0.class(unit.len())
    }

    fn is_linear(&self) -> bool {
        self.0.values().is_exact()
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let (len, k) = (source.len(), self.0.of(source.len()));
        let draw = key.shared().draw();
        let values = source.drawn(draw, k, memo);
        Drawn { len, draw, values: self.0.values().encode(values, key) }.into()
    }
}
