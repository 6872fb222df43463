//! What ranks tell each other beside their messages: that one fails, waits too long, or leaves.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | 0 fails, 1 waits, 2 leaves |
//! | 1 | 4 | the rank that says so, little-endian |
//! | 5 | 4 | of a failure, the rank that has failed first |
//! | 9 | 8 | operations that it has begun |
//! | 17 | ≤ 4079 | of a failure, why |

use std::sync::Arc;

/// Bytes at most.
pub(crate) const MOST: usize = 4096;
const OWN: usize = 17;

/// What a rank tells all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The run is over, for this reason.
    Fails { origin: usize, why: String },
    /// It waits for others for longer than it should: whoever says so is not the one that hangs.
    Waits,
    /// It has come to its end.
    Leaves,
}

/// Who says it, and how many operations it has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub rank: usize,
    pub operations: u64,
    pub word: Word,
}

impl Note {
    pub fn to_bytes(&self) -> Arc<[u8]> {
        let (kind, origin, why) = match &self.word {
            Word::Fails { origin, why } => (0, *origin, why.as_str()),
            Word::Waits => (1, 0, ""),
            Word::Leaves => (2, 0, ""),
        };
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&(self.rank as u32).to_le_bytes());
        bytes.extend_from_slice(&(origin as u32).to_le_bytes());
        bytes.extend_from_slice(&self.operations.to_le_bytes());
        bytes.extend(why.bytes().take(MOST - OWN));
        bytes.into()
    }

    /// `None` for what is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (own, why) = bytes.split_at_checked(OWN)?;
        let number = |at: usize| u32::from_le_bytes(own[at..at + 4].try_into().expect("four bytes")) as usize;
        let word = match own[0] {
            0 => Word::Fails { origin: number(5), why: String::from_utf8_lossy(why).into_owned() },
            1 => Word::Waits,
            2 => Word::Leaves,
            _ => return None,
        };
        let operations = u64::from_le_bytes(own[9..].try_into().expect("eight bytes"));
        Some(Self { rank: number(1), operations, word })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_read_as_they_were_written_and_long_reasons_are_cut() {
        let fails = |why: String| Word::Fails { origin: 3, why };
        for word in [fails("the disk is full".into()), Word::Waits, Word::Leaves] {
            let note = Note { rank: 2, operations: 1 << 40, word };
            assert_eq!(Note::from_bytes(&note.to_bytes()), Some(note));
        }
        let long = Note { rank: 2, operations: 0, word: fails("é".repeat(MOST)) };
        assert_eq!(long.to_bytes().len(), MOST);
        assert!(Note::from_bytes(&long.to_bytes()).is_some());
        assert_eq!(Note::from_bytes(b""), None);
        assert_eq!(Note::from_bytes(&[9; 20]), None);
    }
}
