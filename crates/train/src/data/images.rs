//! A labelled set of images in memory.

use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;

use super::augment::Crop;
use super::batch::{self, ImageBatch, ImageBatcher, ImageItem};
use super::normalisation::Normalisation;

/// Why bytes are not a labelled image set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImagesError {
    /// A dimension, or the number of classes, is 0.
    #[error(
        "images of {channels} channels, {height} × {width} pixels and {classes} classes cannot be: all must be over 0"
    )]
    Empty {
        /// Channels of an image.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Number of classes.
        classes: usize,
    },
    /// Pixels and labels speak of different numbers of images.
    #[error("{labels} labels of images of {image} bytes need {} bytes of pixels, not {pixels}", labels.saturating_mul(*image))]
    Length {
        /// Bytes of all pixels.
        pixels: usize,
        /// Bytes of one image.
        image: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A label that names no class.
    #[error("label {label} of image {index} is not below the number of classes, {classes}")]
    Label {
        /// The image.
        index: usize,
        /// Its label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// More classes than a byte can name.
    #[error("{0} classes are too many: labels are bytes")]
    Classes(usize),
    /// The normalisation is for another number of channels.
    #[error("a normalisation of {found} channels does not fit images of {channels}")]
    Channels {
        /// Channels of an image.
        channels: usize,
        /// Channels of the normalisation.
        found: usize,
    },
}

/// Labelled images of one size, as bytes in planes. Cloning shares the pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    pixels: Arc<Vec<u8>>,
    labels: Arc<Vec<u8>>,
    shape: [usize; 3],
    classes: usize,
    normalisation: Normalisation,
}

impl Images {
    /// Takes n × channels × height × width bytes and n labels below `classes`.
    ///
    /// # Errors
    /// Where the parts contradict each other.
    pub fn new(
        pixels: Vec<u8>,
        labels: Vec<u8>,
        shape: [usize; 3],
        classes: usize,
        normalisation: Normalisation,
    ) -> Result<Self, ImagesError> {
        let [channels, height, width] = shape;
        let image = shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b)).unwrap_or(usize::MAX);
        if image == 0 || classes == 0 {
            return Err(ImagesError::Empty { channels, height, width, classes });
        }
        if classes > 256 {
            return Err(ImagesError::Classes(classes));
        }
        if image.checked_mul(labels.len()) != Some(pixels.len()) {
            return Err(ImagesError::Length { pixels: pixels.len(), image, labels: labels.len() });
        }
        if let Some(index) = labels.iter().position(|l| usize::from(*l) >= classes) {
            return Err(ImagesError::Label { index, label: labels[index], classes });
        }
        let images = Self { pixels: pixels.into(), labels: labels.into(), shape, classes, normalisation };
        let normalisation = images.normalisation.clone();
        images.with_normalisation(normalisation)
    }

    /// The same images with another normalisation.
    ///
    /// # Errors
    /// Where it is for another number of channels.
    pub fn with_normalisation(self, normalisation: Normalisation) -> Result<Self, ImagesError> {
        match normalisation.channels() == self.shape[0] {
            true => Ok(Self { normalisation, ..self }),
            false => Err(ImagesError::Channels { channels: self.shape[0], found: normalisation.channels() }),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Channels of an image.
    pub fn channels(&self) -> usize {
        self.shape[0]
    }

    /// Rows of an image.
    pub fn height(&self) -> usize {
        self.shape[1]
    }

    /// Columns of an image.
    pub fn width(&self) -> usize {
        self.shape[2]
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All pixels, image by image.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// How pixels become floats.
    pub fn normalisation(&self) -> &Normalisation {
        &self.normalisation
    }

    /// The pixels of one image.
    ///
    /// # Panics
    /// Unless `index` is below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.shape.iter().product::<usize>();
        &self.pixels[index * size..(index + 1) * size]
    }

    /// How many images each class has.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        self.labels.iter().for_each(|l| counts[usize::from(*l)] += 1);
        counts
    }

    /// A copy of the images with these indices, in that order.
    ///
    /// # Panics
    /// Unless all are below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Self {
        let pixels: Vec<u8> = indices.iter().flat_map(|i| self.image(*i)).copied().collect();
        let labels: Vec<u8> = indices.iter().map(|i| self.labels[*i]).collect();
        Self { pixels: pixels.into(), labels: labels.into(), ..self.clone() }
    }

    /// The batch of these images, normalised, on `device`.
    ///
    /// With a key each is cropped and perhaps mirrored, see [`augment`](super::augment): the same
    /// indices and key give the same batch.
    ///
    /// # Panics
    /// Unless all indices are below [`len`](Self::len).
    pub fn batch(&self, indices: &[usize], augment: Option<u64>, device: &Device) -> ImageBatch {
        let items = indices.iter().map(|i| (self.image(*i), self.labels[*i]));
        let crop = |position| augment.map_or(Crop::NONE, |key| Crop::of_batch(key, position));
        batch::collect(items, self.shape, &self.normalisation.tables(), crop, device)
    }

    /// A batcher of this set's items for Burn's data loaders. It does not augment unless
    /// [told to](ImageBatcher::augmented).
    pub fn batcher(&self) -> ImageBatcher {
        ImageBatcher::new(self.shape, &self.normalisation)
    }
}

