//! The formats in which examples are written.

pub mod cifar;
pub mod folder;
pub(crate) mod gzip;
pub mod idx;
pub mod libsvm;
pub mod png_cifar;
