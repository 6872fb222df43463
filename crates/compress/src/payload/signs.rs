use super::bytes::{Reader, put_words};
use super::kind::{Head, Kind};
use super::prepared::Part;
use crate::error::WireError;
use crate::kernels::signs::Bits;

/// One bit a coordinate: `high` where it is set, `low` where not.
#[derive(Clone, Debug, PartialEq)]
pub struct Signs {
    /// Coordinates.
    pub len: usize,
    /// ⌈len/64⌉ words, the first coordinate in the lowest bit; bits beyond `len` are 0.
    pub words: Vec<u64>,
    /// The value of a clear bit.
    pub low: f32,
    /// The value of a set bit.
    pub high: f32,
}

/// Levels ±1, which are not written.
const UNIT: u8 = 1;
/// Levels ±s, of which s is written.
const SCALED: u8 = 2;
/// Two levels, both written.
const LEVELS: u8 = 3;

/// The shortest code that holds these two levels bit for bit.
fn code(low: f32, high: f32) -> u8 {
    if low.to_bits() != (-high).to_bits() {
        LEVELS
    } else if high == 1.0 {
        UNIT
    } else {
        SCALED
    }
}

impl Signs {
    fn bits(&self) -> Bits<'_> {
        Bits { words: &self.words, low: self.low, high: self.high }
    }
}

impl Kind for Signs {
    const CODES: std::ops::RangeInclusive<u8> = UNIT..=LEVELS;

    fn len(&self) -> usize {
        self.len
    }

    fn bound(&self) -> f64 {
        self.bits().bound()
    }

    fn prepare<'a>(&'a self, parts: &mut Vec<Part<'a>>) {
        parts.push(Part::Bits(self.bits()));
    }

    fn code(&self) -> u8 {
        code(self.low, self.high)
    }

    fn num_bytes(&self) -> usize {
        self.len.div_ceil(8) + 4 * usize::from(self.code() - UNIT)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if self.code() == LEVELS {
            out.extend_from_slice(&self.low.to_le_bytes());
        }
        if self.code() >= SCALED {
            out.extend_from_slice(&self.high.to_le_bytes());
        }
        let start = out.len();
        put_words(&self.words, u64::to_le, out);
        out.truncate(start + self.len.div_ceil(8));
    }

    fn decode(head: Head, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (low, high) = match head.code {
            UNIT => (-1.0, 1.0),
            SCALED => {
                let scale = reader.float("a level")?;
                (-scale, scale)
            }
            _ => (reader.float("a level")?, reader.float("a level")?),
        };
        if code(low, high) != head.code {
            return Err(WireError::Malformed { what: "signs", why: "their levels belong to a shorter kind" });
        }
        let len = head.len;
        let bytes = reader.take(len.div_ceil(8), "signs")?;
        if !len.is_multiple_of(8) && bytes.last().is_some_and(|b| b >> (len % 8) != 0) {
            return Err(WireError::Malformed { what: "signs", why: "unused bits are set" });
        }
        let (whole, rest) = bytes.as_chunks::<8>();
        let last = rest.iter().rev().fold(0u64, |w, b| w << 8 | u64::from(*b));
        let words = whole.iter().map(|word| u64::from_le_bytes(*word)).chain((!rest.is_empty()).then_some(last));
        Ok(Self { len, words: words.collect(), low, high })
    }
}
