//! One compressor a file, and the one table of their textual forms.
//!
//! A compressor touches what it compresses by the primitives of its [`Source`](crate::Source) alone.

mod amount;
mod any;
mod coding;
mod count_sketch;
mod dct;
mod fcc;
mod hard_threshold;
mod identity;
mod low_rank;
mod natural;
mod one_bit;
mod qsgd;
mod random_k;
mod scaled;
mod scaled_sign;
mod sign;
mod sparsity;
mod tern_grad;
mod tiled_top_k;
mod top_k;
mod two_bit;

use amount::Amount;
pub use any::AnyCompressor;
pub use coding::Coding;
pub use count_sketch::CountSketch;
pub use dct::Dct;
pub use fcc::Fcc;
pub use hard_threshold::HardThreshold;
pub use identity::Identity;
pub use low_rank::LowRank;
pub use natural::Natural;
pub use one_bit::OneBit;
pub use qsgd::Qsgd;
pub use random_k::RandomK;
pub use scaled::{Scaled, Unbiased};
pub use scaled_sign::ScaledSign;
pub use sign::Sign;
use sparsity::Sparsity;
pub use tern_grad::TernGrad;
pub use tiled_top_k::TiledTopK;
pub use top_k::TopK;
pub use two_bit::TwoBit;
