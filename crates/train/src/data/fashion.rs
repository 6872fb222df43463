//! The slice of Fashion-MNIST within the program: enough to see a method train, with no download.
//!
//! 200 training and 50 test images of each class, the first of each in the published files, in
//! their order. Fashion-MNIST is © 2017 Zalando SE, under the MIT licence, whose notice is beside the
//! files in `datasets/fashion`.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, GzBuilder};

use super::catalog::{self, DataFile, Split};
use super::digest::sha256;
use super::error::DataError;
use super::idx::Idx;
use super::images::Images;
use super::options::Options;

/// Training and test images of each class.
pub const PER_CLASS: [usize; 2] = [200, 50];

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/fashion/", $name, ".gz"))
    };
}

/// The compressed file of this name; nothing for any other name.
pub(crate) fn embedded(name: &str) -> &'static [u8] {
    match name {
        "train-images-idx3-ubyte" => file!("train-images-idx3-ubyte"),
        "train-labels-idx1-ubyte" => file!("train-labels-idx1-ubyte"),
        "t10k-images-idx3-ubyte" => file!("t10k-images-idx3-ubyte"),
        "t10k-labels-idx1-ubyte" => file!("t10k-labels-idx1-ubyte"),
        _ => &[],
    }
}

/// Makes the slice's four files in `out` from the full set; returns the SHA-256 of each one's
/// contents, uncompressed, in the catalogue's order.
///
/// # Errors
/// Where the full set cannot be had or a file not be written.
pub fn make_slice(options: &Options, out: &Path) -> Result<Vec<(String, String)>, DataError> {
    let full = catalog::load("fashion-mnist", options)?;
    let [train, test] = PER_CLASS;
    let slice = Split {
        train: full.train.subset(&first_of_each(full.train.labels(), train)),
        test: full.test.subset(&first_of_each(full.test.labels(), test)),
    };
    let files = [encode(&slice.train), encode(&slice.test)].concat();
    let write = |(file, bytes): (&DataFile, Vec<u8>)| {
        let path = out.join(format!("{}.gz", file.name));
        // No name and no time: the same bytes whenever it is made.
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
        let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
        packed.and_then(|packed| fs::write(&path, packed)).map_err(DataError::io(&path))?;
        Ok((file.name.to_owned(), sha256(&bytes)))
    };
    catalog::find("fashion-embedded")?.files.iter().zip(files).map(write).collect()
}

/// The indices of the first `count` examples of each class, ascending.
fn first_of_each(labels: &[u8], count: usize) -> Vec<usize> {
    let mut seen = [0usize; 256];
    let first = |(_, label): &(usize, &u8)| {
        seen[usize::from(**label)] += 1;
        seen[usize::from(**label)] <= count
    };
    labels.iter().enumerate().filter(first).map(|(i, _)| i).collect()
}

fn encode(images: &Images) -> Vec<Vec<u8>> {
    let dims = [images.len(), images.height(), images.width()];
    let pixels = Idx { dims, data: images.pixels().to_vec() };
    let labels = Idx { dims: [images.len()], data: images.labels().to_vec() };
    vec![pixels.encode(), labels.encode()]
}
