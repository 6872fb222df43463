//! Error-feedback compressed training for [Burn](https://burn.dev): send 1 % of the gradient bits,
//! keep the accuracy, change three lines.
//!
//! One worker, as a Burn optimizer like any other:
//!
//! ```
//! use backburn::prelude::*;
//! # use burn::{nn::LinearConfig, optim::GradientsParams, tensor::Tensor};
//! # let device = backburn::device("auto")?.autodiff();
//! # let mut model = LinearConfig::new(4, 2).init(&device);
//! let mut optim = EfSgdConfig::new(ScaledSign).with_momentum(0.9).init()?;
//! # let grads = GradientsParams::from_grads(model.forward(Tensor::<2>::ones([1, 4], &device)).sum().backward(), &model);
//! model = optim.step(0.1, model, grads);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Several, in this process or in many, which differ in one line:
//!
//! ```
//! use backburn::prelude::*;
//! # use burn::{nn::LinearConfig, optim::GradientsParams, tensor::Tensor};
//! # let device = backburn::device("auto")?.autodiff();
//! # let mut model = LinearConfig::new(4, 2).init(&device);
//! let config = GroupConfig::new(Ef21Sgdm::new(0.1)?, TopK::ratio(0.25)?).with_workers(2).with_seed(7);
//! let mut group = config.init(&model)?; // or: config.init_over(transport, &model)?
//! # let grads = |m: &burn::nn::Linear| GradientsParams::from_grads(m.forward(Tensor::<2>::ones([1, 4], &device)).sum().backward(), m);
//! let round = group.round(0.1, &model, vec![grads(&model), grads(&model)])?;
//! model = round.apply(model);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Compressors and methods are listed by [`AnyCompressor::table`](prelude::AnyCompressor::table) and
//! [`AnyAlgorithm::table`](prelude::AnyAlgorithm::table), and stand in [`compressors`] and [`methods`]. With the
//! feature `learner` workers train under Burn's `Learner`, with `train` come data, models and loops, with `mpi` the
//! transport of an MPI run.

pub use backburn_optim::{DeviceError, DeviceKind, device};

/// What nearly every program needs.
pub mod prelude {
    pub use backburn_compress::{AnyCompressor, RandomK, ScaledSign, Scope, TopK};
    pub use backburn_optim::{AnyAlgorithm, Bytes, Ef21Sgdm, EfSgd, EfSgdConfig, Group, GroupConfig, RoundError, Sgd};
}

/// Lossy maps from a vector to what is sent of it, and the trait for one's own.
pub mod compressors {
    pub use backburn_compress::compressors::*;
    pub use backburn_compress::{
        Class, Compressor, Feedback, Fits, Kept, Memo, Norm, NotForFeedback, ParameterError, Quantiser, Source, Update,
        Vector,
    };
}

/// Error-feedback methods, and the trait for one's own.
pub mod methods {
    pub use backburn_optim::algorithms::*;
    pub use backburn_optim::{
        Algorithm, Alpha, AnyAlgorithm, Argument, Ask, Conserves, Cx, Decision, Draw, Inbox, Move, Next, NotTaken,
        Owner, Parent, Plain, Refresh, Residual, Restarts, Role, Rule, Seen, State, Takes, UNSAID, Visitor, Why,
    };
}

/// What is sent, and its bytes.
pub mod payload {
    pub use backburn_compress::payload::*;
    pub use backburn_compress::{
        Correction, Message, Note, WireError, compress, decode_into, decode_message, encode_message, feedback,
        majority, mean, mean_at, mean_of_senders, message_bytes,
    };
}

/// Random streams, named by keys so that every draw can be repeated.
pub mod random {
    pub use backburn_compress::random::*;
    pub use backburn_compress::{Direction, Key, Philox};
}

/// A model as one flat vector.
pub mod layout {
    pub use backburn_compress::{Layout, LayoutError, Parameter, Scope, Unit};
}

/// The textual forms of compressors and methods.
pub mod text {
    pub use backburn_compress::text::*;
}

/// Rounds on flat vectors, the one driver of them, and who carries messages between workers.
pub mod host {
    pub use backburn_optim::{
        At, Bytes, Change, Cluster, Decided, Encoded, Footprint, Given, Gradient, Host, HostError, InProcess, Letter,
        Mail, MailError, Observation, Reply, ResizeError, RoundError, Seats, SetupError, Terms, Threads, Traffic,
        Transport, TransportError,
    };
}

/// What exchanges cost on a given network.
pub mod network {
    pub use backburn_optim::{
        Link, LinkError, Links, Load, OnLink, Plan, PlanChoice, PlanError, UnitError, all_reduce, duration, rate,
    };
}

/// States that outlive a process.
pub mod checkpoint {
    pub use backburn_optim::{Snapshot, SnapshotError, write_atomically};
}

/// Burn modules: groups of workers, optimizers of one.
pub mod burn {
    #[cfg(feature = "learner")]
    pub use backburn_optim::learner;
    pub use backburn_optim::{
        EfSgdConfig, Fragments, FragmentsError, Group, GroupConfig, InnerGradients, LoadError, LocalSteps, ModelError,
        ModuleHost, ParameterGroup, Places, Policy, Probe, Round, Rounds, Solo, SoloState, StepIsOwned, batch_norm,
        load_optimizer,
    };
}

/// The processes of an MPI run.
#[cfg(feature = "mpi")]
pub use backburn_mpi as mpi;

#[cfg(feature = "train")]
pub use backburn_train as train;
