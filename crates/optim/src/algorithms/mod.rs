//! One method a file, and the table of their textual forms.

mod any;
mod beer;
mod bidirectional;
mod compressed_sgd;
mod dgc;
mod ecx;
mod ef21;
mod ef21_ideal;
mod ef_sgd;
mod neolithic;
pub mod parts;
mod perturbed;
mod power_sgd;
mod sgd;
mod sketched_top_k;

pub use any::TABLE;
pub use beer::Beer;
pub use bidirectional::EfSgdBidirectional;
pub use compressed_sgd::CompressedSgd;
pub use dgc::Dgc;
pub use ecx::{Ecx, Estimator};
pub use ef_sgd::EfSgd;
pub use ef21::{Ef21, Ef21Sgd, Ef21Sgd2m, Ef21Sgdm};
pub use ef21_ideal::Ef21Ideal;
pub use neolithic::Neolithic;
pub use parts::{LocalGradient, Momentum};
pub use perturbed::Perturbed;
pub use power_sgd::PowerSgd;
pub use sgd::Sgd;
pub use sketched_top_k::SketchedTopK;
