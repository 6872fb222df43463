//! What can go wrong in a round and before one.

use backburn_compress::{LayoutError, NotForFeedback, ParameterError};

/// Why there is no group of workers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SetupError {
    /// No workers.
    #[error("the number of workers must be at least 1, and is 0")]
    NoWorkers,
    /// The model cannot be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The compressor must not stand under this method.
    #[error(transparent)]
    Compressor(#[from] NotForFeedback),
    /// A parameter out of its range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A method that is no optimizer of one worker.
    #[error("`{0}` asks for gradients or losses elsewhere, or has many nodes: use `Group`")]
    NotSolo(String),
}

/// Why a round did not happen. Nothing that was said counts as applied, and x has not moved.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RoundError {
    /// A gradient that is not finite, seen before anything was written: all state is as before.
    #[error(
        "step {step}, worker {worker}: the gradient of `{path}` is {value} at its coordinate {coordinate}; the round was rejected and nothing has changed"
    )]
    NonFinite {
        /// The step.
        step: u64,
        /// The worker.
        worker: usize,
        /// The parameter's path.
        path: String,
        /// The coordinate within the parameter.
        coordinate: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A step size that is not a finite number ≥ 0.
    #[error("the step size is {0}; it must be finite and at least 0")]
    StepSize(f64),
    /// Gradients for another number of workers.
    #[error("{given} gradients for {workers} workers")]
    Workers {
        /// How many were given.
        given: usize,
        /// How many workers there are.
        workers: usize,
    },
    /// A vector of another length.
    #[error("worker {worker}: a vector of {given} coordinates for a model of {expected}")]
    Length {
        /// The worker.
        worker: usize,
        /// Its length.
        given: usize,
        /// The model's.
        expected: usize,
    },
    /// An x of another length, where the method reads x.
    #[error("x has {given} coordinates, and the model {expected}")]
    X {
        /// Its length.
        given: usize,
        /// The model's.
        expected: usize,
    },
    /// The method asks for something that this host does not serve.
    #[error("the method asks for {0}, which this host does not serve; use `step_with`")]
    Unserved(&'static str),
    /// Neighbours must all take part in a gossip round.
    #[error("worker {0} is absent, and a gossip round needs all nodes: the exchange over each edge is symmetric")]
    Absent(usize),
    /// A message was lost after others had been answered; everything is still owed.
    #[error("the round failed at message round {round}, worker {worker}; nothing counts as applied")]
    Failed {
        /// The message round.
        round: u32,
        /// The worker.
        worker: usize,
    },
    /// The transport between ranks failed.
    #[error("transport: {0}")]
    Transport(String),
    /// A host's own failure while it computed a gradient or a loss.
    #[error("{0}")]
    Host(String),
}
