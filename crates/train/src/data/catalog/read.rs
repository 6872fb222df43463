//! From a set's files to its examples.

use super::entry::{Content, DataFile, Entry, Format, Part};
use super::files::{Location, contents, path};
use crate::data::error::DataError;
use crate::data::examples::Examples;
use crate::data::formats::cifar;
use crate::data::formats::idx::Idx;
use crate::data::formats::libsvm::Libsvm;
use crate::data::images::Images;
use crate::data::rows::LabelledRows;
use crate::data::split::Split;
use crate::data::text::Text;

impl Entry {
    /// Reads the files at `location`, checking each.
    ///
    /// # Errors
    /// Where one is not the published one.
    pub fn read(&self, location: &Location) -> Result<Split<Examples>, DataError> {
        match &self.content {
            Content::Images { .. } => {
                let part = |part| self.read_images(part, location);
                Ok(Split { train: part(Part::Train)?, test: part(Part::Test)? }.into())
            }
            Content::Text => {
                let mut bytes = Vec::new();
                self.files.iter().try_for_each(|file| contents(file, location).map(|more| bytes.extend(more)))?;
                Ok(Text::split(bytes).into())
            }
            Content::Rows { .. } => {
                let train = self.read_rows(Part::Train, location)?;
                let test = match self.part(Part::Test).next() {
                    Some(_) => Some(self.read_rows(Part::Test, location)?),
                    None => None,
                };
                let split = LabelledRows::split(train, test);
                Ok(split.map_err(|source| DataError::Rows { name: self.name.into(), source })?.into())
            }
        }
    }

    /// The images of one part.
    ///
    /// # Errors
    /// As [`read`](Self::read), and where the set has none.
    pub fn read_images(&self, part: Part, location: &Location) -> Result<Images, DataError> {
        let Content::Images { shape, classes, format, normalisation, .. } = &self.content else {
            return Err(DataError::NotImages(self.name.into()));
        };
        let mut files = self.part(part);
        let (mut pixels, mut labels, mut shape) = (Vec::new(), Vec::new(), *shape);
        match format {
            Format::Idx => {
                if let (Some(images), Some(classes)) = (files.next(), files.next()) {
                    let images: Idx<3> = idx(images, &contents(images, location)?)?;
                    shape = [1, images.dims[1], images.dims[2]];
                    pixels = images.data;
                    labels = idx::<1>(classes, &contents(classes, location)?)?.data;
                }
            }
            Format::Cifar(kind) => {
                for file in files {
                    cifar::decode(&contents(file, location)?, *kind, &mut pixels, &mut labels)
                        .map_err(|source| DataError::Cifar { file: file.name.into(), source })?;
                }
            }
        }
        Images::new(pixels, labels, shape, *classes, normalisation.clone())
            .map_err(|source| DataError::Images { name: self.name.into(), source })
    }

    /// The rows of one part.
    ///
    /// # Errors
    /// As [`read`](Self::read), and where the set has none.
    pub fn read_rows(&self, part: Part, location: &Location) -> Result<Libsvm, DataError> {
        let (Content::Rows { counts, features }, Some(file)) = (&self.content, self.part(part).next()) else {
            return Err(DataError::NotRows(self.name.into()));
        };
        let path = path(file, location);
        let rows = Libsvm::read(&contents(file, location)?[..]);
        let rows = rows.map_err(|source| DataError::Libsvm { path: path.clone(), source })?;
        let count = counts[usize::from(part == Part::Test)];
        let fits = rows.len() == count && (part == Part::Test || rows.features() == *features);
        if !fits {
            let found = [rows.len(), rows.features()];
            return Err(DataError::LibsvmShape { path, found, expected: [count, *features] });
        }
        Ok(rows)
    }
}

fn idx<const D: usize>(file: &DataFile, bytes: &[u8]) -> Result<Idx<D>, DataError> {
    Idx::decode(bytes).map_err(|source| DataError::Idx { file: file.name.into(), source })
}

#[cfg(test)]
mod tests {
    use crate::data::catalog::CATALOG;
    use crate::data::digest::Digest;
    use crate::data::formats::cifar::Labels;

    use super::*;

    #[test]
    fn entries_are_whole() {
        for entry in CATALOG {
            assert!(!entry.sources.is_empty() && entry.part(Part::Train).next().is_some(), "{}", entry.name);
            if let Content::Images { counts, shape, format, normalisation, .. } = &entry.content {
                let image: usize = shape.iter().product();
                assert_eq!(normalisation.channels(), shape[0], "{}", entry.name);
                for (part, images) in [Part::Train, Part::Test].into_iter().zip(*counts) {
                    let bytes: u64 = entry.part(part).map(|file| file.bytes.unwrap()).sum();
                    let overhead = match format {
                        Format::Idx => 16 + 8 + images,
                        Format::Cifar(Labels::Ten) => images,
                        Format::Cifar(Labels::Hundred) => 2 * images,
                    };
                    assert_eq!(bytes, (images * image + overhead) as u64, "{} {part:?}", entry.name);
                }
            }
            for digest in entry.files.iter().filter_map(|file| file.digest) {
                let digits = if matches!(digest, Digest::Sha1(_)) { 40 } else { 64 };
                assert_eq!(digest.hex().len(), digits, "{}: {digest}", entry.name);
            }
        }
    }
}
