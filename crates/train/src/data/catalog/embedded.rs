//! The slices within the program: enough to see a method train, with no download.
//!
//! 200 training and 50 test images of each class, the first of each in the published files, in
//! their order. Fashion-MNIST is © 2017 Zalando SE, under the MIT licence, whose notice is beside the
//! files in `src/data/fashion`. The text is the first 2,140 verses of the King James Bible, whose copyright has expired,
//! as is said beside it in `src/data/kjv`.

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../fashion/", $name, ".gz"))
    };
}

/// The compressed file of this name; nothing for any other name.
pub(super) fn embedded(name: &str) -> &'static [u8] {
    match name {
        "train-images-idx3-ubyte" => file!("train-images-idx3-ubyte"),
        "train-labels-idx1-ubyte" => file!("train-labels-idx1-ubyte"),
        "t10k-images-idx3-ubyte" => file!("t10k-images-idx3-ubyte"),
        "t10k-labels-idx1-ubyte" => file!("t10k-labels-idx1-ubyte"),
        "kjv-slice.txt" => include_bytes!("../kjv/kjv-slice.txt.gz"),
        _ => &[],
    }
}
