//! What can be wrong with a module or with gradients of it.

use backburn_compress::{LayoutError, ParameterError};

/// Why a module, or gradients of one, are not what a group works on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing to train, for want of autodiff.
    #[error(
        "the model has no trainable parameters: it is on a device without autodiff; build it on `device.autodiff()`, or call `.train()` on a model that `.valid()` gave"
    )]
    NoAutodiff,
    /// Nothing to train.
    #[error("the model has no trainable parameters: {frozen} are frozen or left out")]
    Untrainable {
        /// Float parameters that do not require gradients, or are skipped.
        frozen: usize,
    },
    /// No layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A number out of its range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A parameter that is not there.
    #[error("the model has no parameter `{path}`: it is not the one that this group was made for")]
    Missing {
        /// The parameter.
        path: String,
    },
    /// A parameter of another shape.
    #[error("the model's parameter `{path}` is of shape {found:?}; this group was made for {expected:?}")]
    Shape {
        /// The parameter.
        path: String,
        /// As found.
        found: Vec<usize>,
        /// As laid out.
        expected: Vec<usize>,
    },
    /// A flat vector of another length than the model.
    #[error("a vector of {given} coordinates for a model of {expected}")]
    Length {
        /// Its length.
        given: usize,
        /// The model's.
        expected: usize,
    },
    /// Gradients that no parameter takes.
    #[error(
        "worker {worker}: {count} gradients belong to no parameter of this model{}: they were computed on another one, whose `ParamId`s differ",
        .without.as_ref().map(|path| format!(", and `{path}` has none")).unwrap_or_default()
    )]
    Foreign {
        /// The worker.
        worker: usize,
        /// How many gradients are left over.
        count: usize,
        /// A parameter that has no gradient, if there is one.
        without: Option<String>,
    },
    /// A gradient of another shape than its parameter.
    #[error("worker {worker}: the gradient of `{path}` is of shape {found:?}, the parameter of {expected:?}")]
    Gradient {
        /// The worker.
        worker: usize,
        /// The parameter.
        path: String,
        /// As given.
        found: Vec<usize>,
        /// The parameter's.
        expected: Vec<usize>,
    },
    /// A gradient of another rank than its parameter.
    #[error("worker {worker}: the gradient of `{path}` is not of the parameter's rank, {rank}")]
    Rank {
        /// The worker.
        worker: usize,
        /// The parameter.
        path: String,
        /// The parameter's rank.
        rank: usize,
    },
    /// A gradient for what is not trained.
    #[error("worker {worker}: `{path}` has a gradient, and is frozen")]
    Frozen {
        /// The worker.
        worker: usize,
        /// The parameter.
        path: String,
    },
    /// Step sizes of no parameter.
    #[error("there is no step size: `ModuleLearningRate::default()` is empty; give a number, or what a scheduler says")]
    NoStepSize,
    /// A pattern that says nothing of this model.
    #[error("the parameter group `{0}` matches none of the model's parameters")]
    Unmatched(String),
}
