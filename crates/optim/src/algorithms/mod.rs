//! One method a file, and the table of their textual forms.

use backburn_compress::spec::{Args, SpecError};

use crate::AnyAlgorithm;

mod beer;
mod bidirectional;
mod compressed_sgd;
mod dgc;
mod ecx;
mod ef21;
mod ef21_ideal;
mod ef_sgd;
mod joint;
mod local_gradient;
mod neolithic;
mod outside;
mod perturbed;
mod power_sgd;
mod sgd;
mod sketched_top_k;

pub use beer::Beer;
pub use bidirectional::EfSgdBidirectional;
pub use compressed_sgd::CompressedSgd;
pub use dgc::Dgc;
pub use ecx::{Ecx, Estimator};
pub use ef_sgd::EfSgd;
pub use ef21::{Ef21, Ef21Sgd, Ef21Sgd2m, Ef21Sgdm};
pub use ef21_ideal::Ef21Ideal;
pub use local_gradient::{LocalGradient, Momentum};
pub use neolithic::Neolithic;
pub use perturbed::Perturbed;
pub use power_sgd::PowerSgd;
pub use sgd::Sgd;
pub(crate) use sgd::dense;
pub use sketched_top_k::SketchedTopK;

/// One textual form.
#[derive(Debug)]
pub struct Entry {
    /// The word before the colon.
    pub name: &'static str,
    /// The form with its arguments.
    pub usage: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Forms that parse; tests run each of them through every law.
    pub examples: &'static [&'static str],
    /// Takes its arguments and builds it.
    pub parse: fn(&mut Args) -> Result<AnyAlgorithm, SpecError>,
}

/// All textual forms: a new method adds its row.
pub static TABLE: &[Entry] = &[
    sgd::ENTRY,
    compressed_sgd::ENTRY,
    ef_sgd::ENTRY,
    bidirectional::ENTRY,
    perturbed::ENTRY,
    ef21::SGD,
    ef21::SGDM,
    ef21::SGD2M,
    ef21_ideal::SGD,
    ef21_ideal::SGDM,
    ecx::ENTRY,
    neolithic::ENTRY,
    beer::ENTRY,
    dgc::ENTRY,
    power_sgd::ENTRY,
    sketched_top_k::ENTRY,
];
