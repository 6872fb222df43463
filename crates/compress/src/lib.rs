//! Gradient compressors and the bytes they send.
//!
//! This crate knows vectors and bytes, and neither workers nor models nor sockets. Its wings, of which each knows those
//! before it only:
//!
//! - the ground: [`text`], the grammar of textual forms; [`Layout`], a model as one flat vector, cut into [`Unit`]s;
//!   [`Key`], the name of a draw; [`Class`], what is known of an error; [`Memo`], what is remembered between steps;
//! - [`random`]: the generator, subsets, and the one register of streams;
//! - `kernels`: the inner loops, over slices, of which [`low_rank`] is public;
//! - [`payload`]: what is sent, one file a kind, and its bytes in [`payload::wire`];
//! - [`Vector`], and [`Source`], what is compressed, with the primitives by which compressors touch it;
//! - [`Compressor`], one verb, and [`Feedback`], those that error feedback may be put around;
//! - [`compressors`]: one a file, with the table of all, and [`AnyCompressor`];
//! - [`Message`]: what one worker says in one round, [`compress`], [`feedback`] and [`mean`] over a whole model.
//!
//! ```
//! use backburn_compress::{Compressor, Key, Memo, Source, TopK, Unit};
//!
//! let unit = Unit::vector("weights", 5);
//! let source = Source::still(&[0.1, -3.0, 0.2, 0.0, 1.0]);
//! let payload = TopK::count(2)?.compress(source, &unit, &Key::new(7), &mut Memo::default());
//! assert_eq!(payload.decode(), [0.0, -3.0, 0.0, 0.0, 1.0]);
//! # Ok::<(), backburn_compress::ParameterError>(())
//! ```

mod addends;
mod class;
mod compressor;
pub mod compressors;
mod error;
#[cfg(all(test, target_arch = "x86_64"))]
mod every_level;
mod feedback;
mod kernels;
mod key;
mod layout;
mod memo;
mod message;
pub mod payload;
pub mod random;
mod room;
mod simd;
mod source;
pub mod text;
mod vector;
mod vector_steps;
mod vector_units;

pub use class::Class;
pub use compressor::Compressor;
pub use compressors::*;
pub use error::{ParameterError, WireError};
pub use feedback::{Feedback, Fits, NotForFeedback};
pub use kernels::finite::{all_finite, first_non_finite};
pub use kernels::low_rank;
pub use kernels::quantise::{Norm, Quantiser};
pub use kernels::select::Kept;
pub use key::{Direction, Key};
pub use layout::{Layout, LayoutError, Parameter, Policy, Scope, Unit};
pub use memo::Memo;
pub use message::{
    Correction, Message, Note, compress, decode_into, decode_message, encode_message, encode_message_into, feedback,
    majority, mean, mean_at, mean_of_place, mean_of_senders, message_bytes,
};
pub use payload::Payload;
pub use random::{Philox, Stream};
pub use room::release_memory;
pub use source::{Source, Update};
pub use text::{Form, TextError};
pub use vector::Vector;
