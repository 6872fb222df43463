//! What is trained on, whatever it is: images, rows or text.

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::batch::ImageBatch;
use super::images::Images;
use super::rows::LabelledRows;
use super::split::Split;
use super::text::{self, ShortText, Text};

/// Images a pass where a model is measured.
const A_PASS: usize = 256;

/// Labelled examples in memory. Cloning shares them.
#[derive(Clone, Debug, PartialEq)]
pub enum Examples {
    /// Images as bytes.
    Images(Images),
    /// Sparse rows of numbers.
    Rows(LabelledRows),
    /// Windows of bytes.
    Text(Text),
}

impl From<Split<Images>> for Split<Examples> {
    fn from(split: Split<Images>) -> Self {
        split.map(Examples::Images)
    }
}

impl From<Split<LabelledRows>> for Split<Examples> {
    fn from(split: Split<LabelledRows>) -> Self {
        split.map(Examples::Rows)
    }
}

impl From<Split<Text>> for Split<Examples> {
    fn from(split: Split<Text>) -> Self {
        split.map(Examples::Text)
    }
}

impl Split<Examples> {
    /// Of text in windows of so many tokens; of anything else as it is.
    ///
    /// # Errors
    /// Where a part of a text has no window of that length.
    pub fn with_context(self, context: usize) -> Result<Self, ShortText> {
        match (self.train, self.test) {
            (Examples::Text(train), Examples::Text(test)) => Ok(Split { train, test }.with_context(context)?.into()),
            (train, test) => Ok(Self { train, test }),
        }
    }

    /// The images, where they are images.
    pub fn into_images(self) -> Option<Split<Images>> {
        match (self.train, self.test) {
            (Examples::Images(train), Examples::Images(test)) => Some(Split { train, test }),
            _ => None,
        }
    }
}

impl Examples {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels().is_empty()
    }

    /// The class of each; a text has one.
    pub fn labels(&self) -> &[u8] {
        match self {
            Self::Images(images) => images.labels(),
            Self::Rows(rows) => rows.labels(),
            Self::Text(text) => text.labels(),
        }
    }

    /// Number of classes that a model tells apart; of text the tokens.
    pub fn classes(&self) -> usize {
        match self {
            Self::Text(_) => text::VOCABULARY,
            Self::Images(images) => images.classes(),
            Self::Rows(rows) => rows.classes(),
        }
    }

    /// Channels, height and width of an example; a row is an image of one line, and so is a window of text.
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Images(images) => images.shape(),
            Self::Rows(rows) => [1, 1, rows.rows().features()],
            Self::Text(text) => [1, 1, text.context()],
        }
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Images(images) => images.pixels().len() + images.len(),
            Self::Rows(rows) => 8 * rows.rows().entries() + 13 * rows.len(),
            Self::Text(text) => text.bytes().len() + 9 * text.starts().len(),
        }
    }

    /// What tells them from all others: SHA-256 over shape, classes and every value, in hexadecimal.
    pub fn digest(&self) -> String {
        let mut sha = Sha256::new();
        let shape = self.shape().into_iter().chain([self.classes(), self.len()]);
        shape.for_each(|number| sha.update((number as u64).to_le_bytes()));
        sha.update(self.labels());
        match self {
            Self::Images(images) => sha.update(images.pixels()),
            Self::Text(text) => {
                sha.update(text.bytes());
                text.starts().iter().for_each(|start| sha.update((*start as u64).to_le_bytes()));
            }
            Self::Rows(rows) => (0..rows.len()).for_each(|i| {
                let (indices, values) = rows.rows().row(i);
                indices.iter().for_each(|index| sha.update(index.to_le_bytes()));
                values.iter().for_each(|value| sha.update(value.to_le_bytes()));
            }),
        }
        sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether crops and flips make sense.
    pub fn are_images(&self) -> bool {
        matches!(self, Self::Images(_))
    }

    /// Whether they are windows of text, which are dealt evenly, for want of classes.
    pub fn are_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Examples a pass where a model is measured on them.
    pub fn a_pass(&self) -> usize {
        match self {
            Self::Text(text) => text.a_pass(),
            _ => A_PASS,
        }
    }

    /// A copy of those with these indices, in that order.
    ///
    /// # Panics
    /// Unless all are below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Self {
        match self {
            Self::Images(images) => Self::Images(images.subset(indices)),
            Self::Rows(rows) => Self::Rows(rows.subset(indices)),
            Self::Text(text) => Self::Text(text.subset(indices)),
        }
    }

    /// The first of every class, `count` in all, in the set's order; of text the first windows.
    pub fn first_of_each(&self, count: usize) -> Self {
        if let Self::Text(text) = self {
            let first: Vec<usize> = (0..count.min(self.len())).collect();
            return Self::Text(text.subset(&first));
        }
        let quota = count.div_ceil(self.classes().max(1));
        let mut taken = vec![0; self.classes()];
        let mut chosen: Vec<usize> = Vec::with_capacity(count.min(self.len()));
        for (i, label) in self.labels().iter().enumerate() {
            let taken = &mut taken[usize::from(*label)];
            if *taken < quota && chosen.len() < count {
                *taken += 1;
                chosen.push(i);
            }
        }
        self.subset(&chosen)
    }

    /// The batch of those with these indices on `device`, see [`Images::batch`]; rows and text are not augmented.
    ///
    /// # Panics
    /// Unless all indices are below [`len`](Self::len).
    pub fn batch(&self, indices: &[usize], augment: Option<u64>, device: &Device) -> ImageBatch {
        match self {
            Self::Images(images) => images.batch(indices, augment, device),
            Self::Rows(rows) => rows.batch(indices, device),
            Self::Text(text) => text.batch(indices, device),
        }
    }
}

impl From<Images> for Examples {
    fn from(images: Images) -> Self {
        Self::Images(images)
    }
}

impl From<LabelledRows> for Examples {
    fn from(rows: LabelledRows) -> Self {
        Self::Rows(rows)
    }
}
