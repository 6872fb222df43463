//! The LIBSVM sets of the papers: where they come from, where they are looked for, how they are known.

use std::path::PathBuf;

use super::digest::Digest;
use super::error::DataError;
use super::libsvm::Libsvm;
use super::options::Options;

/// One file of a set, training or test rows.
#[derive(Clone, Copy, Debug)]
pub struct LibsvmFile {
    /// Its name; on disk `.gz` may follow.
    pub name: &'static str,
    /// Number of rows.
    pub rows: usize,
    /// The highest feature that occurs.
    pub features: usize,
    /// Rows labelled −1 and +1, where known.
    pub counts: Option<[usize; 2]>,
    /// The digest of the text, where known.
    pub digest: Option<Digest>,
}

/// What is known of a set of two classes.
#[derive(Clone, Copy, Debug)]
pub struct LibsvmSet {
    /// The name of the set, and of its training file.
    pub name: &'static str,
    /// Where its files are published.
    pub urls: &'static [&'static str],
    /// Its files, the training rows first.
    pub files: &'static [LibsvmFile],
}

const fn file(
    name: &'static str,
    rows: usize,
    features: usize,
    counts: [usize; 2],
    sha256: &'static str,
) -> LibsvmFile {
    LibsvmFile { name, rows, features, counts: Some(counts), digest: Some(Digest::Sha256(sha256)) }
}

/// All sets.
pub static LIBSVM_SETS: &[LibsvmSet] = &[
    LibsvmSet {
        name: "a9a",
        urls: &[
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/a9a",
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/a9a.t",
        ],
        files: &[
            file(
                "a9a",
                32_561,
                123,
                [24_720, 7_841],
                "f5d5ffd8d865ff41328e7ee043e4b020816914ff6843ff15b98905ddbedce906",
            ),
            file(
                "a9a.t",
                16_281,
                122,
                [12_435, 3_846],
                "1f448a153f0320399a7e40836eb207655b0bde0f21fc941cc472193daa9f5de9",
            ),
        ],
    },
    LibsvmSet {
        name: "w8a",
        urls: &[
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/w8a",
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/w8a.t",
        ],
        files: &[
            file(
                "w8a",
                49_749,
                300,
                [48_270, 1_479],
                "6a9fa8fd5f524303240a5db07d4b3d4a51e8b7b4b20a914105d8e3e8c81640f2",
            ),
            file(
                "w8a.t",
                14_951,
                300,
                [14_497, 454],
                "618929ecb01bebb841daec4cae4aa07b97832d29b08652452775598929547fde",
            ),
        ],
    },
    LibsvmSet {
        name: "real-sim",
        urls: &["https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/real-sim.bz2"],
        files: &[LibsvmFile { name: "real-sim", rows: 72_309, features: 20_958, counts: None, digest: None }],
    },
];

/// The set of this name.
pub fn find(name: &str) -> Option<&'static LibsvmSet> {
    LIBSVM_SETS.iter().find(|set| set.name == name)
}

impl LibsvmSet {
    /// Where the training rows are, plain or as gzip: under the data directory first, then in the cache.
    pub fn locate(&self, options: &Options) -> Option<PathBuf> {
        self.locate_file(self.name, options)
    }

    /// As [`locate`](Self::locate), for any file of the set.
    pub fn locate_file(&self, file: &str, options: &Options) -> Option<PathBuf> {
        let names = [file.to_owned(), format!("{file}.gz")];
        let paths = self.places(options).into_iter().flat_map(|place| names.clone().map(|name| place.join(name)));
        paths.into_iter().find(|path| path.is_file())
    }

    /// The training rows, with the set's number of rows and features.
    ///
    /// # Errors
    /// Where they are not at hand, are not LIBSVM text, or are others than those published.
    pub fn load(&self, options: &Options) -> Result<Libsvm, DataError> {
        let path = self.locate(options).ok_or_else(|| missing(self.name, options))?;
        let (rows, known) = (Libsvm::open(&path)?, &self.files[0]);
        if (rows.len(), rows.features()) != (known.rows, known.features) {
            let found = [rows.len(), rows.features()];
            return Err(DataError::LibsvmShape { path, found, expected: [known.rows, known.features] });
        }
        Ok(rows)
    }

    fn places(&self, options: &Options) -> Vec<PathBuf> {
        let roots = options.data_dir.clone().into_iter().chain(options.cache());
        roots.flat_map(|root| [root.join("libsvm"), root.join(self.name), root]).collect()
    }
}

/// Says that a set is nowhere, where it was looked for, and what to do.
pub fn missing(name: &str, options: &Options) -> DataError {
    let Some(set) = find(name) else {
        let known = LIBSVM_SETS.iter().map(|set| set.name).collect::<Vec<_>>().join(", ");
        return DataError::Unknown { name: name.into(), known };
    };
    let mut advice = format!("Get it from\n  {}\nand put it into ", set.urls.join("\n  "));
    match options.cache() {
        Some(cache) => advice += &format!("{}, or say --data-dir.", cache.join("libsvm").display()),
        None => advice += "a directory given by --data-dir.",
    }
    let packed = format!("{name}.bz2");
    if set.urls.iter().any(|url| url.ends_with(".bz2")) {
        let found = set.places(options).into_iter().map(|place| place.join(&packed)).find(|path| path.is_file());
        let path = found.map_or(packed, |path| path.display().to_string());
        advice += &format!("\nIt is read plain or as gzip, so decompress it first: bunzip2 {path}");
    }
    let reasons = set.places(options).iter().map(|place| format!("not in {}", place.display())).collect();
    DataError::Unavailable { name: set.name, reasons, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(directory: &std::path::Path) -> Options {
        let (data_dir, cache_dir) = (Some(directory.join("data")), Some(directory.join("cache")));
        Options { data_dir, cache_dir, offline: true, progress: false }
    }

    #[test]
    fn found_in_the_data_directory_and_in_the_cache() {
        let directory = tempfile::tempdir().unwrap();
        let options = at(directory.path());
        let set = find("a9a").unwrap();
        for place in ["cache/libsvm/a9a.gz", "cache/a9a/a9a", "data/a9a", "data/libsvm/a9a"] {
            let path = directory.path().join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let before = set.locate(&options);
            // A directory of the set's name is no file.
            if path.is_dir() {
                continue;
            }
            std::fs::write(&path, "1 1:1\n").unwrap();
            assert!(set.locate(&options).is_some() && set.locate(&options) != before || place == "cache/a9a/a9a");
        }
        assert_eq!(set.locate(&options), Some(directory.path().join("data/libsvm/a9a")));
        let message = set.load(&options).unwrap_err().to_string();
        assert!(message.contains("1 rows") && message.contains("32561"), "{message}");
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let options = at(directory.path());
        let message = find("real-sim").unwrap().load(&options).unwrap_err().to_string();
        for part in ["binary/real-sim.bz2", "--data-dir", "bunzip2 real-sim.bz2", "cache/libsvm"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let packed = directory.path().join("data/real-sim.bz2");
        std::fs::create_dir_all(packed.parent().unwrap()).unwrap();
        std::fs::write(&packed, b"BZh9").unwrap();
        let message = find("real-sim").unwrap().load(&options).unwrap_err().to_string();
        assert!(message.contains(&format!("bunzip2 {}", packed.display())), "{message}");
        assert!(!missing("a9a", &options).to_string().contains("bunzip2"));
    }
}
