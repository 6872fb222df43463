//! The published data sets, where this machine has them: `BACKBURN_DATA` names the directory that is
//! given to `--data-dir` otherwise. Without it these tests look at nothing.

use std::path::{Path, PathBuf};

use backburn_train::data::{self, Libsvm, Options, catalog, fashion, libsvm_sets};

fn options() -> Option<Options> {
    let data_dir = PathBuf::from(std::env::var_os("BACKBURN_DATA")?);
    // A cache that does not exist: only the directory given counts.
    let cache_dir = data_dir.join("no-such-cache");
    Some(Options { data_dir: Some(data_dir), cache_dir: Some(cache_dir), offline: true, progress: false })
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fashion")
}

#[test]
fn published_sets_have_their_digests_and_counts() {
    let Some(options) = options() else { return };
    for entry in catalog::CATALOG {
        if entry.locate(&options).is_none() {
            continue;
        }
        let split = data::load(entry.name, &options).unwrap();
        for (images, expected) in [(&split.train, entry.images[0]), (&split.test, entry.images[1])] {
            assert_eq!((images.len(), images.shape()), (expected, entry.shape), "{}", entry.name);
            // All but MNIST are balanced.
            let counts = images.counts();
            let even = expected / entry.classes;
            let slack = if entry.name == "mnist" { even / 5 } else { 0 };
            assert!(counts.iter().all(|count| count.abs_diff(even) <= slack), "{}: {counts:?}", entry.name);
        }
        let [channels, height, width] = entry.shape;
        let found = data::Normalisation::measure(split.train.pixels(), channels, height * width);
        // The slice is normalised as the whole it is from.
        let tolerance = if entry.name == "fashion-embedded" { 0.01 } else { 1e-4 };
        let expected = &entry.normalisation;
        let pairs = found.mean().iter().zip(expected.mean()).chain(found.std().iter().zip(expected.std()));
        pairs.for_each(|(found, expected)| assert!((found - expected).abs() < tolerance, "{}: {found}", entry.name));
    }
}

#[test]
fn the_slice_can_be_made_again() {
    let Some(options) = options() else { return };
    if catalog::find("fashion-mnist").unwrap().locate(&options).is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let made = fashion::make_slice(&options, directory.path()).unwrap();
    for ((name, sha256), file) in made.iter().zip(catalog::find("fashion-embedded").unwrap().files) {
        assert_eq!((name.as_str(), sha256.as_str()), (file.name, file.digest.hex()));
    }
}

/// Makes the committed slice: see `datasets/README.md`.
#[test]
#[ignore = "writes datasets/fashion"]
fn make_slice() {
    let options = options().expect("BACKBURN_DATA names the directory of the full Fashion-MNIST");
    for (name, sha256) in fashion::make_slice(&options, &committed()).unwrap() {
        println!("{sha256}  {name}");
    }
}

#[test]
fn published_libsvm_sets_have_their_digests_and_counts() {
    let Some(options) = options() else { return };
    for set in libsvm_sets::LIBSVM_SETS {
        for known in set.files {
            let Some(path) = set.locate_file(known.name, &options) else { continue };
            let rows = Libsvm::open(&path).unwrap();
            assert_eq!((rows.len(), rows.features()), (known.rows, known.features), "{}", known.name);
            let count = |wanted: f32| rows.labels().iter().filter(|label| **label == wanted).count();
            let counts = [count(-1.0), count(1.0)];
            assert_eq!(counts.iter().sum::<usize>(), rows.len(), "{}: labels", known.name);
            assert!(known.counts.is_none_or(|known| known == counts), "{}: {counts:?}", known.name);
            if let Some(digest) = known.digest {
                let file = std::fs::File::open(&path).unwrap();
                let plain: Box<dyn std::io::Read> = match path.extension().is_some_and(|e| e == "gz") {
                    true => Box::new(flate2::read::MultiGzDecoder::new(file)),
                    false => Box::new(file),
                };
                assert_eq!(digest.check_reader(plain).unwrap(), Ok(()), "{}", known.name);
            }
        }
    }
}
