//! Models for the experiments: classifiers by name, a language model among them, and the autoencoder.
//!
//! ```
//! use backburn_train::models::{ModelKind, size};
//!
//! let kind: ModelKind = "resnet8".parse()?;
//! let device = burn::tensor::Device::default().autodiff();
//! let model = kind.build([3, 32, 32], 10, 7, &device)?;
//! assert_eq!(size(&model).parameters, 78_042);
//! # Ok::<(), backburn_train::models::ModelError>(())
//! ```

pub mod autoencoder;
pub mod batch_norm;
mod classifier;
pub mod convnet;
mod evaluate;
pub mod gpt;
mod init;
mod kind;
mod layers;
mod learner_net;
mod mlp;
pub mod resnet;
mod size;
pub mod softmax;
mod timing;
pub mod vgg;

pub use autoencoder::Autoencoder;
pub use classifier::Classifier;
pub use convnet::ConvNet;
pub use evaluate::{Evaluation, correct, evaluate};
pub use gpt::{Gpt, GptPlan};
pub use init::initialise;
pub use kind::{ModelError, ModelKind};
pub use layers::ConvNorm;
pub use learner_net::LearnerNet;
pub use mlp::Mlp;
pub use resnet::ResNet;
pub use size::{Size, size};
pub use softmax::Softmax;
pub use timing::batch_seconds;
pub use vgg::Vgg;
