//! One compressor a file, and the table of their textual forms.

use std::sync::Arc;

use crate::Compressor;
use crate::spec::{Args, SpecError};

mod amount;
mod coding;
mod count_sketch;
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
mod tern_grad;
mod top_k;
mod two_bit;

use amount::Amount;
pub use coding::Coding;
pub use count_sketch::CountSketch;
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
pub use tern_grad::TernGrad;
pub use top_k::{TopK, top_indices};
pub use two_bit::TwoBit;

/// One textual form.
#[derive(Debug)]
pub struct Entry {
    /// The word before the colon.
    pub name: &'static str,
    /// The form with its arguments.
    pub usage: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Forms that parse; tests run each of them through every law.
    pub examples: &'static [&'static str],
    /// Takes its arguments and builds it.
    pub parse: fn(&mut Args) -> Result<Arc<dyn Compressor>, SpecError>,
}

/// All textual forms: a new compressor adds its row.
pub static TABLE: &[Entry] = &[
    identity::ENTRY,
    sign::ENTRY,
    one_bit::ENTRY,
    two_bit::ENTRY,
    top_k::ENTRY,
    random_k::ENTRY,
    hard_threshold::ENTRY,
    qsgd::ENTRY,
    tern_grad::ENTRY,
    natural::ENTRY,
    low_rank::ENTRY,
    count_sketch::ENTRY,
    fcc::ENTRY,
];
