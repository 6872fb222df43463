//! The binary form of CIFAR-10 and CIFAR-100
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>): records of one or two label bytes and 3,072
//! pixels, the red, green and blue plane of 32 × 32 each.

/// Bytes of one image: three planes of 32 × 32.
pub const IMAGE_BYTES: usize = 3 * 32 * 32;

/// Which labels go before an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// CIFAR-10: one byte.
    Ten,
    /// CIFAR-100: the coarse label, which is skipped, then the fine one.
    Hundred,
}

impl Labels {
    /// Number of classes.
    pub fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }
}

/// Why bytes are not a CIFAR file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CifarError {
    /// Not a whole number of records.
    #[error("{bytes} bytes are not a whole number of records of {record} bytes")]
    Length {
        /// Bytes of the file.
        bytes: usize,
        /// Bytes of a record.
        record: usize,
    },
    /// A label that names no class.
    #[error("record {record} has label {label}, which is not below {classes}")]
    Label {
        /// The record, from 0.
        record: usize,
        /// Its label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
}

/// Appends a file's images to `pixels` and their classes to `out`.
///
/// # Errors
/// On a cut record or a label out of range; then nothing is appended.
pub fn decode(file: &[u8], labels: Labels, pixels: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), CifarError> {
    let record = labels.bytes() + IMAGE_BYTES;
    if !file.len().is_multiple_of(record) {
        return Err(CifarError::Length { bytes: file.len(), record });
    }
    let fine = labels.bytes() - 1;
    let records = || file.chunks_exact(record);
    let wrong = |r: &[u8]| usize::from(r[fine]) >= labels.classes();
    if let Some((index, found)) = records().enumerate().find(|(_, r)| wrong(r)) {
        return Err(CifarError::Label { record: index, label: found[fine], classes: labels.classes() });
    }
    pixels.reserve(file.len());
    for record in records() {
        out.push(record[fine]);
        pixels.extend_from_slice(&record[labels.bytes()..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8], labels: Labels) -> Result<(Vec<u8>, Vec<u8>), CifarError> {
        let (mut pixels, mut out) = (Vec::new(), Vec::new());
        decode(file, labels, &mut pixels, &mut out).map(|()| (pixels, out))
    }

    #[test]
    fn both_forms_are_read() {
        let image: Vec<u8> = (0..IMAGE_BYTES).map(|i| i as u8).collect();
        let ten = [&[7][..], &image, &[0], &image].concat();
        assert_eq!(read(&ten, Labels::Ten), Ok(([&image[..], &image].concat(), vec![7, 0])));
        let hundred = [&[19, 99][..], &image].concat();
        assert_eq!(read(&hundred, Labels::Hundred), Ok((image, vec![99])));
    }

    #[test]
    fn damage_is_named() {
        let mut file = vec![0; 2 * (IMAGE_BYTES + 1)];
        file[IMAGE_BYTES + 1] = 10;
        assert_eq!(read(&file, Labels::Ten), Err(CifarError::Label { record: 1, label: 10, classes: 10 }));
        file.pop();
        assert!(matches!(read(&file, Labels::Ten), Err(CifarError::Length { .. })));
        assert_eq!(read(&[], Labels::Ten), Ok((vec![], vec![])));
    }
}
