//! LIBSVM text: sparse rows for logistic regression.
//!
//! A line is `label index:value …`, indices counted from 1 and ascending; what follows `#` is a
//! comment. Data: <https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/>.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::gzip;

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 1 << 26;
/// Highest feature that is believed: a dense vector of so many floats is still possible.
const MAX_FEATURE: u32 = 1 << 28;

/// Why text is not LIBSVM's. Lines are counted from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibsvmError {
    /// The file cannot be opened.
    #[error(transparent)]
    Open(io::Error),
    /// The text cannot be read or decompressed.
    #[error("line {line}: {source}")]
    Read {
        /// The line.
        line: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A line over 64 MiB.
    #[error("line {line} is longer than {MAX_LINE} bytes")]
    Long {
        /// The line.
        line: usize,
    },
    /// The label is not a finite number.
    #[error("line {line}: `{text}` is not a label: a finite number is expected")]
    Label {
        /// The line.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A feature is not `index:value`.
    #[error(
        "line {line}: `{text}` is not a feature: `index:value` is expected, the index from 1 to {MAX_FEATURE}, the value finite"
    )]
    Feature {
        /// The line.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Indices repeat or descend.
    #[error("line {line}: index {index} does not ascend from {before}")]
    Order {
        /// The line.
        line: usize,
        /// The index before.
        before: u32,
        /// The index.
        index: u32,
    },
    /// A row has a feature that the set it is to match does not have.
    #[error("the rows have {found} features, which is over {wanted}")]
    Width {
        /// Features found.
        found: usize,
        /// Features wanted.
        wanted: usize,
    },
}

/// Labelled sparse rows, compressed by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Libsvm {
    starts: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f32>,
    labels: Vec<f32>,
    features: usize,
}

impl Libsvm {
    /// Reads a file, gzip or plain.
    ///
    /// # Errors
    /// Where it cannot be read, or names the line that is not LIBSVM text.
    pub fn open(path: &Path) -> Result<Self, LibsvmError> {
        let file = File::open(path).map_err(LibsvmError::Open)?;
        Self::read(gzip::plain(BufReader::new(file)).map_err(LibsvmError::Open)?)
    }

