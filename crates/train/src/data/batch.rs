//! A batch of images on a device.

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::augment::Crop;
use super::images::ImageItem;
use super::normalisation::Normalisation;

/// Images and their classes on a device.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// `[batch, channels, height, width]`, normalised.
    pub images: Tensor<4>,
    /// `[batch]`, the classes.
    pub targets: Tensor<1, Int>,
}

/// Makes batches of [`ImageItem`]s for Burn's data loaders.
#[derive(Clone, Debug)]
pub struct ImageBatcher {
    shape: [usize; 3],
    tables: Vec<[f32; 256]>,
}

impl ImageBatcher {
    pub(crate) fn new(shape: [usize; 3], normalisation: &Normalisation) -> Self {
        Self { shape, tables: normalisation.tables() }
    }
}

impl Batcher<ImageItem, ImageBatch> for ImageBatcher {
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> ImageBatch {
        let items = items.iter().map(|item| (&item.pixels[..], item.label));
        collect(items, self.shape, &self.tables, |_| Crop::NONE, device)
    }
}

/// Normalises, crops and uploads; `crop` is asked for each position in the batch.
pub(crate) fn collect<'a>(
    items: impl ExactSizeIterator<Item = (&'a [u8], u8)>,
    [channels, height, width]: [usize; 3],
    tables: &[[f32; 256]],
    crop: impl Fn(usize) -> Crop,
    device: &Device,
) -> ImageBatch {
    let (n, plane) = (items.len(), height * width);
    let mut values = vec![0.0; n * channels * plane];
    let mut targets = Vec::with_capacity(n);
    for (position, ((pixels, label), out)) in items.zip(values.chunks_exact_mut(channels * plane)).enumerate() {
        let crop = crop(position);
        targets.push(i32::from(label));
        let planes = pixels.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
        for ((plane, out), table) in planes.zip(tables) {
            crop.write(plane, [height, width], table, out);
        }
    }
    ImageBatch {
        images: Tensor::from_data(TensorData::new(values, [n, channels, height, width]), device),
        targets: Tensor::from_data(TensorData::new(targets, [n]), device),
    }
}
