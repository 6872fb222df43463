//! A folder of pictures, a folder a class: `DIR/CLASS/*.png`.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use png::{ColorType, Decoder, Limits, Transformations};

/// Most bytes that one decoded picture may have.
const MAX_PICTURE: usize = 1 << 26;

/// Why a folder is not one of labelled pictures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Something in it cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No folder with a picture in it.
    #[error("{} has no folder with PNGs in it: one a class is expected", .0.display())]
    Empty(PathBuf),
    /// More classes than a byte can name.
    #[error("{} has {found} folders; 256 classes are the most", path.display())]
    Classes {
        /// The folder.
        path: PathBuf,
        /// Folders in it.
        found: usize,
    },
    /// A class that is not among those trained on.
    #[error("{} is a class that is not trained on", .0.display())]
    Class(PathBuf),
    /// Not a PNG, or a damaged one.
    #[error("{}: {source}", path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: png::DecodingError,
    },
    /// A picture of another size than the first.
    #[error("{} has {found:?} pixels (rows, columns), the first picture {expected:?}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Rows and columns of the first picture.
        expected: [usize; 2],
        /// Its own.
        found: [usize; 2],
    },
}

/// Pictures as planes of bytes, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Pixels of all, image by image, in planes.
    pub pixels: Vec<u8>,
    /// The class of each.
    pub labels: Vec<u8>,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// The classes' names, ascending.
    pub classes: Vec<String>,
}

/// Reads a folder. Grey pictures have one channel; where one has colours, all have three. Transparency is dropped.
///
/// With `classes` the folders' names must be among these, and name them; otherwise they are all there are.
///
/// # Errors
/// Where it is not such a folder; names the picture that cannot be read.
pub fn read(directory: &Path, classes: Option<&[String]>) -> Result<Pictures, FolderError> {
    let own = folders(directory)?;
    let classes = classes.map_or_else(|| own.iter().map(|(name, _)| name.clone()).collect(), <[String]>::to_vec);
    if classes.len() > 256 {
        return Err(FolderError::Classes { path: directory.to_owned(), found: classes.len() });
    }
    let mut size = None;
    let (mut pictures, mut labels) = (Vec::new(), Vec::new());
    for (name, path) in own {
        let class = classes.iter().position(|known| *known == name).ok_or(FolderError::Class(path.clone()))?;
        for file in pngs(&path)? {
            let picture = picture(&file)?;
            let expected = *size.get_or_insert(picture.size);
            if picture.size != expected {
                return Err(FolderError::Size { path: file, expected, found: picture.size });
            }
            pictures.push(picture);
            labels.push(class as u8);
        }
    }
    let Some([height, width]) = size else {
        return Err(FolderError::Empty(directory.to_owned()));
    };
    let channels = pictures.iter().map(|p| p.channels).max().unwrap_or(1);
    let plane = height * width;
    let mut pixels = Vec::with_capacity(pictures.len() * channels * plane);
    for picture in &pictures {
        for channel in 0..channels {
            // A grey picture among coloured ones has three planes of the same.
            let channel = channel.min(picture.channels - 1);
            pixels.extend(picture.samples.chunks_exact(picture.stride).map(|pixel| pixel[channel]));
        }
    }
    Ok(Pictures { pixels, labels, shape: [channels, height, width], classes })
}

/// Samples as they come, pixel by pixel.
struct Picture {
    size: [usize; 2],
    /// 1 or 3.
    channels: usize,
    /// Samples a pixel, transparency included.
    stride: usize,
    samples: Vec<u8>,
}

fn picture(path: &Path) -> Result<Picture, FolderError> {
    let file = File::open(path).map_err(io_at(path))?;
    let wrong = |source| FolderError::Png { path: path.to_owned(), source };
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_limits(Limits { bytes: MAX_PICTURE });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(wrong)?;
    let bytes = reader.output_buffer_size().filter(|bytes| *bytes <= MAX_PICTURE);
    let mut samples = vec![0; bytes.ok_or_else(|| wrong(png::DecodingError::LimitsExceeded))?];
    let info = reader.next_frame(&mut samples).map_err(wrong)?;
    samples.truncate(info.buffer_size());
    let channels = if matches!(info.color_type, ColorType::Grayscale | ColorType::GrayscaleAlpha) { 1 } else { 3 };
    let size = [info.height as usize, info.width as usize];
    Ok(Picture { size, channels, stride: info.color_type.samples(), samples })
}

/// The folders in a folder, by name.
fn folders(directory: &Path) -> Result<Vec<(String, PathBuf)>, FolderError> {
    let mut found: Vec<_> = entries(directory)?.into_iter().filter(|path| path.is_dir()).map(named).collect();
    found.retain(|(name, _)| !name.starts_with('.'));
    Ok(found)
}

fn pngs(directory: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut files = entries(directory)?;
    files.retain(|path| path.is_file() && path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")));
    Ok(files)
}

/// What is in a folder, by name: a system lists it in any order.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let list =
        fs::read_dir(directory).and_then(|list| list.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let mut list = list.map_err(io_at(directory))?;
    list.sort();
    Ok(list)
}

fn named(path: PathBuf) -> (String, PathBuf) {
    (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, color: ColorType, [height, width]: [u32; 2], bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
        fs::write(path, out).unwrap();
    }

    #[test]
    fn folders_are_classes_and_pixels_become_planes() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        write(&at("dogs/b.png"), ColorType::Grayscale, [1, 2], &[9, 8]);
        write(&at("cats/a.PNG"), ColorType::GrayscaleAlpha, [1, 2], &[1, 255, 2, 255]);
        fs::write(at("dogs/notes.txt"), "no picture").unwrap();
        let grey = read(directory.path(), None).unwrap();
        assert_eq!((grey.shape, &grey.classes[..]), ([1, 1, 2], &["cats".to_owned(), "dogs".into()][..]));
        assert_eq!((&grey.pixels[..], &grey.labels[..]), (&[1, 2, 9, 8][..], &[0, 1][..]));
        write(&at("dogs/c.png"), ColorType::Rgb, [1, 2], &[1, 2, 3, 4, 5, 6]);
        let coloured = read(directory.path(), None).unwrap();
        assert_eq!((coloured.shape, coloured.labels), ([3, 1, 2], vec![0, 1, 1]));
        assert_eq!(coloured.pixels[6..], [9, 8, 9, 8, 9, 8, 1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let message = || read(directory.path(), None).unwrap_err().to_string();
        assert!(message().contains("one a class is expected"));
        write(&at("a/1.png"), ColorType::Grayscale, [1, 2], &[9, 8]);
        write(&at("b/2.png"), ColorType::Grayscale, [2, 1], &[9, 8]);
        assert!(message().contains("2.png has [2, 1] pixels"), "{}", message());
        fs::write(at("b/2.png"), b"\x89PNG no").unwrap();
        assert!(message().contains("2.png: "), "{}", message());
        let other = read(directory.path(), Some(&["a".into()])).unwrap_err();
        assert!(matches!(other, FolderError::Class(_)), "{other}");
        assert!(matches!(read(&at("none"), None), Err(FolderError::Io { .. })));
    }
}
