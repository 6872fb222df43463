use std::fmt;
use std::sync::Arc;

use super::Amount;
use crate::class::Class;
use crate::compressor::Compressor;
use crate::error::ParameterError;
use crate::feedback::Feedback;
use crate::key::Key;
use crate::layout::Unit;
use crate::memo::Memo;
use crate::payload::{Payload, Sketch, Sparse, Values};
use crate::source::Source;
use crate::text::Form;

/// Top-k by count-sketch (Ivkin et al. 2019): the k coordinates of largest estimated magnitude, with their exact
/// values.
///
/// Jointly, workers add their sketches and then their values at the common places: see
/// [`Sketch`], whose sizes this type carries. Alone, as a compressor, it needs no second round: the
/// worker looks at its own sketch and sends places and values. Keeping exact values it never adds to the error,
/// but a sketch can mislead it: at its worst α is 0, and nothing is promised of the residual.
///
/// <https://arxiv.org/abs/1903.04488>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountSketch {
    rows: usize,
    cells: Amount,
    k: Option<usize>,
}

pub(super) static FORM: Form<Arc<dyn Compressor>> = Form {
    name: "sketch",
    usage: "sketch:RATIO|cols=COUNT[,rows=5][,k=COUNT]",
    about: "the k coordinates (default: a tenth of the cells) that a count-sketch finds heaviest",
    equation: "C(x)_j = x_j for the k largest |median_r S(x)_r,j|, 0 elsewhere",
    source: "Communication-Efficient Distributed SGD with Sketching, Ivkin, Rothchild, Ullah, Braverman, Stoica, Arora 2019",
    link: "https://arxiv.org/abs/1903.04488",
    defaults: &[("rows=5", "independent rows of cells"), ("k=cells/10", "coordinates that are kept")],
    examples: &["sketch:0.2", "sketch:cols=20,rows=3,k=4"],
    parse: |args| {
        let rows = args.named("rows")?.unwrap_or(5);
        let k = args.named("k")?;
        let c = match args.named("cols")? {
            Some(columns) => CountSketch::columns(columns)?,
            None => CountSketch::ratio(args.required("ratio")?)?,
        };
        let c = c.with_rows(rows)?;
        Ok(Arc::new(k.map_or(Ok(c), |k| c.with_k(k))?))
    },
};

impl CountSketch {
    /// Five rows, with ⌈ratio·d⌉ cells in all.
    ///
    /// # Errors
    /// Where `ratio` is not in (0, 1].
    pub fn ratio(ratio: f64) -> Result<Self, ParameterError> {
        Ok(Self { rows: 5, cells: Amount::ratio(ratio)?, k: None })
    }

    /// Five rows of this many columns.
    ///
    /// # Errors
    /// Where there are none.
    pub fn columns(columns: usize) -> Result<Self, ParameterError> {
        Ok(Self { rows: 5, cells: Amount::count(columns)?, k: None })
    }

    /// With this many rows, 1 … 64.
    ///
    /// # Errors
    /// Where `rows` is not in 1 … 64.
    pub fn with_rows(self, rows: usize) -> Result<Self, ParameterError> {
        if (1..=64).contains(&rows) {
            Ok(Self { rows, ..self })
        } else {
            Err(ParameterError::Range { name: "rows", value: rows as f64, allowed: "1 … 64" })
        }
    }

    /// Keeping `k` ≥ 1 coordinates of every unit.
    ///
    /// # Errors
    /// Where `k` is 0.
    pub fn with_k(self, k: usize) -> Result<Self, ParameterError> {
        if k == 0 { Err(ParameterError::Zero("k")) } else { Ok(Self { k: Some(k), ..self }) }
    }

    /// The rows and columns of a unit's sketch.
    pub fn shape(&self, len: usize) -> (usize, usize) {
        let columns = match self.cells {
            Amount::Ratio(_) => self.cells.of(len).div_ceil(self.rows),
            Amount::Count(columns) => columns,
        };
        (self.rows, columns.max(1))
    }

    /// How many coordinates of a unit are kept.
    pub fn k(&self, len: usize) -> usize {
        let (rows, columns) = self.shape(len);
        self.k.unwrap_or((rows * columns).div_ceil(10)).min(len)
    }

    /// A unit's sketch: round one of the joint method, hashed alike by all workers.
    pub fn sketch(&self, source: &mut Source<'_>, key: &Key) -> Sketch {
        let (rows, columns) = self.shape(source.len());
        source.sketch(rows, columns, key.shared().draw())
    }
}

impl fmt::Display for CountSketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cells {
            Amount::Ratio(ratio) => write!(f, "sketch:{ratio}")?,
            Amount::Count(columns) => write!(f, "sketch:cols={columns}")?,
        }
        write!(f, ",rows={}", self.rows)?;
        self.k.map_or(Ok(()), |k| write!(f, ",k={k}"))
    }
}

impl From<CountSketch> for Feedback {
    fn from(c: CountSketch) -> Self {
        Feedback::new(c)
    }
}

impl Compressor for CountSketch {
    fn class(&self, _: &Unit) -> Class {
        Class::NonExpansive
    }

    fn compress(&self, mut source: Source<'_>, _: &Unit, key: &Key, memo: &mut Memo) -> Payload {
        let len = source.len();
        let indices = self.sketch(&mut source, key).heaviest_by(self.k(len), &mut memo.scratch);
        let values = Values::F32(source.gather(&indices));
        Sparse { len, indices, values }.into()
    }
}