impl Dataset<ImageItem> for Images {
    fn get(&self, index: usize) -> Result<ImageItem, DatasetError> {
        Ok(ImageItem { pixels: self.image(index).to_vec(), label: self.labels[index] })
    }

    fn len(&self) -> usize {
        self.labels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Images {
        let pixels = (0..24).collect();
        Images::new(pixels, vec![2, 0, 1], [2, 2, 2], 3, Normalisation::unit(2)).unwrap()
    }

    #[test]
    fn contradictions_are_refused() {
        let make = |pixels: usize, labels: &[u8], shape, classes, channels| {
            Images::new(vec![0; pixels], labels.to_vec(), shape, classes, Normalisation::unit(channels)).unwrap_err()
        };
        assert!(matches!(make(7, &[0, 1], [1, 2, 2], 2, 1), ImagesError::Length { image: 4, .. }));
        assert!(matches!(make(8, &[0, 2], [1, 2, 2], 2, 1), ImagesError::Label { index: 1, label: 2, .. }));
        assert!(matches!(make(0, &[], [1, 0, 2], 2, 1), ImagesError::Empty { .. }));
        assert!(matches!(make(8, &[0, 1], [1, 2, 2], 2, 3), ImagesError::Channels { .. }));
        assert!(matches!(make(8, &[0, 1], [1, 2, 2], 257, 1), ImagesError::Classes(257)));
        assert!(matches!(make(8, &[0], [2, usize::MAX, 2], 2, 2), ImagesError::Length { .. }));
    }

    #[test]
    fn subsets_keep_order() {
        let subset = tiny().subset(&[2, 0]);
        assert_eq!(subset.labels(), [1, 2]);
        assert_eq!(subset.image(0), (16..24).collect::<Vec<u8>>());
        assert_eq!(subset.counts(), [0, 1, 1]);
    }

    #[test]
    fn is_a_burn_dataset() {
        let images = tiny();
        let item = Dataset::get(&images, 1).unwrap();
        assert_eq!((item.label, item.pixels), (0, (8..16).collect()));
        assert_eq!(Dataset::len(&images), 3);
    }

    #[test]
    fn batches_repeat_with_their_key() {
        let device = Device::default();
        let images = tiny();
        let values = |batch: ImageBatch| batch.images.into_data().try_to_vec::<f32>().unwrap();
        let plain = images.batch(&[1], None, &device);
        assert_eq!(plain.images.dims(), [1, 2, 2, 2]);
        assert_eq!(plain.targets.clone().into_data().iter::<i64>().collect::<Vec<_>>(), [0]);
        assert_eq!(values(plain), (8..16).map(|p| p as f32 / 255.0).collect::<Vec<_>>());
        // Large enough that no crop is all border.
        let larger = Images::new((0..64).collect(), vec![0], [1, 8, 8], 1, Normalisation::unit(1)).unwrap();
        let keyed = |key| values(larger.batch(&[0, 0, 0], Some(key), &device));
        assert_eq!(keyed(4), keyed(4));
        assert_ne!(keyed(4), keyed(5));
    }
}
