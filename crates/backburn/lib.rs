//! Error-feedback compressed training for [Burn](https://burn.dev): send 1 % of the gradient bits,
//! keep the accuracy, change three lines.
//!
//! One worker, as a Burn optimizer like any other:
//!
//! ```
//! use backburn::{EfSgdConfig, ScaledSign};
//! # use burn::{nn::LinearConfig, optim::GradientsParams, tensor::Tensor};
//! # let device = backburn::device("auto")?.autodiff();
//! # let mut model = LinearConfig::new(4, 2).init(&device);
//! let mut optim = EfSgdConfig::new(ScaledSign).with_momentum(0.9).init()?;
//! # let grads = GradientsParams::from_grads(model.forward(Tensor::<2>::ones([1, 4], &device)).sum().backward(), &model);
//! model = optim.step(0.1, model, grads);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Several workers: [`Group`] in this process, [`Rank`] in one of many. Compressors and methods are
//! listed by [`AnyCompressor::table`] and [`AnyAlgorithm::table`]. With the feature `train` come
//! data, models and loops in [`train`].

pub use backburn_compress as compress;
pub use backburn_compress::*;
pub use backburn_optim as optim;
pub use backburn_optim::*;
#[cfg(feature = "train")]
pub use backburn_train as train;
