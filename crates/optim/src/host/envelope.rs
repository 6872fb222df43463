//! How the letters of a process's workers travel: the envelope's format, version 1.
//!
//! All numbers are little-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | `"BP"` |
//! | 2 | 1 | version, 1 |
//! | 3 | 1 | 0 where it holds whole letters, 1 slices of them, 2 the mean of such, 3 why there is none, 4 all but the numbers |
//! | 4 | 4 | the process's rank |
//! | 8 | 8 | the step |
//! | 16 | 4 | the message round |
//! | 20 | 4 | the process's first worker |
//! | 24 | 4 | how many workers it has |
//! | 28 | 4 | CRC-32C of all else |
//!
//! Slices and means then say of which places of a message they are: how many (4 bytes), and their indices (4 each,
//! ascending). What a mean is follows as a message, why there is none as text, in both cases to the end.
//!
//! All but the numbers, which the network adds up: what they are the numbers of (8 bytes, 0 where they do not add up), and
//! a bound on them as an f64 (8); letters follow as in slices of no places.
//!
//! For each worker of the others then one byte, 0 where it is absent; where it is 1 there follow the number of notes (4
//! bytes), the number of units of which it says nothing (4), their indices (4 each), the length of its message
//! (8), and the message; in a slice the length of the whole message (8) stands before that of the part that follows.

use std::ops::Range;

use backburn_compress::{Message, encode_message};

use crate::host::MailError;
use crate::host::mail::{At, Letter};

const VERSION: u8 = 1;
const HEAD: usize = 32;

/// One worker's letter, not yet taken apart.
pub(crate) struct Sealed<'a> {
    pub notes: usize,
    pub silent: Vec<u32>,
    /// The bytes of all of it, of which this may be a slice.
    pub whole: u64,
    pub message: &'a [u8],
}

/// Slices, and of which places they are.
pub(crate) struct Slices<'a> {
    pub places: Vec<u32>,
    pub letters: Vec<Option<Sealed<'a>>>,
}

/// A mean at some places, or why there is none.
pub(crate) type SealedMean<'a> = Result<(Vec<u32>, &'a [u8]), String>;

/// What an envelope holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Letters,
    Slices,
    Mean,
    Why,
    Sum,
}

/// The letters of this process's workers.
pub(crate) fn seal(rank: usize, at: At, own: &Range<usize>, letters: &[Option<Letter>]) -> Vec<u8> {
    let len = letters.iter().flatten().map(|l| l.bytes as usize + 64).sum();
    let mut out = head(Kind::Letters, rank, at, own, len);
    for letter in letters {
        put(&mut out, letter.as_ref().map(|letter| (&letter.message, letter, None)));
    }
    close(out)
}

/// Of the letters of this process's workers what stands at these places.
pub(crate) fn seal_slices(
    rank: usize,
    at: At,
    own: &Range<usize>,
    letters: &[Option<Letter>],
    places: &[u32],
) -> Vec<u8> {
    let mut out = head(Kind::Slices, rank, at, own, 0);
    put_places(&mut out, places);
    for letter in letters {
        let part = letter.as_ref().map(|letter| slice(&letter.message, places));
        put(&mut out, part.as_ref().zip(letter.as_ref()).map(|(part, letter)| (part, letter, Some(letter.bytes))));
    }
    close(out)
}

/// What stands at these places, without notes.
pub(crate) fn slice(message: &Message, places: &[u32]) -> Message {
    places.iter().map(|place| message.payloads[*place as usize].clone()).collect()
}

/// The mean at these places.
pub(crate) fn seal_mean(rank: usize, at: At, own: &Range<usize>, places: &[u32], mean: &Message) -> Vec<u8> {
    let mut out = head(Kind::Mean, rank, at, own, 0);
    put_places(&mut out, places);
    out.extend_from_slice(&encode_message(mean));
    close(out)
}

/// Why there is no mean.
pub(crate) fn seal_why(rank: usize, at: At, own: &Range<usize>, why: &str) -> Vec<u8> {
    let mut out = head(Kind::Why, rank, at, own, why.len());
    put_places(&mut out, &[]);
    out.extend_from_slice(why.as_bytes());
    close(out)
}

/// All but the numbers of this process's letters, which the network is to add up.
pub(crate) fn seal_sum(
    rank: usize,
    at: At,
    own: &Range<usize>,
    letters: &[Option<Letter>],
    key: u64,
    bound: f64,
) -> Vec<u8> {
    let mut out = head(Kind::Sum, rank, at, own, 16);
    out.extend_from_slice(&key.to_le_bytes());
    out.extend_from_slice(&bound.to_le_bytes());
    for letter in letters {
        put(&mut out, letter.as_ref().map(|letter| (&NOTHING, letter, Some(letter.bytes))));
    }
    close(out)
}

static NOTHING: Message = Message { payloads: Vec::new(), notes: Vec::new() };

fn put_places(out: &mut Vec<u8>, places: &[u32]) {
    out.extend_from_slice(&(places.len() as u32).to_le_bytes());
    places.iter().for_each(|place| out.extend_from_slice(&place.to_le_bytes()));
}

