//! The head of a message: what it is of, how long it is, and its first bytes.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | the operation's number, little-endian; all ranks count alike |
//! | 8 | 1 | 0 in an exchange, 1 in a vote, 2 where each rank is told something of its own, 3 in a muster |
//! | 9 | 8 | the message's length |
//! | 17 | ≤ 4079 | its first bytes; the rest follows in chunks |

/// Bytes of a head at most.
pub(crate) const MOST: usize = 4096;
/// Bytes before a message's own.
const OWN: usize = 17;

/// What all ranks do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Exchange,
    Vote,
    Deal,
    Muster,
}

impl Operation {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Exchange, Self::Vote, Self::Deal, Self::Muster].into_iter().find(|o| *o as u8 == byte)
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Exchange => "exchanges",
            Self::Vote => "votes",
            Self::Deal => "deals",
            Self::Muster => "musters",
        }
    }
}

/// How many bytes of a message travel with its head.
pub(crate) fn inlined(len: usize) -> usize {
    len.min(MOST - OWN)
}

pub(crate) fn write(number: u64, operation: Operation, message: &[u8]) -> Vec<u8> {
    let inline = inlined(message.len());
    let mut head = Vec::with_capacity(OWN + inline);
    head.extend_from_slice(&number.to_le_bytes());
    head.push(operation as u8);
    head.extend_from_slice(&(message.len() as u64).to_le_bytes());
    head.extend_from_slice(&message[..inline]);
    head
}

/// The message's length, and its first bytes; or in what the other rank differs.
pub(crate) fn read(head: &[u8], number: u64, operation: Operation) -> Result<(usize, &[u8]), String> {
    let (own, first) = head.split_at_checked(OWN).ok_or("its message is cut off")?;
    let word = |at: usize| u64::from_le_bytes(own[at..at + 8].try_into().expect("eight bytes"));
    let (its, kind, len) = (word(0), Operation::from_byte(own[8]), word(9));
    if its != number {
        return Err(format!("it is at operation {its} and this process at {number}: the programs differ"));
    }
    match kind {
        Some(kind) if kind == operation => {}
        Some(kind) => {
            return Err(format!("it {}, and this process {}: the programs differ", kind.verb(), operation.verb()));
        }
        None => return Err("its message is of no known operation".into()),
    }
    let len = usize::try_from(len).map_err(|_| "its message is longer than this machine's memory")?;
    if first.len() != inlined(len) { Err("its message is cut off".into()) } else { Ok((len, first)) }
}

/// Whether it is the head of a muster before this operation, which was over when its rank came.
pub(crate) fn is_past_muster(head: &[u8], number: u64) -> bool {
    let its = head.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    its.is_some_and(|its| its < number) && head.get(8) == Some(&(Operation::Muster as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_as_it_was_written_and_nothing_else_reads() {
        for len in [0, 1, MOST - OWN, MOST - OWN + 1, 100_000] {
            let message: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let head = write(7, Operation::Exchange, &message);
            assert!(head.len() <= MOST);
            assert_eq!(read(&head, 7, Operation::Exchange), Ok((len, &message[..inlined(len)])));
            assert!(read(&head, 8, Operation::Exchange).unwrap_err().contains("operation 7"));
            assert!(read(&head, 7, Operation::Vote).unwrap_err().contains("votes"));
            assert!(read(&head[..head.len() - 1], 7, Operation::Exchange).unwrap_err().contains("cut off"));
        }
        assert!(read(b"", 0, Operation::Vote).is_err());
    }
}
