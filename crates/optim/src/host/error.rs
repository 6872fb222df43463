//! What can go wrong in a round and before one.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use backburn_compress::{LayoutError, NotForFeedback, ParameterError, WireError};

use crate::host::fragments::FragmentsError;
use crate::host::model_error::ModelError;
use crate::host::network::LinkError;
use crate::host::transport::TransportError;
use crate::method::NotTaken;

/// Why there is no group of workers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
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
    #[error("`{0}` asks for several minibatches, for gradients or losses elsewhere, or has many nodes: use `Group`")]
    NotSolo(String),
    /// The model, or what a configuration says of it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Fragments that a model has not, or numbers of them that do not go together.
    #[error(transparent)]
    Fragments(#[from] FragmentsError),
    /// Statistics that replicas would not share.
    #[error(
        "the model has running statistics, as of batch normalisation, which workers that step by themselves do not share"
    )]
    Statistics,
    /// Another number of workers than there are processes.
    #[error("{asked} workers were asked for, and the transport has {there}")]
    Workers {
        /// As configured.
        asked: usize,
        /// The transport's.
        there: usize,
    },
    /// Links that are not those of the workers.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// x has not the model's length.
    #[error("x has {given} coordinates, and the model {expected}")]
    X {
        /// Its length.
        given: usize,
        /// The model's.
        expected: usize,
    },
    /// Another process has something else.
    #[error("rank {rank} has another {what} than this process: {theirs}, and here {own}")]
    Differs {
        /// What differs.
        what: &'static str,
        /// The other process.
        rank: usize,
        /// What it is here.
        own: String,
        /// What it is there.
        theirs: String,
    },
    /// Another process cannot take part.
    #[error("rank {rank} cannot take part: {why}")]
    Elsewhere {
        /// The other process.
        rank: usize,
        /// Its reason.
        why: String,
    },
    /// What another process said at the start is not understood.
    #[error("rank {rank}: {source}")]
    Mail {
        /// Whose message it is.
        rank: usize,
        /// What is wrong with it.
        source: MailError,
    },
    /// The transport between processes failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl From<NotTaken> for SetupError {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Compressor(error) => error.into(),
            NotTaken::Parameter(error) => error.into(),
        }
    }
}

/// What is wrong with what a transport handed over.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// More or fewer messages than there are peers.
    #[error("the transport handed over {given} messages for {expected} peers")]
    Count {
        /// Messages.
        given: usize,
        /// Peers.
        expected: usize,
    },
    /// A message of another rank, step or round.
    #[error("the message handed over as its own is of {what} {found}, not {expected}")]
    Foreign {
        /// Rank, step, ….
        what: &'static str,
        /// As the message says.
        found: u64,
        /// As it should be.
        expected: u64,
    },
    /// Not an envelope of this version, or a damaged one.
    #[error("its envelope is malformed: {0}")]
    Envelope(&'static str),
    /// The message is malformed, or does not fit the model.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It holds NaN or an infinity.
    #[error("its message holds numbers that are not finite, of `{path}`")]
    NonFinite {
        /// The parameter, or `notes`.
        path: String,
    },
    /// A draw that the common seed does not give.
    #[error("its message has another random draw than this process, of `{path}`")]
    Draw {
        /// The parameter, or `notes`.
        path: String,
    },
}

/// A parameter that would not be finite in the type in which a host keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgrown {
    /// The parameter.
    pub path: String,
    /// Its type.
    pub dtype: &'static str,
    /// The largest number of that type.
    pub largest: f32,
}

