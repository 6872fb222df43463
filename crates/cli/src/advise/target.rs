//! What is to be trained: its tensors, and what a batch takes.

use backburn::burn::GroupConfig;
use backburn::train::data::VOCABULARY;
use backburn::train::models::{ModelKind, batch_seconds};
use backburn_bench::Model;

use super::Args;
use crate::error::Failure;

/// Classes of a model's head: of Fashion-MNIST and CIFAR-10.
const CLASSES: usize = 10;
/// Seconds that a batch is timed for, at most.
const BUDGET: f64 = 2.0;

/// What is to be trained.
pub struct Target {
    /// Its name, and what of it was assumed.
    pub name: String,
    pub tensors: Vec<(String, Vec<usize>)>,
    /// Forward and backward, in seconds, where it is known.
    pub batch: Option<f64>,
    /// Whether that was measured here.
    pub timed: bool,
}

impl Target {
    /// A model of `backburn train`, or of the benchmarks.
    pub fn model(name: &str, args: &Args) -> Result<Self, Failure> {
        let kind: ModelKind = match name.parse() {
            Ok(kind) => kind,
            // Only its shapes are known.
            Err(_) if name == "resnet50" => return Self::shapes(name, args.batch_time),
            Err(error) => return Err(error.into()),
        };
        let (shape, classes, of) = match kind.context() {
            None => (image(&args.image)?, CLASSES, format!("images of {}", args.image)),
            Some(context) => ([1, 1, context], VOCABULARY, format!("windows of {context} bytes")),
        };
        let device = args.device.device()?.autodiff();
        let model = kind.build(shape, classes, 1, &device)?;
        let group = GroupConfig::any("sgd".parse()?, "identity".parse()?).init(&model)?;
        let tensors = group.layout().parameters().iter().map(|p| (p.path.clone(), p.shape.clone())).collect();
        let timed = args.batch_time.is_none();
        let measure = || batch_seconds(&model, shape, args.batch, BUDGET.min(args.seconds / 4.0), &device);
        let batch = Some(args.batch_time.unwrap_or_else(measure));
        let name = if timed { format!("{name}, {} {of} a batch", args.batch) } else { name.into() };
        Ok(Self { name, tensors, batch, timed })
    }

    /// Shapes of the benchmarks, or in a file.
    pub fn shapes(name: &str, batch: Option<f64>) -> Result<Self, Failure> {
        let model = Model::load(name)?;
        let tensors = model.shapes.iter().enumerate().map(|(i, shape)| (format!("tensor{i}"), shape.clone())).collect();
        Ok(Self { name: model.name, tensors, batch, timed: false })
    }
}

fn image(text: &str) -> Result<[usize; 3], Failure> {
    let sides: Option<Vec<usize>> = text.split('x').map(|side| side.trim().parse().ok()).collect();
    let shape = sides.and_then(|sides| <[usize; 3]>::try_from(sides).ok());
    let fits = |shape: &[usize; 3]| shape.iter().all(|side| (1..=4096).contains(side));
    let refuse =
        || Failure::Error(format!("--image `{text}` is not CHANNELSxHEIGHTxWIDTH, as 3x32x32, each from 1 to 4096"));
    shape.filter(fits).ok_or_else(refuse)
}
