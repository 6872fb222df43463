//! Gradient compressors and the bytes they send.
//!
//! This crate knows vectors and bytes, and neither workers nor models nor sockets:
//!
//! - a [`Layout`] describes a model as one flat vector, cut into [`Unit`]s;
//! - a [`Compressor`] maps a unit's values to a [`Payload`], lossily;
//! - a [`Payload`] applies itself to a vector, knows its exact size, and is a written format
//!   (see [`payload::wire`]);
//! - a [`Key`] names the random stream of one draw, so that every draw can be repeated;
//! - [`Feedback`] holds a compressor that error feedback may be put around.
//!
//! ```
//! use backburn_compress::{Compressor, Key, Memo, TopK, Unit};
//!
//! let unit = Unit::vector("weights", 5);
//! let payload = TopK::count(2)?.compress(&[0.1, -3.0, 0.2, 0.0, 1.0], &unit, &Key::new(7), &mut Memo::default());
//! assert_eq!(payload.decode(), [0.0, -3.0, 0.0, 0.0, 1.0]);
//! # Ok::<(), backburn_compress::ParameterError>(())
//! ```

mod aggregate;
pub mod bits;
mod class;
mod compressor;
pub mod compressors;
mod error;
mod feedback;
mod finite;
mod kernels;
mod key;
mod layout;
pub mod low_rank;
mod memo;
mod message;
pub mod payload;
mod philox;
mod quantise;
pub mod random;
mod simd;
pub mod sketch;
pub mod spec;
mod sweep;

pub use aggregate::mean;
pub use class::Class;
pub use compressor::{Compressor, Update};
pub use compressors::{
    CountSketch, Fcc, HardThreshold, Identity, LowRank, Natural, OneBit, Qsgd, RandomK, Scaled, ScaledSign, Sign,
    TernGrad, TopK, TwoBit, Unbiased,
};
pub use error::{ParameterError, WireError};
pub use feedback::{Feedback, NotForFeedback};
pub use finite::{all_finite, first_non_finite};
pub use key::{Direction, Key};
pub use layout::{Layout, LayoutError, Parameter, Scope, Unit};
pub use memo::Memo;
pub use message::{Message, compress, decode_into, feedback};
pub use payload::Payload;
pub use payload::wire::{decode_message, encode_message, message_bytes};
pub use philox::Philox;
pub use quantise::Norm;
pub use spec::AnyCompressor;
