use std::fmt;
use std::sync::Arc;

use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::feedback::{Feedback, Fits};
use crate::kernels::tiles::Tiling;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Cosine, Payload, wire::MAX_SIDE};
use crate::source::Source;
use crate::text::{Form, TextError};

/// Any compressor on the cosine transform of tiles, as DeMo (Peng, Quesnelle, Kingma 2024) has it: coefficients are compressed,
/// and transformed back by who receives them. The transform is orthonormal, so the class is that of the compressor.
///
/// Tiles are those of [`TiledTopK`](super::TiledTopK), and coefficients stand where the coordinates of their tile do.
/// Messages of one tiling add as coefficients: their mean is transformed back once.
///
/// <https://arxiv.org/abs/2411.19870>
#[derive(Clone, Debug)]
pub struct Dct {
    side: usize,
    of: Feedback,
}

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "dct",
    usage: "dct[:side=64],of=COMPRESSOR",
    about: "a compressor on the cosine transform of tiles",
    equation: "C(x) = D⁻¹·C′(D·x), D the orthonormal DCT-II of every tile",
    source: "DeMo: Decoupled Momentum Optimization, Peng, Quesnelle, Kingma 2024",
    link: "https://arxiv.org/abs/2411.19870",
    defaults: &[("side=64", "the longest side of a tile")],
    examples: &["dct:64,of=topk:32/4096,tiles", "dct:4,of=topk:4/16,values=sign,tiles", "dct:8,of=randk:0.2"],
    parse: |args| {
        let of: String = args
            .named("of")?
            .ok_or_else(|| TextError::Missing { name: FORM.name.into(), argument: "`of`, a compressor".into() })?;
        let side = args.optional("side")?.unwrap_or(64);
        let of = of.parse::<Feedback>()?;
        Ok(Arc::new(Dct::new(side, of)?))
    },
};

impl Dct {
    /// Around a compressor, on tiles of sides up to `side`.
    ///
    /// # Errors
    /// Where `side` is not in 1 … 256, or the compressor sends sums or transforms itself.
    pub fn new(side: usize, of: impl Fits<Feedback>) -> Result<Self, ParameterError> {
        let of = of.fit();
        if !(1..=MAX_SIDE).contains(&side) {
            return Err(ParameterError::Range { name: "side", value: side as f64, allowed: "1 … 256" });
        }
        let parts = of.compressor().parts();
        if parts != 1 || of.to_string().starts_with("dct") {
            let allowed = "one part a message: no `fcc` and no other `dct` inside";
            return Err(ParameterError::Range { name: "parts", value: parts as f64, allowed });
        }
        Ok(Self { side, of })
    }
}

impl fmt::Display for Dct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dct:side={},of={}", self.side, self.of)
    }
}

impl From<Dct> for Feedback {
    fn from(c: Dct) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for Dct {
    fn class(&self, unit: &Unit) -> Class {
        self.of.compressor().class(unit)
    }

    fn compress(&self, mut source: Source<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let gain = source.gain();
        let mut x = source.dense();
        let shape = if unit.len() == x.len() { unit.shape.as_slice() } else { &[] };
        let tiling = Tiling::of(shape, x.len(), self.side);
        tiling.cosine(&mut x, false);
        let of = self.of.compressor().compress(Source::still(&x).in_units_of(gain), unit, key, memo);
        Cosine::new(tiling, of).into()
    }
}