/// A host's own failure while it computed a gradient or a loss; keeps its source.
#[derive(Clone, Debug)]
pub struct HostError(Arc<dyn Error + Send + Sync>);

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for HostError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Two of one text are one.
impl PartialEq for HostError {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

/// Why a round did not happen; x has not moved.
///
/// There are two ways to fail, see [`is_rejected`](Self::is_rejected): *rejected*, nothing has changed; *lost*,
/// nothing that was said counts as applied, so that all of it is still owed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// A gradient that is not finite.
    #[error("step {step}, worker {worker}: the gradient of `{path}` is {value} at its coordinate {coordinate}")]
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
    /// Something that would not be finite in f32, though the gradients are.
    #[error("step {step}: {what} of `{path}` would not be finite in f32, of which {limit:e} is the largest", limit = f32::MAX)]
    Overflow {
        /// The step.
        step: u64,
        /// A worker's message or state, the step, x.
        what: &'static str,
        /// The parameter's path.
        path: String,
    },
    /// A parameter that would not be finite in its own type, though the step is in f32.
    #[error("step {step}: `{}` would not be finite in {}, of which {:e} is the largest", .outgrown.path, .outgrown.dtype, .outgrown.largest)]
    Outgrown {
        /// The step.
        step: u64,
        /// The parameter and its type.
        outgrown: Outgrown,
    },
    /// Another rank's message that is so large, in a step of ordinary numbers, that states might not stay finite.
    #[error("worker {worker} sent numbers up to {bound:e} in a step in which all others are small")]
    Loud {
        /// The worker.
        worker: usize,
        /// How large they may be.
        bound: f64,
    },
    /// A step size that is not 0, and not a positive number that f32 holds.
    #[error("the step size is {0:e}; it must be 0, or from {least:e} to {most:e}", least = LEAST_STEP, most = f32::MAX)]
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
    /// A parameter said to be missing that the model does not have.
    #[error("worker {worker}: parameter {parameter} is said to be missing, and the model has {parameters}")]
    Missing {
        /// The worker.
        worker: usize,
        /// The index given.
        parameter: usize,
        /// How many there are.
        parameters: usize,
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
    /// A worker's message was lost after others had been answered.
    #[error("the message of worker {worker} was lost")]
    Silent {
        /// The worker.
        worker: usize,
    },
    /// What a rank sent is not understood.
    #[error("rank {rank}: {source}")]
    Mail {
        /// Whose message it is.
        rank: usize,
        /// What is wrong with it.
        source: MailError,
    },
    /// The transport between ranks failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Another rank could not go on.
    #[error("rank {rank} could not go on: {why}")]
    Elsewhere {
        /// The rank.
        rank: usize,
        /// Its reason.
        why: String,
    },
    /// The model or a gradient is not what the group works on.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A host's own failure while it computed a gradient or a loss.
    #[error(transparent)]
    Host(HostError),
    /// The round broke off after workers had spoken: nothing counts as applied, all is still owed.
    #[error("the round was lost at its message round {round}, and nothing counts as applied: {source}")]
    Lost {
        /// The message round.
        round: u32,
        /// Why.
        source: Box<RoundError>,
    },
}

/// The least positive number of f32.
pub(crate) const LEAST_STEP: f64 = 1.401298464324817e-45;

impl RoundError {
    /// A host's own failure: any error, or a sentence.
    pub fn host(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Host(HostError(why.into().into()))
    }

    /// Whether the round was rejected: nothing has changed, as if it had never been. Otherwise it was lost:
    /// what workers said counts as not applied, and their gradients are owed.
    pub fn is_rejected(&self) -> bool {
        !matches!(self, Self::Lost { .. })
    }

    /// Whether numbers have outgrown f32 or a parameter's own type, in a gradient or in what follows from one: the run has diverged, or its
    /// step size is wrong.
    pub fn is_divergence(&self) -> bool {
        matches!(
            self.reason(),
            Self::NonFinite { .. } | Self::Overflow { .. } | Self::Outgrown { .. } | Self::Loud { .. }
        )
    }

    /// Why, without where the round broke off.
    pub fn reason(&self) -> &Self {
        match self {
            Self::Lost { source, .. } => source.reason(),
            other => other,
        }
    }
}
