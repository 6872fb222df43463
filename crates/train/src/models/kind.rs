//! The classifiers by name.

use std::fmt;
use std::str::FromStr;

use backburn_compress::text::{Args, Form, TextError};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::classifier::Classifier;
use super::convnet::ConvNet;
use super::gpt::{Gpt, GptPlan};
use super::init::initialise;
use super::mlp::Mlp;
use super::resnet::{Plan, RESNET8, RESNET18, RESNET20, RESNET34, ResNet};
use super::size::{Size, size};
use super::softmax::Softmax;
use super::vgg::{MIN_SIDE, Vgg};
use crate::data::VOCABULARY;

/// A classifier's name: `convnet`, `softmax`, `mlp`, `resnet8`, `resnet20`, `resnet18`, `resnet34`, `vgg19-bn` or
/// `gpt[:layers=4,dim=128,heads=4,context=128][,tied]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ModelKind {
    /// [`ConvNet`].
    ConvNet,
    /// [`Softmax`].
    Softmax,
    /// [`Mlp`].
    Mlp,
    /// [`RESNET8`].
    ResNet8,
    /// [`RESNET20`].
    ResNet20,
    /// [`RESNET18`].
    ResNet18,
    /// [`RESNET34`].
    ResNet34,
    /// [`Vgg`].
    Vgg19Bn,
    /// [`Gpt`], which reads text.
    Gpt(GptPlan),
}

static GPT: &[&Form<GptPlan>] = &[&GptPlan::FORM];

/// Why there is no such model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No model has this name, or not these arguments.
    #[error(transparent)]
    Form(#[from] TextError),
    /// A model of text on something else.
    #[error("{kind} reads windows of {} bytes and tells {VOCABULARY} tokens apart; got {classes} classes of {shape:?} (channels, height, width)", .kind.context().unwrap_or(0))]
    NotText {
        /// The model.
        kind: ModelKind,
        /// The shape given.
        shape: [usize; 3],
        /// The classes given.
        classes: usize,
    },
    /// An image side, the channels or the classes are too few.
    #[error(
        "{kind} needs at least one channel, one class and images of {side} × {side}; got {classes} classes of {shape:?} (channels, height, width)"
    )]
    Shape {
        /// The model.
        kind: ModelKind,
        /// Its least side.
        side: usize,
        /// The shape given.
        shape: [usize; 3],
        /// The classes given.
        classes: usize,
    },
}

impl ModelKind {
    /// All that read images and rows.
    pub const ALL: [Self; 8] = [
        Self::ConvNet,
        Self::Softmax,
        Self::Mlp,
        Self::ResNet8,
        Self::ResNet20,
        Self::ResNet18,
        Self::ResNet34,
        Self::Vgg19Bn,
    ];

    /// The name, without arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConvNet => "convnet",
            Self::Softmax => "softmax",
            Self::Mlp => "mlp",
            Self::ResNet8 => "resnet8",
            Self::ResNet20 => "resnet20",
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::Vgg19Bn => "vgg19-bn",
            Self::Gpt(_) => GptPlan::FORM.name,
        }
    }

    /// What can be written: every name, with its arguments where it has some.
    pub fn usages() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::name).chain([GptPlan::FORM.usage]).collect()
    }

    /// Tokens of a window, where it reads text.
    pub fn context(self) -> Option<usize> {
        match self {
            Self::Gpt(plan) => Some(plan.context()),
            _ => None,
        }
    }

    /// Whether it has batch normalisation.
    pub fn has_batch_norm(self) -> bool {
        matches!(self, Self::ResNet8 | Self::ResNet20 | Self::ResNet18 | Self::ResNet34 | Self::Vgg19Bn)
    }

    fn least_side(self) -> usize {
        match self {
            Self::Vgg19Bn => MIN_SIDE,
            _ => 1,
        }
    }

    /// The model for images of this shape (channels, height, width), its first values drawn from
    /// `seed` alone (see [`initialise`]). To train it, give a device with autodiff. A window of text is an
    /// image of one line, and its classes are the [tokens](VOCABULARY).
    ///
    /// # Errors
    /// Where the images are too small for it, or it reads text and they are no windows of it.
    pub fn build(
        self,
        shape: [usize; 3],
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Classifier, ModelError> {
        Ok(initialise(self.outline(shape, classes, device)?, seed))
    }

    /// Its size for images of this shape, without its weights.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn size(self, shape: [usize; 3], classes: usize, device: &Device) -> Result<Size, ModelError> {
        self.outline(shape, classes, device).map(|model| size(&model))
    }

    /// Floats that a forward pass leaves of one image for the backward pass, about.
    pub fn activations(self, shape: [usize; 3], classes: usize) -> usize {
        match self {
            Self::ConvNet => ConvNet::activations(shape, classes),
            Self::Softmax => shape.iter().product::<usize>() + classes,
            Self::Mlp => Mlp::activations(shape, classes),
            Self::ResNet8 => RESNET8.activations(shape, classes),
            Self::ResNet20 => RESNET20.activations(shape, classes),
            Self::ResNet18 => RESNET18.activations(shape, classes),
            Self::ResNet34 => RESNET34.activations(shape, classes),
            Self::Vgg19Bn => Vgg::activations(shape, classes),
            Self::Gpt(plan) => plan.activations(),
        }
    }

    /// The model before its first values are drawn: Burn draws them when they are first used.
    fn outline(self, shape: [usize; 3], classes: usize, device: &Device) -> Result<Classifier, ModelError> {
        let [channels, height, width] = shape;
        let side = self.least_side();
        if channels == 0 || classes == 0 || height < side || width < side {
            return Err(ModelError::Shape { kind: self, side, shape, classes });
        }
        if self.context().is_some_and(|context| shape != [1, 1, context] || classes != VOCABULARY) {
            return Err(ModelError::NotText { kind: self, shape, classes });
        }
        let resnet = |plan: Plan| Classifier::ResNet(ResNet::new(plan, channels, classes, device));
        let model = match self {
            Self::ConvNet => Classifier::ConvNet(ConvNet::new(shape, classes, device)),
            Self::Softmax => Classifier::Softmax(Softmax::new(channels * height * width, classes, device)),
            Self::Mlp => Classifier::Mlp(Mlp::new(channels * height * width, classes, device)),
            Self::ResNet8 => resnet(RESNET8),
            Self::ResNet20 => resnet(RESNET20),
            Self::ResNet18 => resnet(RESNET18),
            Self::ResNet34 => resnet(RESNET34),
            Self::Vgg19Bn => Classifier::Vgg(Vgg::new(channels, classes, device)),
            Self::Gpt(plan) => Classifier::Gpt(Gpt::new(plan, device)),
        };
        Ok(model)
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(plan) => plan.fmt(f),
            other => f.write_str(other.name()),
        }
    }
}

