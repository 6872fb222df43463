//! IDX, the format of MNIST: a magic number, the dimensions, then bytes.
//!
//! | bytes | content |
//! |---|---|
//! | 2 | zero |
//! | 1 | type of the elements; only 0x08, unsigned bytes, is read here |
//! | 1 | number of dimensions |
//! | 4 each | the dimensions, big-endian |
//! | rest | elements, row by row |

use std::io::{self, Read};

use super::gzip::{Gunzip, is_gzip};

/// More elements than any set that fits into memory comfortably.
const MAX_ELEMENTS: usize = 1 << 30;

/// Why bytes are not an IDX file of unsigned bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The file ends within the header, or cannot be decompressed.
    #[error("not a complete IDX header: {0}")]
    Header(io::Error),
    /// The first two bytes are not zero.
    #[error("not an IDX file: it begins with {0:02x?}")]
    Magic([u8; 4]),
    /// The elements are not unsigned bytes.
    #[error("IDX elements of type {0:#04x} are not supported, only unsigned bytes (0x08)")]
    Type(u8),
    /// Not the number of dimensions that was asked for.
    #[error("an IDX file of {found} dimensions, expected {expected}")]
    Rank {
        /// Dimensions found.
        found: usize,
        /// Dimensions expected.
        expected: usize,
    },
    /// The dimensions announce too much.
    #[error("IDX dimensions {0:?} are too large")]
    TooLarge(Vec<usize>),
    /// Fewer or more elements than announced.
    #[error("IDX dimensions {dims:?} announce {} bytes, the file holds {}{found}", dims.iter().product::<usize>(), if *more { "at least " } else { "" })]
    Length {
        /// The dimensions.
        dims: Vec<usize>,
        /// Elements found.
        found: usize,
        /// Whether reading stopped before the end.
        more: bool,
    },
    /// The elements cannot be read or decompressed.
    #[error("the elements cannot be read: {0}")]
    Body(io::Error),
}

/// An array of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx<const D: usize> {
    /// The dimensions, outermost first.
    pub dims: [usize; D],
    /// The elements, row by row.
    pub data: Vec<u8>,
}

impl<const D: usize> Idx<D> {
    /// Reads a file's bytes, gzip or plain.
    ///
    /// Memory grows with what is there, not with what the header announces.
    ///
    /// # Errors
    /// On anything but exactly one array of `D` dimensions.
    pub fn decode(bytes: &[u8]) -> Result<Self, IdxError> {
        match is_gzip(bytes) {
            true => Self::read(Gunzip::new(bytes)),
            false => Self::read(bytes),
        }
    }

    fn read(mut reader: impl Read) -> Result<Self, IdxError> {
        let mut magic = [0; 4];
        reader.read_exact(&mut magic).map_err(IdxError::Header)?;
        let [0, 0, kind, rank] = magic else {
            return Err(IdxError::Magic(magic));
        };
        if kind != 8 {
            return Err(IdxError::Type(kind));
        }
        if usize::from(rank) != D {
            return Err(IdxError::Rank { found: rank.into(), expected: D });
        }
        let mut dims = [0; D];
        for dim in &mut dims {
            let mut bytes = [0; 4];
            reader.read_exact(&mut bytes).map_err(IdxError::Header)?;
            *dim = u32::from_be_bytes(bytes) as usize;
        }
        let elements = dims.iter().try_fold(1usize, |a, b| a.checked_mul(*b));
        let Some(elements) = elements.filter(|n| *n <= MAX_ELEMENTS) else {
            return Err(IdxError::TooLarge(dims.to_vec()));
        };
        let mut data = Vec::new();
        // One byte more than announced, to see whether there is one.
        reader.take(elements as u64 + 1).read_to_end(&mut data).map_err(IdxError::Body)?;
        match data.len() == elements {
            true => Ok(Self { dims, data }),
            false => {
                let (found, more) = (data.len(), data.len() > elements);
                Err(IdxError::Length { dims: dims.to_vec(), found, more })
            }
        }
    }

    /// The plain file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, D as u8];
        self.dims.iter().for_each(|dim| bytes.extend((*dim as u32).to_be_bytes()));
        bytes.extend(&self.data);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn sample() -> Idx<2> {
        Idx { dims: [2, 3], data: vec![1, 2, 3, 4, 5, 6] }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_compressed_files_round_trip() {
        let bytes = sample().encode();
        assert_eq!(bytes[..8], [0, 0, 8, 2, 0, 0, 0, 2]);
        assert_eq!(Idx::decode(&bytes).unwrap(), sample());
        assert_eq!(Idx::decode(&gzip(&bytes)).unwrap(), sample());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let (plain, gz) = (sample().encode(), gzip(&sample().encode()));
        (0..plain.len()).for_each(|n| assert!(Idx::<2>::decode(&plain[..n]).is_err(), "plain, {n}"));
        (0..gz.len()).for_each(|n| assert!(Idx::<2>::decode(&gz[..n]).is_err(), "gzip, {n}"));
    }

    #[test]
    fn hostile_files_get_errors() {
        let decode = |bytes: &[u8]| Idx::<2>::decode(bytes).unwrap_err();
        let mut longer = sample().encode();
        longer.push(0);
        assert!(matches!(decode(&longer), IdxError::Length { more: true, .. }));
        assert!(matches!(decode(&[0, 0, 9, 2]), IdxError::Type(9)));
        assert!(matches!(decode(&[0, 0, 8, 3]), IdxError::Rank { found: 3, expected: 2 }));
        assert!(matches!(decode(b"<html>"), IdxError::Magic(_)));
        let huge = [&[0, 0, 8, 2][..], &[255; 8]].concat();
        assert!(matches!(decode(&huge), IdxError::TooLarge(_)));
        // A small file that announces a gigabyte must not allocate one.
        let large = [&[0, 0, 8, 2][..], &[0, 0, 128, 0, 0, 0, 128, 0]].concat();
        assert!(matches!(decode(&large), IdxError::Length { found: 0, more: false, .. }));
    }
    proptest::proptest! {
        #[test]
        fn no_bytes_panic(header in 0usize..5, bytes: Vec<u8>) {
            let _ = Idx::<1>::decode(&[&[0, 0, 8, 1, 0][..header], &bytes].concat());
            let _ = Idx::<3>::decode(&[&[0x1f, 0x8b, 8, 0, 0][..header], &bytes].concat());
        }
    }
}
