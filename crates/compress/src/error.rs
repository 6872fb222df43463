//! What can be wrong with a compressor's parameters and with bytes from the wire.

/// A parameter of a compressor or method that is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// A ratio outside (0, 1].
    #[error("ratio {0} is outside (0, 1]")]
    Ratio(f64),
    /// A count of zero where at least one is needed.
    #[error("{0} must be at least 1, and is 0")]
    Zero(&'static str),
    /// A number outside its range.
    #[error("{name} = {value} is outside {allowed}")]
    Range {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed, in words or as an interval.
        allowed: &'static str,
    },
}

/// Checks that `ratio` lies in (0, 1].
pub(crate) fn check_ratio(ratio: f64) -> Result<f64, ParameterError> {
    if ratio > 0.0 && ratio <= 1.0 { Ok(ratio) } else { Err(ParameterError::Ratio(ratio)) }
}

/// Bytes that are not a message of this format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The first bytes are not those of a Backburn message.
    #[error("not a Backburn message: it begins with {0:02x?} instead of \"BB\"")]
    Magic([u8; 2]),
    /// A version that this program does not read.
    #[error("message format version {0} is not known; this program reads versions 1 and 2")]
    Version(u8),
    /// A message or payload kind that no version has.
    #[error("{what} kind {kind} is not known to format versions 1 and 2")]
    Kind {
        /// Message, payload or code.
        what: &'static str,
        /// The byte that was read.
        kind: u8,
    },
    /// Fewer bytes than the message needs.
    #[error("message is cut short: {what} needs {needed} bytes, {left} are left")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Bytes it needs.
        needed: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// Bytes left over behind the last payload.
    #[error("{0} bytes follow the end of the message")]
    Trailing(u64),
    /// The checksum does not match.
    #[error("checksum mismatch: the message says {said:08x}, its bytes give {computed:08x}")]
    Checksum {
        /// What the header says.
        said: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A message that would decode to more than the receiver allows.
    #[error("message describes {described} coordinates; the limit is {limit}")]
    Limit {
        /// Coordinates described.
        described: u64,
        /// Coordinates allowed.
        limit: u64,
    },
    /// A field whose value cannot be.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// The field.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A message that fits another model or another method.
    #[error("message does not fit the layout: {0}")]
    Shape(String),
}
