//! Checksums that fit again, or nothing would get past them.

/// A message behind the header that belongs to its body.
pub fn seal_message(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < 20 {
        return bytes;
    }
    let body = (bytes.len() - 20) as u64;
    // Both versions that are read.
    let version = if bytes[2] == 1 { 1 } else { 2 };
    bytes[..4].copy_from_slice(&[b'B', b'B', version, 0]);
    // A number of payloads that could be.
    bytes[6..8].fill(0);
    bytes[8..16].copy_from_slice(&body.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[20..]);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
    bytes
}
