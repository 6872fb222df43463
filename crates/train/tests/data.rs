//! The published data sets, where this machine has them: `BACKBURN_DATA` names the directory that is
//! given to `--data-dir` otherwise. Without it these tests look at nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

use backburn_train::data::catalog::{self, Content, Part};
use backburn_train::data::formats::idx::Idx;
use backburn_train::data::{self, DataSet, Examples, Images, Options};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

fn options() -> Option<Options> {
    let data_dir = PathBuf::from(std::env::var_os("BACKBURN_DATA")?);
    // A cache that does not exist: only the directory given counts.
    let cache_dir = data_dir.join("no-such-cache");
    Some(Options { data_dir: Some(data_dir), cache_dir: Some(cache_dir), offline: true, progress: false })
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/fashion")
}

#[test]
fn published_sets_have_their_digests_and_counts() {
    let Some(options) = options() else { return };
    for entry in catalog::CATALOG {
        let Some(location) = entry.locate_part(Part::Train, &options) else { continue };
        match &entry.content {
            Content::Images { counts, shape, classes, normalisation, .. } => {
                let split = data::load(entry.name, &options).unwrap();
                for (images, expected) in [&split.train, &split.test].into_iter().zip(*counts) {
                    assert_eq!((images.len(), images.shape()), (expected, *shape), "{}", entry.name);
                    // All but MNIST are balanced.
                    let even = expected / classes;
                    let slack = if entry.name == "mnist" { even / 5 } else { 0 };
                    let counts = images.counts();
                    assert!(counts.iter().all(|count| count.abs_diff(even) <= slack), "{}: {counts:?}", entry.name);
                }
                let [channels, height, width] = *shape;
                let found = data::Normalisation::measure(split.train.pixels(), channels, height * width);
                // The slice is normalised as the whole it is from.
                let tolerance = if entry.name == "fashion-embedded" { 0.01 } else { 1e-4 };
                let means = found.mean().iter().zip(normalisation.mean());
                means.chain(found.std().iter().zip(normalisation.std())).for_each(|(found, expected)| {
                    assert!((found - expected).abs() < tolerance, "{}: {found}", entry.name);
                });
            }
            Content::Text => {
                let split = DataSet::Published(entry).load(&options).unwrap();
                let Examples::Text(text) = &split.train else { panic!("{}", entry.name) };
                assert!(text.bytes().starts_with(b"Ge1:1 In the beginning God created"), "{}", entry.name);
            }
            Content::Rows { .. } => {
                let rows = entry.read_rows(Part::Train, &location).unwrap();
                assert!(rows.labels().iter().all(|label| [-1.0, 1.0].contains(label)), "{}", entry.name);
                if entry.locate(&options).is_some() {
                    let split = DataSet::Published(entry).load(&options).unwrap();
                    assert_eq!((split.train.classes(), split.test.shape()), (2, split.train.shape()), "{}", entry.name);
                    assert_eq!(DataSet::Published(entry).verify(&options).unwrap(), entry.locate(&options));
                }
            }
        }
    }
}

/// Makes the slice's four files in `out` from the full set: 200 training and 50 test images of each class. Gives the
/// SHA-256 of each one's contents, uncompressed, in the catalogue's order.
fn make_slice(options: &Options, out: &Path) -> Vec<(String, String)> {
    let full = data::load("fashion-mnist", options).unwrap();
    let files = [(&full.train, 200), (&full.test, 50)].map(|(images, count)| {
        let images = images.subset(&first_of_each(images.labels(), count));
        encode(&images)
    });
    let write = |(file, bytes): (&catalog::DataFile, Vec<u8>)| {
        // No name and no time: the same bytes whenever it is made.
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
        encoder.write_all(&bytes).unwrap();
        std::fs::write(out.join(format!("{}.gz", file.name)), encoder.finish().unwrap()).unwrap();
        (file.name.to_owned(), Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    };
    catalog::find("fashion-embedded").unwrap().files.iter().zip(files.concat()).map(write).collect()
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

#[test]
fn the_slice_can_be_made_again() {
    let Some(options) = options() else { return };
    if catalog::find("fashion-mnist").unwrap().locate(&options).is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let made = make_slice(&options, directory.path());
    for ((name, sha256), file) in made.iter().zip(catalog::find("fashion-embedded").unwrap().files) {
        assert_eq!((name.as_str(), sha256.as_str()), (file.name, file.digest.unwrap().hex()));
    }
}

/// Makes the committed slice: see `datasets/README.md`.
#[test]
#[ignore = "writes src/data/fashion"]
fn make_committed_slice() {
    let options = options().expect("BACKBURN_DATA names the directory of the full Fashion-MNIST");
    for (name, sha256) in make_slice(&options, &committed()) {
        println!("{sha256}  {name}");
    }
}
