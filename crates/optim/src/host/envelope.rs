//! How the letters of a process's workers travel: the envelope's format, version 1.
//!
//! All numbers are little-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | `"BP"` |
//! | 2 | 1 | version, 1 |
//! | 3 | 1 | 0 |
//! | 4 | 4 | the process's rank |
//! | 8 | 8 | the step |
//! | 16 | 4 | the message round |
//! | 20 | 4 | the process's first worker |
//! | 24 | 4 | how many workers it has |
//! | 28 | 4 | CRC-32C of all else |
//!
//! For each worker then one byte, 0 where it is absent; where it is 1 there follow the number of notes (4
//! bytes), the number of units of which it says nothing (4), their indices (4 each), the length of its message
//! (8), and the message.

use std::ops::Range;

use backburn_compress::encode_message;

use crate::MailError;
use crate::host::mail::{At, Letter};

const VERSION: u8 = 1;
const HEAD: usize = 32;

/// One worker's letter, not yet taken apart.
pub(crate) struct Sealed<'a> {
    pub notes: usize,
    pub silent: Vec<u32>,
    pub message: &'a [u8],
}

/// The letters of this process's workers.
pub(crate) fn seal(rank: usize, at: At, own: &Range<usize>, letters: &[Option<Letter>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + letters.iter().flatten().map(|l| l.bytes as usize + 64).sum::<usize>());
    out.extend_from_slice(&[b'B', b'P', VERSION, 0]);
    out.extend_from_slice(&(rank as u32).to_le_bytes());
    out.extend_from_slice(&at.step.to_le_bytes());
    out.extend_from_slice(&at.round.to_le_bytes());
    out.extend_from_slice(&(own.start as u32).to_le_bytes());
    out.extend_from_slice(&(own.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for letter in letters {
        let Some(letter) = letter else {
            out.push(0);
            continue;
        };
        out.push(1);
        out.extend_from_slice(&(letter.message.notes.len() as u32).to_le_bytes());
        out.extend_from_slice(&(letter.silent.len() as u32).to_le_bytes());
        letter.silent.iter().for_each(|unit| out.extend_from_slice(&unit.to_le_bytes()));
        let message = encode_message(&letter.message);
        out.extend_from_slice(&(message.len() as u64).to_le_bytes());
        out.extend_from_slice(&message);
    }
    let crc = checksum(&out);
    out[28..HEAD].copy_from_slice(&crc.to_le_bytes());
    out
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..28]), &bytes[HEAD..])
}

/// Takes an envelope apart, and refuses one that is not of this rank, time and seats.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    rank: usize,
    at: At,
    own: &Range<usize>,
    units: usize,
) -> Result<Vec<Option<Sealed<'a>>>, MailError> {
    let mut reader = Reader(bytes);
    if reader.take(2)? != b"BP" {
        return Err(MailError::Envelope("it does not begin as one"));
    }
    let version = reader.take(2)?[0];
    let same = |what, found: u64, expected: u64| {
        if found == expected { Ok(()) } else { Err(MailError::Foreign { what, found, expected }) }
    };
    same("version", version.into(), VERSION.into())?;
    let found = [reader.u32()?.into(), reader.u64()?, reader.u32()?.into(), reader.u32()?.into(), reader.u32()?.into()];
    let said = reader.u32()?;
    if said != checksum(bytes) {
        return Err(MailError::Envelope("its checksum is wrong"));
    }
    let expected = [rank as u64, at.step, at.round.into(), own.start as u64, own.len() as u64];
    let what = ["rank", "step", "message round", "first worker", "number of workers"];
    what.into_iter().zip(found).zip(expected).try_for_each(|((what, found), expected)| same(what, found, expected))?;
    let letters = own.clone().map(|_| reader.letter(units)).collect::<Result<_, _>>()?;
    if reader.0.is_empty() { Ok(letters) } else { Err(MailError::Envelope("bytes follow it")) }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MailError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MailError::Envelope("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, MailError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn u64(&mut self) -> Result<u64, MailError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    fn letter(&mut self, units: usize) -> Result<Option<Sealed<'a>>, MailError> {
        match self.take(1)?[0] {
            0 => return Ok(None),
            1 => {}
            _ => return Err(MailError::Envelope("a worker is neither there nor absent")),
        }
        let notes = self.u32()? as usize;
        let count = self.u32()? as usize;
        if count > units {
            return Err(MailError::Envelope("it is silent of more units than there are"));
        }
        let silent = (0..count).map(|_| self.u32()).collect::<Result<Vec<_>, _>>()?;
        if silent.iter().any(|u| *u as usize >= units) || silent.windows(2).any(|w| w[0] >= w[1]) {
            return Err(MailError::Envelope("the units of which it is silent are not in order"));
        }
        let len = usize::try_from(self.u64()?).map_err(|_| MailError::Envelope("it is cut off"))?;
        Ok(Some(Sealed { notes, silent, message: self.take(len)? }))
    }
}
