use std::fmt;
use std::sync::Arc;

use super::{Amount, Entry};
use crate::payload::Values;
use crate::sketch::{heaviest, sketch};
use crate::{Class, Compressor, Feedback, Key, Memo, ParameterError, Payload, Unit};

/// Top-k by count-sketch (Ivkin et al. 2019): the k coordinates of largest estimated magnitude, with their exact
/// values.
///
/// Jointly, workers add their sketches and then their values at the common places: see
/// [`sketch`](crate::sketch), whose sizes this type carries. Alone, as a compressor, it needs no second round: the
/// worker looks at its own sketch and sends places and values. Keeping exact values it never adds to the error,
/// but a sketch can mislead it: at its worst α is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountSketch {
    rows: usize,
    cells: Amount,
    k: Option<usize>,
}

pub(super) const ENTRY: Entry = Entry {
    name: "sketch",
    usage: "sketch:RATIO|cols=COUNT[,rows=5][,k=COUNT]",
    about: "the k coordinates (default: a tenth of the cells) that a count-sketch finds heaviest",
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
    pub fn ratio(ratio: f64) -> Result<Self, ParameterError> {
        Ok(Self { rows: 5, cells: Amount::ratio(ratio)?, k: None })
    }

    /// Five rows of this many columns.
    pub fn columns(columns: usize) -> Result<Self, ParameterError> {
        Ok(Self { rows: 5, cells: Amount::count(columns)?, k: None })
    }

    /// With this many rows, 1 … 64.
    pub fn with_rows(self, rows: usize) -> Result<Self, ParameterError> {
        if (1..=64).contains(&rows) {
            Ok(Self { rows, ..self })
        } else {
            Err(ParameterError::Range { name: "rows", value: rows as f64, allowed: "1 … 64" })
        }
    }

    /// Keeping `k` ≥ 1 coordinates of every unit.
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
    pub fn sketch(&self, x: &[f32], key: &Key) -> Payload {
        let (rows, columns) = self.shape(x.len());
        sketch(x, rows, columns, key.shared().draw())
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
        Class::Contractive(0.0)
    }

    fn compress(&self, x: &[f32], _: &Unit, key: &Key, _: &mut Memo) -> Payload {
        let indices = heaviest(&self.sketch(x, key), self.k(x.len()));
        let values = indices.iter().map(|i| x[*i as usize]).collect();
        Payload::Sparse { len: x.len(), indices, values: Values::F32(values) }
    }
}