impl FromStr for ModelKind {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        if Args::parse(name).name() == GptPlan::FORM.name {
            return Ok(Self::Gpt(Form::read(GPT, "model", name)?));
        }
        let unknown = || TextError::unknown("model", name, Self::usages()).into();
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
    }
}

impl TryFrom<String> for ModelKind {
    type Error = ModelError;

    fn try_from(name: String) -> Result<Self, ModelError> {
        name.parse()
    }
}

impl From<ModelKind> for String {
    fn from(kind: ModelKind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::GradientsParams;
    use burn::tensor::Tensor;

    use super::*;
    use crate::models::size;

    #[test]
    fn text_and_serde_agree() {
        for kind in ModelKind::ALL.into_iter().chain([ModelKind::Gpt(GptPlan::default())]) {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<ModelKind>(&format!("\"{kind}\"")).unwrap(), kind);
        }
        let message = "resnet50".parse::<ModelKind>().unwrap_err().to_string();
        assert!(ModelKind::usages().iter().all(|usage| message.contains(usage)), "{message}");
    }

    #[test]
    fn small_images_are_refused_where_they_do_not_fit() {
        let device = Device::default();
        let error = ModelKind::Vgg19Bn.build([1, 28, 28], 10, 1, &device).unwrap_err();
        assert!(error.to_string().starts_with("vgg19-bn needs"), "{error}");
        assert!(ModelKind::ResNet8.build([0, 28, 28], 10, 1, &device).is_err());
        assert!(ModelKind::ConvNet.build([1, 28, 28], 0, 1, &device).is_err());
        let error = ModelKind::Gpt(GptPlan::default()).build([1, 28, 28], 10, 1, &device).unwrap_err();
        assert!(error.to_string().contains("reads windows of 128 bytes"), "{error}");
    }

    #[test]
    fn classifiers_train_on_small_grey_images() {
        let device = Device::default().autodiff();
        for kind in [ModelKind::ConvNet, ModelKind::Softmax, ModelKind::ResNet8] {
            let model = kind.build([1, 8, 8], 3, 1, &device).unwrap();
            let images = Tensor::ones([2, 1, 8, 8], &device);
            let loss = model.loss(images, Tensor::from_ints([0, 2], &device));
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            assert_eq!(gradients.len(), size(&model).tensors, "{kind}");
        }
    }

    #[test]
    fn a_gpt_trains_on_windows_of_bytes() {
        let device = Device::default().autodiff();
        for kind in ["gpt:layers=2,dim=16,heads=2,context=6", "gpt:layers=1,dim=8,heads=1,context=6,tied"] {
            let model = kind.parse::<ModelKind>().unwrap().build([1, 1, 6], VOCABULARY, 1, &device).unwrap();
            let windows = Tensor::from_floats([[[[0., 255., 3., 3., 9., 1.]]], [[[7., 7., 7., 7., 7., 8.]]]], &device);
            let loss = model.loss(windows, Tensor::from_ints([255, 3, 3, 9, 1, 4, 7, 7, 7, 7, 8, 0], &device));
            let gradients = GradientsParams::from_grads(loss.clone().backward(), &model);
            assert_eq!(gradients.len(), size(&model).tensors, "{kind}");
            // Nothing is known yet: near ln 256.
            assert!((loss.into_scalar::<f32>() - 256f32.ln()).abs() < 0.5, "{kind}");
        }
    }
}
