//! Data sets: where they are found, how they are read, how they are dealt to workers.
//!
//! [`catalog`] knows the sets by name and [`load`] reads one, wherever [`Options`] lets it look;
//! [`Images`] makes batches; [`Partition`] deals a set to workers and a [`Sampler`] draws one
//! worker's batches, with a position small enough to be checkpointed.
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
pub mod cifar;
mod digest;
mod draws;
mod error;
pub mod fashion;
pub mod fetch;
pub mod idx;
mod images;
pub mod libsvm;
pub mod libsvm_sets;
mod normalisation;
mod options;
pub mod partition;
pub mod png_cifar;
pub mod sampler;
mod sets;

pub use batch::{ImageBatch, ImageBatcher};
pub use catalog::{Entry, Split, load};
pub use digest::Digest;
pub(crate) use draws::Purpose;
pub use error::DataError;
pub use images::{ImageItem, Images, ImagesError};
pub use libsvm::Libsvm;
pub use normalisation::Normalisation;
pub use options::{Options, default_cache};
pub use partition::{Partition, PartitionError};
pub use sampler::{Cursor, Draw, Sampler, SamplerError};
