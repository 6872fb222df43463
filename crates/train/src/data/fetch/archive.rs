//! Tar archives: the wanted files by name, whatever directory they are in.

use std::io::{self, Read};

use super::{Sink, SourceError};

/// Takes every wanted file from a tar stream, and stops when none is left.
pub(crate) fn take(reader: impl Read, sink: &mut Sink) -> Result<(), SourceError> {
    for_each(reader, |name, entry| {
        if let Some(file) = sink.wanted(name.strip_suffix(".gz").unwrap_or(name)) {
            let bytes = read_at_most(entry, file.read_limit())?;
            sink.put(file, bytes)?;
        }
        Ok(!sink.missing.is_empty())
    })?;
    match sink.missing.iter().next() {
        None => Ok(()),
        Some(name) => Err(SourceError::Lacks((*name).into())),
    }
}

/// Calls `visit` with the last part of each file's path, until it says false.
pub(crate) fn for_each(
    reader: impl Read,
    mut visit: impl FnMut(&str, &mut dyn Read) -> Result<bool, SourceError>,
) -> Result<(), SourceError> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|_| entry.header().entry_type().is_file())
            && !visit(name, &mut entry)?
        {
            break;
        }
    }
    Ok(())
}

/// All that `reader` gives; an error beyond `limit` bytes.
pub(crate) fn read_at_most(reader: &mut dyn Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= limit {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {limit} bytes"))),
    }
}
