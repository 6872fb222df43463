//! What is trained on, whatever it is: images or rows.

use std::hash::{DefaultHasher, Hash, Hasher};

use burn::tensor::Device;

use super::batch::ImageBatch;
use super::images::Images;
use super::rows::LabelledRows;
use super::split::Split;

/// Labelled examples in memory. Cloning shares them.
#[derive(Clone, Debug, PartialEq)]
pub enum Examples {
    /// Images as bytes.
    Images(Images),
    /// Sparse rows of numbers.
    Rows(LabelledRows),
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

impl Split<Examples> {
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

    /// The class of each.
    pub fn labels(&self) -> &[u8] {
        match self {
            Self::Images(images) => images.labels(),
            Self::Rows(rows) => rows.labels(),
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            Self::Images(images) => images.classes(),
            Self::Rows(rows) => rows.classes(),
        }
    }

    /// Channels, height and width of an example; a row is an image of one line.
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Images(images) => images.shape(),
            Self::Rows(rows) => [1, 1, rows.rows().features()],
        }
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Images(images) => images.pixels().len() + images.len(),
            Self::Rows(rows) => 8 * rows.rows().entries() + 13 * rows.len(),
        }
    }

    /// A number that other examples do not have, by all likelihood; the same in all processes of one program.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.shape(), self.classes(), self.labels()).hash(&mut hasher);
        match self {
            Self::Images(images) => images.pixels().hash(&mut hasher),
            Self::Rows(rows) => {
                for (columns, values) in (0..rows.len()).map(|i| rows.rows().row(i)) {
                    columns.hash(&mut hasher);
                    values.iter().for_each(|x| x.to_bits().hash(&mut hasher));
                }
            }
        }
        hasher.finish()
    }

    /// Whether crops and flips make sense.
    pub fn are_images(&self) -> bool {
        matches!(self, Self::Images(_))
    }

    /// A copy of those with these indices, in that order.
    ///
    /// # Panics
    /// Unless all are below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Self {
        match self {
            Self::Images(images) => Self::Images(images.subset(indices)),
            Self::Rows(rows) => Self::Rows(rows.subset(indices)),
        }
    }

    /// The first of every class, `count` in all, in the set's order.
    pub fn first_of_each(&self, count: usize) -> Self {
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

    /// The batch of those with these indices on `device`, see [`Images::batch`]; rows are not augmented.
    ///
    /// # Panics
    /// Unless all indices are below [`len`](Self::len).
    pub fn batch(&self, indices: &[usize], augment: Option<u64>, device: &Device) -> ImageBatch {
        match self {
            Self::Images(images) => images.batch(indices, augment, device),
            Self::Rows(rows) => rows.batch(indices, device),
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
