//! What a compressor remembers between steps.

/// What one compressor remembers of one unit of one worker between steps.
///
/// A compressor is immutable; its memory (a warm-started factor, a calibrated threshold, the guess
/// for the next one) is owned by the worker, who saves it with everything else.
#[derive(Debug, Default)]
pub struct Memo {
    /// Remembered floats, saved in checkpoints (the warm Q of low rank, row-major).
    pub values: Vec<f32>,
    /// Remembered numbers, saved in checkpoints (a calibrated threshold and its sample count).
    pub scalars: Vec<f64>,
    /// Room to work in, neither saved nor cloned: results never depend on it.
    pub scratch: Vec<u32>,
    /// The same, for floats.
    pub work: Vec<f32>,
    /// The scratch of every round, where a compressor has several.
    pub rounds: Vec<Vec<u32>>,
}

impl Memo {
    /// Of what is saved in checkpoints; its rooms are empty.
    pub fn new(values: Vec<f32>, scalars: Vec<f64>) -> Self {
        Self { values, scalars, ..Self::default() }
    }
}

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::new(self.values.clone(), self.scalars.clone())
    }
}

impl PartialEq for Memo {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values && self.scalars == other.scalars
    }
}