/// What is said of a worker: what of its letter, and of a slice how long the whole is.
fn put(out: &mut Vec<u8>, said: Option<(&Message, &Letter, Option<u64>)>) {
    let Some((message, letter, whole)) = said else { return out.push(0) };
    out.push(1);
    out.extend_from_slice(&(message.notes.len() as u32).to_le_bytes());
    out.extend_from_slice(&(letter.silent.len() as u32).to_le_bytes());
    letter.silent.iter().for_each(|unit| out.extend_from_slice(&unit.to_le_bytes()));
    out.extend(whole.iter().flat_map(|bytes| bytes.to_le_bytes()));
    let message = encode_message(message);
    out.extend_from_slice(&(message.len() as u64).to_le_bytes());
    out.extend_from_slice(&message);
}

fn head(kind: Kind, rank: usize, at: At, own: &Range<usize>, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + len);
    out.extend_from_slice(&[b'B', b'P', VERSION, kind as u8]);
    out.extend_from_slice(&(rank as u32).to_le_bytes());
    out.extend_from_slice(&at.step.to_le_bytes());
    out.extend_from_slice(&at.round.to_le_bytes());
    out.extend_from_slice(&(own.start as u32).to_le_bytes());
    out.extend_from_slice(&(own.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out
}

fn close(mut out: Vec<u8>) -> Vec<u8> {
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
    let (_, mut reader) = begin(bytes, &[Kind::Letters], rank, at, own)?;
    let letters = reader.letters(own, units, false)?;
    reader.end(letters)
}

/// As [`open`], of slices.
pub(crate) fn open_slices<'a>(
    bytes: &'a [u8],
    rank: usize,
    at: At,
    own: &Range<usize>,
    units: usize,
) -> Result<Slices<'a>, MailError> {
    let (_, mut reader) = begin(bytes, &[Kind::Slices], rank, at, own)?;
    let places = reader.places()?;
    let letters = reader.letters(own, units, true)?;
    reader.end(Slices { places, letters })
}

/// As [`open`], of all but the numbers: key, bound and letters.
pub(crate) fn open_sum<'a>(
    bytes: &'a [u8],
    rank: usize,
    at: At,
    own: &Range<usize>,
    units: usize,
) -> Result<(u64, f64, Vec<Option<Sealed<'a>>>), MailError> {
    let (_, mut reader) = begin(bytes, &[Kind::Sum], rank, at, own)?;
    let (key, bound) = (reader.u64()?, f64::from_bits(reader.u64()?));
    let letters = reader.letters(own, units, true)?;
    reader.end((key, bound, letters))
}

/// As [`open`], of a mean.
pub(crate) fn open_mean<'a>(
    bytes: &'a [u8],
    rank: usize,
    at: At,
    own: &Range<usize>,
) -> Result<SealedMean<'a>, MailError> {
    let (kind, mut reader) = begin(bytes, &[Kind::Mean, Kind::Why], rank, at, own)?;
    let places = reader.places()?;
    Ok(match kind {
        Kind::Why => Err(String::from_utf8_lossy(reader.0).into_owned()),
        _ => Ok((places, reader.0)),
    })
}

/// The head, and what follows it.
fn begin<'a>(
    bytes: &'a [u8],
    kinds: &[Kind],
    rank: usize,
    at: At,
    own: &Range<usize>,
) -> Result<(Kind, Reader<'a>), MailError> {
    let mut reader = Reader(bytes);
    if reader.take(2)? != b"BP" {
        return Err(MailError::Envelope("it does not begin as one"));
    }
    let (version, kind) = (reader.take(1)?[0], reader.take(1)?[0]);
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
    let kind = kinds.iter().find(|k| **k as u8 == kind).ok_or(MailError::Envelope("it holds something else"))?;
    Ok((*kind, reader))
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

    fn places(&mut self) -> Result<Vec<u32>, MailError> {
        let count = self.u32()? as usize;
        let bytes = count.checked_mul(4).ok_or(MailError::Envelope("it is cut off"))?;
        let places: Vec<u32> = self.take(bytes)?.as_chunks().0.iter().map(|place| u32::from_le_bytes(*place)).collect();
        match places.windows(2).all(|w| w[0] < w[1]) {
            true => Ok(places),
            false => Err(MailError::Envelope("its places are not in order")),
        }
    }

    fn end<T>(self, whole: T) -> Result<T, MailError> {
        if self.0.is_empty() { Ok(whole) } else { Err(MailError::Envelope("bytes follow it")) }
    }

    /// What is said of each of these workers.
    fn letters(
        &mut self,
        own: &Range<usize>,
        units: usize,
        are_slices: bool,
    ) -> Result<Vec<Option<Sealed<'a>>>, MailError> {
        own.clone().map(|_| self.letter(units, are_slices)).collect()
    }

    fn letter(&mut self, units: usize, is_slice: bool) -> Result<Option<Sealed<'a>>, MailError> {
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
        let whole = if is_slice { Some(self.u64()?) } else { None };
        let len = self.u64()?;
        let message = self.take(usize::try_from(len).map_err(|_| MailError::Envelope("it is cut off"))?)?;
        Ok(Some(Sealed { notes, silent, whole: whole.unwrap_or(len), message }))
    }
}
