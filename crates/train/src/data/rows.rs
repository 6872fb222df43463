//! Labelled rows of numbers: LIBSVM text as examples to classify.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::batch::ImageBatch;
use super::formats::libsvm::{Libsvm, LibsvmError};
use super::split::Split;

/// Most classes: labels are kept as bytes.
const MAX_CLASSES: usize = 256;

/// Why rows are no examples to classify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// No row at all.
    #[error("there are no rows")]
    Empty,
    /// Rows without a single feature.
    #[error("no row has a feature")]
    Featureless,
    /// More distinct labels than a byte can name: a regression, perhaps.
    #[error("{0} distinct labels are too many classes; {MAX_CLASSES} are the most")]
    Classes(usize),
    /// A test row of a class that is not trained on.
    #[error("test row {row} has label {label}, which no training row has")]
    Label {
        /// The row, from 0.
        row: usize,
        /// Its label.
        label: f32,
    },
    /// The widths of the parts cannot be matched.
    #[error(transparent)]
    Libsvm(#[from] LibsvmError),
}

/// Sparse rows and their classes. Cloning shares them.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledRows {
    rows: Arc<Libsvm>,
    labels: Arc<Vec<u8>>,
    classes: usize,
}

impl LabelledRows {
    /// Training and test rows in the same columns. The distinct labels, ascending, are the classes; without test rows
    /// a share of the training rows is [held out](Split::held_out).
    ///
    /// # Errors
    /// Where they are no examples to classify.
    pub fn split(train: Libsvm, test: Option<Libsvm>) -> Result<Split<Self>, RowsError> {
        let mut values = train.labels().to_vec();
        values.sort_by(f32::total_cmp);
        // −0 and 0 are one label.
        values.dedup_by(|a, b| a == b);
        let features = test.iter().map(Libsvm::features).fold(train.features(), usize::max);
        if train.is_empty() {
            return Err(RowsError::Empty);
        }
        if features == 0 {
            return Err(RowsError::Featureless);
        }
        if values.len() > MAX_CLASSES {
            return Err(RowsError::Classes(values.len()));
        }
        let labelled = |rows: Libsvm| -> Result<Self, RowsError> {
            let class = |(row, label): (usize, &f32)| {
                let found = values.iter().position(|known| known == label);
                found.map(|class| class as u8).ok_or(RowsError::Label { row, label: *label })
            };
            let labels: Vec<u8> = rows.labels().iter().enumerate().map(class).collect::<Result<_, _>>()?;
            let rows = rows.with_features(features)?;
            Ok(Self { rows: rows.into(), labels: labels.into(), classes: values.len() })
        };
        let train = labelled(train)?;
        match test {
            Some(test) => Ok(Split { train, test: labelled(test)? }),
            None => Ok(Split::held_out(train.len(), |indices| train.subset(indices))),
        }
    }

    /// The rows.
    pub fn rows(&self) -> &Arc<Libsvm> {
        &self.rows
    }

    /// Their classes.
    pub fn labels(&self) -> &Arc<Vec<u8>> {
        &self.labels
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// A copy of the rows with these indices, in that order.
    ///
    /// # Panics
    /// Unless all are below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Self {
        let labels: Vec<u8> = indices.iter().map(|i| self.labels[*i]).collect();
        Self { rows: self.rows.subset(indices).into(), labels: labels.into(), classes: self.classes }
    }

    /// The batch of these rows on `device`, each as an image of one line.
    ///
    /// # Panics
    /// Unless all indices are below [`len`](Self::len).
    pub fn batch(&self, indices: &[usize], device: &Device) -> ImageBatch {
        let width = self.rows.features();
        let mut values = vec![0.0; indices.len() * width];
        for (i, out) in indices.iter().zip(values.chunks_exact_mut(width)) {
            self.rows.add_scaled(*i, 1.0, out);
        }
        let targets: Vec<i32> = indices.iter().map(|i| i32::from(self.labels[*i])).collect();
        ImageBatch {
            images: Tensor::from_data(TensorData::new(values, [indices.len(), 1, 1, width]), device),
            targets: Tensor::from_data(TensorData::new(targets, [indices.len()]), device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Libsvm {
        Libsvm::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn labels_become_classes_and_rows_have_one_width() {
        let split = LabelledRows::split(rows("+1 1:2\n-1 2:3\n"), Some(rows("-1 4:1\n"))).unwrap();
        assert_eq!((split.train.labels()[..].to_vec(), split.test.labels()[..].to_vec()), (vec![1, 0], vec![0]));
        let batch = split.train.batch(&[1, 0], &Device::default());
        assert_eq!(batch.images.dims(), [2, 1, 1, 4]);
        assert_eq!(batch.images.into_data().try_to_vec::<f32>().unwrap(), [0.0, 3.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn what_is_no_classification_is_refused() {
        let refused = |train: &str, test: Option<&str>| LabelledRows::split(rows(train), test.map(rows)).unwrap_err();
        assert!(matches!(refused("", None), RowsError::Empty));
        assert!(matches!(refused("1\n", None), RowsError::Featureless));
        assert!(matches!(refused("1 1:1\n", Some("2 1:1\n")), RowsError::Label { row: 0, .. }));
        let many: String = (0..300).map(|i| format!("{i} 1:1\n")).collect();
        assert!(matches!(refused(&many, None), RowsError::Classes(300)));
    }
}
