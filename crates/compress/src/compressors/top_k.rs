use std::sync::Arc;

use super::Sparsity;
use super::sparsity::by_sparsity;
use super::tiled_top_k::TiledTopK;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Sparse};
use crate::source::Source;
use crate::text::Form;

/// C(x) keeps the k coordinates of largest magnitude; among equal ones the lowest index wins.
/// α ≥ k/d (Stich et al. 2018).
///
/// <https://arxiv.org/abs/1809.07599>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopK(Sparsity);

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "topk",
    usage: "topk:RATIO|k=COUNT|k/COORDINATES,tiles[,values=f32|f16|bf16|qsgd:S|2bit|4bit|sign]",
    about: "the k coordinates of largest magnitude, of the whole or of every tile",
    equation: "C(x)_j = x_j for the k largest |x_j|, 0 elsewhere; k = ⌈ratio·d⌉",
    source: "Sparsified SGD with Memory, Stich, Cordonnier, Jaggi 2018",
    link: "https://arxiv.org/abs/1809.07599",
    defaults: Sparsity::DEFAULTS,
    examples: &[
        "topk:0.1",
        "topk:k=3",
        "topk:0.1,values=bf16",
        "topk:k=3,values=f16",
        "topk:0.1,values=qsgd:15",
        "topk:0.2,values=4bit",
        "topk:64/4096,tiles",
        "topk:4/16,values=2bit,tiles",
    ],
    parse: |args| {
        if args.flag("tiles") {
            return Ok(Arc::new(TiledTopK::parse(args)?));
        }
        Ok(Arc::new(TopK(Sparsity::parse(args)?)))
    },
};

by_sparsity!(TopK, FORM.name);

impl Compressor for TopK {
    fn class(&self, unit: &Unit) -> Class {
        self.0.class(unit.len())
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let (len, k) = (source.len(), self.0.of(source.len()));
        let kept = source.largest(k, memo);
        Sparse { len, indices: kept.indices, values: self.0.values().encode(kept.values, key) }.into()
    }
}
