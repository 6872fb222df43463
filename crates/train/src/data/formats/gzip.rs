//! gzip, of one member or several, and nothing after them.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// Whether a file that begins so is gzip's.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// What `reader` gives, decompressed where it is gzip.
pub(crate) fn plain<'a>(mut reader: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    Ok(match is_gzip(reader.fill_buf()?) {
        true => Box::new(BufReader::new(Gunzip::new(reader))),
        false => Box::new(reader),
    })
}

/// Decompresses all members. Unlike flate2's own reader of several it knows what follows the last from a member that is
/// cut off, and says so.
pub(crate) struct Gunzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Gunzip<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self(Some(GzDecoder::new(reader)))
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let n = member.read(out)?;
            if n > 0 || out.is_empty() {
                return Ok(n);
            }
            // The member is over.
            let Some(mut rest) = self.0.take().map(GzDecoder::into_inner) else { break };
            let next = rest.fill_buf()?;
            match next {
                [] => {}
                [0x1f] | [0x1f, 0x8b, ..] => self.0 = Some(GzDecoder::new(rest)),
                _ => {
                    let why = "bytes that are not gzip follow the end of the compressed data";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        plain(bytes)?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn members_follow_each_other_and_nothing_else_does() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(read(&two).unwrap(), b"one two");
        assert_eq!(read(b"plain").unwrap(), b"plain");
        let message = read(&[&two[..], b"rest"].concat()).unwrap_err().to_string();
        assert!(message.contains("follow the end of the compressed data"), "{message}");
        (2..two.len()).filter(|n| *n != gzip(b"one ").len()).for_each(|n| assert!(read(&two[..n]).is_err(), "{n}"));
    }
}
