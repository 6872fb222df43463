//! Data sets: where they are found, how they are read, how they are dealt to workers.
//!
//! A [`DataSet`] is named by its textual form, one of the [catalogue](catalog::CATALOG) or a user's own files, and read
//! from wherever [`Options`] lets it look; [`Examples`] make batches; [`Partition`] deals a set to workers and a
//! [`Sampler`] draws one worker's batches, with a position small enough to be checkpointed.
//!
//! ```
//! use backburn_train::data::{self, Partition, Sampler};
//!
//! let split = data::load("fashion-embedded", &data::Options::default())?;
//! let shards = Partition::ByClass.split(split.train.labels(), 10, 7)?;
//! let mut sampler = Sampler::new(shards[3].clone(), 32, 7, 3)?;
//! let draw = sampler.next_draw();
//! let batch = split.train.batch(&draw.indices, None, &burn::tensor::Device::default());
//! assert_eq!(batch.images.dims(), [32, 1, 28, 28]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod augment;
mod batch;
pub mod catalog;
mod dataset;
mod deal;
mod digest;
mod error;
mod examples;
mod fetch;
pub mod formats;
mod images;
mod normalisation;
mod options;
mod rows;
mod split;
mod text;

pub use batch::{ImageBatch, ImageBatcher, ImageItem};
pub use dataset::{DataSet, OWN};
pub(crate) use deal::Purpose;
pub use deal::partition::{Partition, PartitionError};
pub use deal::sampler::{Cursor, Draw, Sampler, SamplerError};
pub use digest::Digest;
pub use error::DataError;
pub use examples::Examples;
pub use formats::libsvm::Libsvm;
pub use images::{Images, ImagesError};
pub use normalisation::Normalisation;
pub use options::{Options, default_cache};
pub use rows::{LabelledRows, RowsError};
pub use split::Split;
pub use text::{ShortText, Text, VOCABULARY};

/// The images of the set of this name, fetched first where they must be and may be.
///
/// # Errors
/// Where the set is unknown, not of images, nowhere to be had, or damaged.
pub fn load(name: &str, options: &Options) -> Result<Split, DataError> {
    let split = name.parse::<DataSet>()?.load(options)?;
    split.into_images().ok_or_else(|| DataError::NotImages(name.into()))
}
