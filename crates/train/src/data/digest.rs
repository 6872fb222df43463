//! Digests by which files are recognised.

use std::fmt;
use std::io::{self, Read};

/// The published digest of a file's contents, in lower-case hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256(&'static str),
    /// SHA-1, for files of which nothing better was published. It recognises damage, not malice.
    Sha1(&'static str),
}

impl Digest {
    /// Compares bytes.
    ///
    /// # Errors
    /// The digest found, where they have another.
    pub fn check(self, bytes: &[u8]) -> Result<(), String> {
        // Reading from memory does not fail.
        self.check_reader(bytes).unwrap_or_else(|error| Err(error.to_string()))
    }

    /// As [`check`](Self::check), over all that `reader` gives.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn check_reader(self, mut reader: impl Read) -> io::Result<Result<(), String>> {
        let found = match self {
            Self::Sha256(_) => hash::<sha2::Sha256>(&mut reader)?,
            Self::Sha1(_) => hash::<sha1::Sha1>(&mut reader)?,
        };
        Ok(if found == self.hex() { Ok(()) } else { Err(found) })
    }

    /// The digits.
    pub fn hex(self) -> &'static str {
        match self {
            Self::Sha256(hex) | Self::Sha1(hex) => hex,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Sha256(_) => "sha256",
            Self::Sha1(_) => "sha1",
        };
        write!(f, "{name}:{}", self.hex())
    }
}

fn hash<D: sha2::Digest>(reader: &mut impl Read) -> io::Result<String> {
    let mut state = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hex(&state.finalize())),
            n => state.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let sha256 = Digest::Sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let sha1 = Digest::Sha1("a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!((sha256.check(b"abc"), sha1.check(b"abc")), (Ok(()), Ok(())));
        assert_eq!(sha1.check(b"").unwrap_err(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    }
}
