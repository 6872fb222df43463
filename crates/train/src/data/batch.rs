//! A batch of images on a device.

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::augment::Crop;
use super::normalisation::Normalisation;

/// One image: bytes in planes (channel, row, column), and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageItem {
    /// channels × height × width bytes.
    pub pixels: Vec<u8>,
    /// The class.
    pub label: u8,
}

/// Images and their classes on a device. A row, or a window of text, is an image of one line.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// `[batch, channels, height, width]`, normalised; of text the bytes as they are.
    pub images: Tensor<4>,
    /// `[batch]`, the classes; of text `[batch · width]`, the byte after each.
    pub targets: Tensor<1, Int>,
}

/// Makes batches of [`ImageItem`]s for Burn's data loaders.
#[derive(Clone, Debug)]
pub struct ImageBatcher {
    shape: [usize; 3],
    tables: Vec<[f32; 256]>,
    augment: Option<u64>,
}

impl ImageBatcher {
    pub(crate) fn new(shape: [usize; 3], normalisation: &Normalisation) -> Self {
        Self { shape, tables: normalisation.tables(), augment: None }
    }

    /// With random crops and flips. Their key is made of the seed and the batch's own pixels: loaders put
    /// other batches together in every pass, and a training that goes on needs no count of them.
    pub fn augmented(self, seed: u64) -> Self {
        Self { augment: Some(seed), ..self }
    }

    fn key(&self, items: &[ImageItem]) -> Option<u64> {
        // FNV-1a, a byte at a time.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.augment.map(|seed| {
            items.iter().flat_map(|item| &item.pixels).fold(seed ^ 0xcbf2_9ce4_8422_2325, |h, b| mix(h, *b))
        })
    }
}

impl Batcher<ImageItem, ImageBatch> for ImageBatcher {
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> ImageBatch {
        let key = self.key(&items);
        let crop = |position| key.map_or(Crop::NONE, |key| Crop::of_batch(key, position));
        let items = items.iter().map(|item| (&item.pixels[..], item.label));
        collect(items, self.shape, &self.tables, crop, device)
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
