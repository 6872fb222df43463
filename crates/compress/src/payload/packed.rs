//! Symbols at one width, the first in the lowest bits: eight of them are as many bytes as one has bits.

use rayon::prelude::*;

use crate::error::WireError;
use crate::room::{self, Room};

/// Symbols that a thread packs at a time, a multiple of eight.
const TASK: usize = 1 << 16;

/// The bytes of so many symbols.
pub(super) fn num_bytes(len: usize, width: u32) -> usize {
    (len as u64 * u64::from(width)).div_ceil(8) as usize
}

/// Runs a function of the width for the width at hand, so that shifts and sizes are constants.
macro_rules! for_width {
    ($width:expr, $function:ident, $args:tt) => {
        match $width {
            1 => $function::<1, _>$args,
            2 => $function::<2, _>$args,
            3 => $function::<3, _>$args,
            4 => $function::<4, _>$args,
            5 => $function::<5, _>$args,
            6 => $function::<6, _>$args,
            7 => $function::<7, _>$args,
            8 => $function::<8, _>$args,
            9 => $function::<9, _>$args,
            width => unreachable!("alphabets of 512 at most, not of {width} bits"),
        }
    };
}

/// Appends symbols of 1 … 9 bits; unused bits are zero.
pub(super) fn put<S: Copy + Sync>(symbols: &[S], width: u32, number: impl Fn(S) -> u16 + Sync, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + num_bytes(symbols.len(), width), 0);
    let tasks = out[start..].par_chunks_mut(TASK / 8 * width as usize).zip(symbols.par_chunks(TASK));
    tasks.for_each(|(out, symbols)| for_width!(width as usize, pack, (symbols, &number, out)));
}

/// Takes `len` symbols, all below `alphabet`, of just as many bytes as they need.
pub(super) fn get<S: Room + Send>(
    bytes: &[u8],
    len: usize,
    width: u32,
    alphabet: usize,
    symbol: impl Fn(u16) -> S + Sync,
) -> Result<Vec<S>, WireError> {
    let mut symbols = room::take::<S>(len);
    let tasks = symbols.par_chunks_mut(TASK).zip(bytes.par_chunks(TASK / 8 * width as usize));
    let most = tasks.map(|(symbols, bytes)| for_width!(width as usize, unpack, (bytes, &symbol, symbols)));
    if most.reduce(|| 0, u16::max) < alphabet as u16 || len == 0 {
        Ok(symbols)
    } else {
        Err(WireError::Malformed { what: "symbols", why: "a symbol is beyond its alphabet" })
    }
}

fn pack<const W: usize, S: Copy>(symbols: &[S], number: impl Fn(S) -> u16, out: &mut [u8]) {
    let word = |group: &[S]| group.iter().enumerate().fold(0u128, |w, (i, s)| w | u128::from(number(*s)) << (W * i));
    let ((groups, rest), (places, last)) = (symbols.as_chunks::<8>(), out.as_chunks_mut::<W>());
    for (group, place) in groups.iter().zip(&mut *places) {
        // Halves by themselves, in the width of the machine.
        let half = |group: &[S]| group.iter().enumerate().fold(0u64, |w, (i, s)| w | u64::from(number(*s)) << (W * i));
        let word = u128::from(half(&group[..4])) | u128::from(half(&group[4..])) << (4 * W);
        place.copy_from_slice(&word.to_le_bytes()[..W]);
    }
    let (size, bytes) = (num_bytes(rest.len(), W as u32), word(rest).to_le_bytes());
    match places.get_mut(groups.len()) {
        Some(place) => place[..size].copy_from_slice(&bytes[..size]),
        None => last.copy_from_slice(&bytes[..size]),
    }
}

/// The largest number.
fn unpack<const W: usize, S>(bytes: &[u8], symbol: impl Fn(u16) -> S, symbols: &mut [S]) -> u16 {
    let mut most = 0u16;
    let mut read = |bytes: &[u8], group: &mut [S]| {
        let mut word = [0u8; 16];
        word[..bytes.len()].copy_from_slice(bytes);
        let word = u128::from_le_bytes(word);
        let halves = [word as u64, (word >> (4 * W)) as u64];
        for (i, place) in group.iter_mut().enumerate() {
            let number = (halves[i / 4] >> (W * (i % 4))) as u16 & ((1 << W) - 1);
            most = most.max(number);
            *place = symbol(number);
        }
    };
    let ((groups, rest), (places, last)) = (symbols.as_chunks_mut::<8>(), bytes.as_chunks::<W>());
    groups.iter_mut().zip(places).for_each(|(group, place)| read(place, group));
    if !rest.is_empty() {
        read(places.get(groups.len()).map_or(last, |place| place), rest);
    }
    most
}