    /// Reads plain text; a byte order mark before it is passed over.
    ///
    /// # Errors
    /// Names the first line that is not LIBSVM text.
    pub fn read(mut text: impl BufRead) -> Result<Self, LibsvmError> {
        let mut rows = Self { starts: vec![0], ..Self::default() };
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let read = text.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes);
            match read.map_err(|source| LibsvmError::Read { line, source })? {
                0 => break,
                n if n as u64 > MAX_LINE => return Err(LibsvmError::Long { line }),
                _ => {
                    let text = String::from_utf8_lossy(&bytes);
                    let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { &text };
                    rows.push(text, line)?;
                }
            }
        }
        Ok(rows)
    }

    fn push(&mut self, text: &str, line: usize) -> Result<(), LibsvmError> {
        let text = text.split_once('#').map_or(text, |(text, _)| text);
        let mut words = text.split_ascii_whitespace();
        let Some(label) = words.next() else {
            return Ok(());
        };
        let label = finite(label).ok_or_else(|| LibsvmError::Label { line, text: label.into() })?;
        let mut before = 0;
        for word in words {
            let (index, value) = feature(word).ok_or_else(|| LibsvmError::Feature { line, text: word.into() })?;
            if index <= before {
                return Err(LibsvmError::Order { line, before, index });
            }
            before = index;
            self.indices.push(index - 1);
            self.values.push(value);
        }
        self.labels.push(label);
        self.starts.push(self.indices.len());
        self.features = self.features.max(before as usize);
        Ok(())
    }

    /// The same rows in `features` columns: a test set often lacks the last features of the
    /// training set.
    ///
    /// # Errors
    /// Where a row has more.
    pub fn with_features(self, features: usize) -> Result<Self, LibsvmError> {
        match self.features <= features {
            true => Ok(Self { features, ..self }),
            false => Err(LibsvmError::Width { found: self.features, wanted: features }),
        }
    }

    /// A copy of the rows with these indices, in that order, in as many columns.
    ///
    /// # Panics
    /// Unless all are below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Self {
        let mut rows = Self { starts: vec![0], features: self.features, ..Self::default() };
        for i in indices {
            let (columns, values) = self.row(*i);
            rows.indices.extend_from_slice(columns);
            rows.values.extend_from_slice(values);
            rows.labels.push(self.labels[*i]);
            rows.starts.push(rows.indices.len());
        }
        rows
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of columns.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of entries that are stored.
    pub fn entries(&self) -> usize {
        self.values.len()
    }

    /// The labels as they are in the file, −1 and +1 for two classes.
    pub fn labels(&self) -> &[f32] {
        &self.labels
    }

    /// Row `i`: its columns, counted from 0 and ascending, and its values.
    ///
    /// # Panics
    /// Unless `i` is below [`len`](Self::len).
    pub fn row(&self, i: usize) -> (&[u32], &[f32]) {
        let range = self.starts[i]..self.starts[i + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// Row `i` times a dense vector, summed in double precision.
    ///
    /// # Panics
    /// Unless `i` is below [`len`](Self::len) and `w` has at least [`features`](Self::features)
    /// elements.
    pub fn dot(&self, i: usize, w: &[f32]) -> f64 {
        let (columns, values) = self.row(i);
        columns.iter().zip(values).map(|(j, a)| f64::from(*a) * f64::from(w[*j as usize])).sum()
    }

    /// `out += scale · row i`.
    ///
    /// # Panics
    /// As [`dot`](Self::dot).
    pub fn add_scaled(&self, i: usize, scale: f32, out: &mut [f32]) {
        let (columns, values) = self.row(i);
        columns.iter().zip(values).for_each(|(j, a)| out[*j as usize] += scale * a);
    }

    /// Squared Euclidean norm of row `i`.
    ///
    /// # Panics
    /// Unless `i` is below [`len`](Self::len).
    pub fn norm_squared(&self, i: usize) -> f64 {
        self.row(i).1.iter().map(|a| f64::from(*a).powi(2)).sum()
    }
}

fn finite(text: &str) -> Option<f32> {
    text.parse().ok().filter(|x: &f32| x.is_finite())
}

fn feature(word: &str) -> Option<(u32, f32)> {
    let (index, value) = word.split_once(':')?;
    let index = index.parse().ok().filter(|i| (1..=MAX_FEATURE).contains(i))?;
    Some((index, finite(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Libsvm, LibsvmError> {
        Libsvm::read(text.as_bytes())
    }

    #[test]
    fn rows_comments_and_blank_lines() {
        assert_eq!(read("\u{feff}+1 1:2\n").unwrap(), read("+1 1:2\n").unwrap());
        assert!(read("+1 1:2\n\u{feff}+1 1:2\n").is_err());
        let rows = read("# two rows\n+1 1:0.5 3:-2 # end\n\n-1\t2:1e1\r\n-1").unwrap();
        assert_eq!((rows.len(), rows.features(), rows.entries()), (3, 3, 3));
        assert_eq!(rows.labels(), [1.0, -1.0, -1.0]);
        assert_eq!(rows.row(0), (&[0, 2][..], &[0.5, -2.0][..]));
        assert_eq!(rows.row(2), (&[][..], &[][..]));
        assert_eq!(rows.dot(0, &[2.0, 9.0, 1.0]), -1.0);
        assert_eq!(rows.norm_squared(0), 4.25);
        let mut out = [0.0, 1.0, 0.0];
        rows.add_scaled(1, 0.5, &mut out);
        assert_eq!(out, [0.0, 6.0, 0.0]);
        let subset = rows.subset(&[1, 0]);
        assert_eq!((subset.labels(), subset.row(1), subset.features()), (&[-1.0, 1.0][..], rows.row(0), 3));
    }

    #[test]
    fn width_can_be_matched() {
        assert_eq!(read("1 2:1").unwrap().with_features(5).unwrap().features(), 5);
        assert!(matches!(read("1 7:1").unwrap().with_features(5), Err(LibsvmError::Width { found: 7, wanted: 5 })));
    }

    #[test]
    fn errors_name_the_line() {
        let message = |text: &str| read(text).unwrap_err().to_string();
        assert!(message("1 1:1\nx 1:1").starts_with("line 2: `x` is not a label"));
        for word in ["1", "0:1", "-1:1", "a:1", "1:nan", "1:inf", "1:", ":1", "qid:3", "4294967297:1", "999999999:1"] {
            assert!(message(&format!("1 {word}")).starts_with("line 1: `"), "{word}");
        }
        assert_eq!(message("1 2:1 2:1"), "line 1: index 2 does not ascend from 2");
        assert!(message("nan 1:1").contains("finite"));
    }

    #[test]
    fn files_may_be_compressed_and_cut() {
        use std::io::Write;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"1 1:1\n-1 2:2\n").unwrap();
        let bytes = encoder.finish().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Libsvm::open(&path).unwrap().labels(), [1.0, -1.0]);
        std::fs::write(&path, [&bytes[..], b"tail"].concat()).unwrap();
        assert!(Libsvm::open(&path).unwrap_err().to_string().contains("follow the end of the compressed data"));
        std::fs::write(&path, &bytes[..bytes.len() - 6]).unwrap();
        assert!(matches!(Libsvm::open(&path), Err(LibsvmError::Read { .. })));
        assert!(matches!(Libsvm::open(&directory.path().join("none")), Err(LibsvmError::Open(_))));
    }
    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "([+-]?[0-9]{1,3}|[0-9]{0,11}:[-0-9.e]{0,9}|[#\n\r\t :x]){0,40}", bytes: Vec<u8>) {
            let _ = read(&text);
            let _ = Libsvm::read(&bytes[..]);
        }

        #[test]
        fn what_is_written_is_read(rows in proptest::collection::vec(
            (-9i32..9, proptest::collection::btree_map(1u32..1000, -1e3f32..1e3, 0..20)), 0..20
        )) {
            let line = |(label, row): &(i32, std::collections::BTreeMap<u32, f32>)| {
                row.iter().fold(label.to_string(), |line, (j, a)| format!("{line} {j}:{a}")) + "\n"
            };
            let read = read(&rows.iter().map(line).collect::<String>()).unwrap();
            proptest::prop_assert_eq!(read.len(), rows.len());
            for (i, (label, row)) in rows.iter().enumerate() {
                proptest::prop_assert_eq!(read.labels()[i], *label as f32);
                let (columns, values) = read.row(i);
                proptest::prop_assert!(columns.iter().map(|j| j + 1).eq(row.keys().copied()));
                proptest::prop_assert!(values.iter().eq(row.values()));
            }
        }
    }
}
