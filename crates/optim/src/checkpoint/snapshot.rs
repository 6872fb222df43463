//! A run's state as named vectors and numbers, in one safetensors file.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::PathBuf;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::host::ModelError;

/// Named vectors, numbers and texts. Vectors keep their bits; numbers are stored exactly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Vectors.
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// Numbers, as the bits of f64 or as counters.
    pub numbers: BTreeMap<String, u64>,
    /// Texts: forms of the method and compressor, the run's configuration.
    pub texts: BTreeMap<String, String>,
}

/// Why a snapshot was not written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// Read, write, ….
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a snapshot, or a damaged one.
    #[error("`{name}` is not a Backburn snapshot or is damaged: {why}")]
    Damaged {
        /// The file, or where the bytes came from.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// It lacks something that the run needs.
    #[error("the snapshot has no `{0}`")]
    Missing(String),
    /// It was made by another run.
    #[error("the snapshot is of {what} {found}; this run has {expected}")]
    Other {
        /// What differs.
        what: &'static str,
        /// As saved.
        found: String,
        /// As needed.
        expected: String,
    },
    /// The model is not the one that the group works on.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It holds a piece of a state that the run does not have.
    #[error("the snapshot has `{0}`, which this run does not")]
    Leftover(String),
    /// A parameter of another shape.
    #[error("`{path}` has the shape {found:?} in the snapshot and {expected:?} in this run")]
    Shape {
        /// The parameter's path.
        path: String,
        /// As saved.
        found: Vec<usize>,
        /// As needed.
        expected: Vec<usize>,
    },
    /// A vector of another length.
    #[error("`{name}` has {found} coordinates in the snapshot and {expected} in this run")]
    Length {
        /// The vector.
        name: String,
        /// As saved.
        found: usize,
        /// As needed.
        expected: usize,
    },
    /// Two processes' parts of a snapshot that do not belong together.
    #[error("the parts do not belong together: they differ in `{0}`")]
    Parts(String),
    /// Something that only means anything for its own worker.
    #[error(
        "`{0}` is its own worker's alone, and cannot be divided among another number of workers. Resume with as many workers, or start anew from the weights"
    )]
    Indivisible(String),
    /// A worker whose state is of another step than the others': its residual stands in units of
    /// another step size, say.
    #[error(
        "worker {0} was absent lately, so its state cannot be re-divided with the others'; change the number of workers after a round in which all take part"
    )]
    Apart(usize),
}

const MAGIC: &str = "backburn";
const VERSION: &str = "2";
const CHECKSUM: &str = "crc32c";

impl Snapshot {
    /// Stores a real number.
    pub fn set_real(&mut self, name: impl Into<String>, value: f64) {
        self.numbers.insert(name.into(), value.to_bits());
    }

    /// Reads a real number.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn real(&self, name: &str) -> Result<f64, SnapshotError> {
        self.number(name).map(f64::from_bits)
    }

    /// Reads a counter.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn number(&self, name: &str) -> Result<u64, SnapshotError> {
        self.numbers.get(name).copied().ok_or_else(|| SnapshotError::Missing(name.into()))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn text(&self, name: &str) -> Result<&str, SnapshotError> {
        self.texts.get(name).map(String::as_str).ok_or_else(|| SnapshotError::Missing(name.into()))
    }

    /// Reads a vector.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn vector(&self, name: &str) -> Result<&[f32], SnapshotError> {
        self.vectors.get(name).map(Vec::as_slice).ok_or_else(|| SnapshotError::Missing(name.into()))
    }

    /// A safetensors file's bytes: vectors as F32 tensors, the rest in the metadata, and a CRC-32C
    /// over all of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut metadata: HashMap<String, String> = HashMap::new();
        metadata.insert("format".into(), format!("{MAGIC} {VERSION}"));
        metadata.extend(self.numbers.iter().map(|(k, v)| (format!("n:{k}"), v.to_string())));
        metadata.extend(self.texts.iter().map(|(k, v)| (format!("t:{k}"), v.clone())));
        metadata.insert(CHECKSUM.into(), format!("{:08x}", self.checksum()));
        let little: Vec<(&String, Vec<u8>)> =
            self.vectors.iter().map(|(k, v)| (k, v.iter().flat_map(|x| x.to_le_bytes()).collect())).collect();
        let views = little.iter().map(|(k, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes);
            ((*k).clone(), view.expect("four bytes a float"))
        });
        safetensors::tensor::serialize(views, Some(metadata)).expect("names and shapes are valid")
    }

    /// Reads such bytes; `name` says in errors where they came from.
    ///
    /// # Errors
    /// Where they are damaged, or of another format.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, SnapshotError> {
        let damaged = |why: String| SnapshotError::Damaged { name: name.into(), why };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(e.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let format = metadata.get("format").cloned().unwrap_or_default();
        if format != format!("{MAGIC} {VERSION}") {
            return Err(damaged(format!("its format is `{format}`, not `{MAGIC} {VERSION}`")));
        }
        let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(e.to_string()))?;
        let mut snapshot = Self::default();
        for (key, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(damaged(format!("`{key}` is not of 32-bit floats")));
            }
            let values = view.data().chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]));
            snapshot.vectors.insert(key, values.collect());
        }
        for (key, value) in &metadata {
            if let Some(key) = key.strip_prefix("n:") {
                let number = value.parse().map_err(|_| damaged(format!("the number `{key}` is `{value}`")))?;
                snapshot.numbers.insert(key.into(), number);
            } else if let Some(key) = key.strip_prefix("t:") {
                snapshot.texts.insert(key.into(), value.clone());
            }
        }
        let said = metadata.get(CHECKSUM).cloned().unwrap_or_default();
        let computed = format!("{:08x}", snapshot.checksum());
        if said != computed {
            return Err(damaged(format!("its checksum is `{said}`, its contents give `{computed}`")));
        }
        Ok(snapshot)
    }

    fn checksum(&self) -> u32 {
        let text = self.numbers.iter().map(|(k, v)| format!("{k}={v};"));
        let text = text.chain(self.texts.iter().map(|(k, v)| format!("{k}={v};")));
        let crc = text.fold(0, |crc, t| crc32c::crc32c_append(crc, t.as_bytes()));
        self.vectors.iter().fold(crc, |crc, (k, v)| {
            let crc = crc32c::crc32c_append(crc, k.as_bytes());
            v.iter().fold(crc32c::crc32c_append(crc, &(v.len() as u64).to_le_bytes()), |crc, x| {
                crc32c::crc32c_append(crc, &x.to_le_bytes())
            })
        })
    }
}
