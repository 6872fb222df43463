//! Good inputs, changed.

use backburn_compress::Philox;

/// Numbers at which lengths, ranks and products go wrong.
const LIMITS: &[u64] = &[
    0,
    1,
    2,
    7,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1 << 53,
    1 << 63,
    u64::MAX,
];

/// The same as text, and words that numbers may be.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "0.5",
    "1e-46",
    "1e39",
    "1e308",
    "1e309",
    "-1e309",
    "NaN",
    "nan",
    "inf",
    "Infinity",
    "255",
    "65536",
    "4294967296",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "1_000",
    "0x10",
    "",
];

/// Longest input.
const LONGEST: usize = 4096;

/// One of a list.
pub fn one<'a, T: ?Sized>(random: &mut Philox, of: &[&'a T]) -> &'a T {
    of[random.below(of.len() as u32) as usize]
}

fn place(random: &mut Philox, len: usize) -> usize {
    random.below(len as u32 + 1) as usize
}

fn range(random: &mut Philox, len: usize) -> std::ops::Range<usize> {
    let start = place(random, len);
    let most = (len - start).min(1 << random.below(9));
    start..start + place(random, most)
}

/// One of the corpus after one to four changes; `words` are the format's own.
pub fn mutate(random: &mut Philox, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len() as u32) as usize].clone();
    // Half of the inputs are changed once, or few would be taken.
    for _ in 0..1 + random.below(2) * random.below(4) {
        let at = place(random, input.len());
        match random.below(9) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.below(256) as u8,
            2 => input.insert(at, random.below(256) as u8),
            3 => drop(input.drain(range(random, input.len()))),
            4 => {
                let piece = input[range(random, input.len())].to_vec();
                let times = if random.below(16) == 0 { 200 } else { 1 };
                let many = piece.repeat(times);
                input.splice(at..at, many);
            }
            5 => {
                let other = &corpus[random.below(corpus.len() as u32) as usize];
                let piece = other[range(random, other.len())].to_vec();
                let over = at..input.len().min(at + piece.len() * random.below(2) as usize);
                input.splice(over, piece);
            }
            6 => {
                let limit = LIMITS[random.below(LIMITS.len() as u32) as usize];
                let bytes = match random.below(3) {
                    0 => limit.to_le_bytes().to_vec(),
                    1 => (limit as u32).to_le_bytes().to_vec(),
                    _ => (limit as u32).to_be_bytes().to_vec(),
                };
                let over = at..input.len().min(at + bytes.len());
                input.splice(over, bytes);
            }
            7 if !words.is_empty() => drop(input.splice(at..at, one(random, words).bytes())),
            // A number in place of one that is there.
            _ => {
                let digit = |b: &u8| b.is_ascii_digit();
                let Some(start) = input[at..].iter().position(digit).map(|i| at + i) else { continue };
                let len = input[start..].iter().take_while(|b| digit(b) || **b == b'.').count();
                input.splice(start..start + len, one(random, NUMBERS).bytes());
            }
        }
    }
    input.truncate(LONGEST);
    input
}
