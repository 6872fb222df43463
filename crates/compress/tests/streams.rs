//! Random streams are part of the format: messages and checkpoints of earlier versions rely on these
//! numbers. Those of roundings are of their second version, in which a word serves two coordinates.

mod common;

use backburn_compress::payload::{Dense, Values};
use backburn_compress::{Compressor, Memo, Source, Stream};
use backburn_compress::{CountSketch, Direction, Key, Natural, Payload, Philox, Qsgd, Unit, low_rank, random};

fn key() -> Key {
    Key { seed: 1, step: 2, unit: 3, worker: Some(4), direction: Direction::Down, round: 5, stream: Stream::VALUES }
}

#[test]
fn names_of_draws() {
    assert_eq!([key().draw(), key().shared().draw(), Key::new(0).draw()], DRAWS);
    assert_eq!(Unit::vector("conv1.weight", 1).key, UNIT);
}

#[test]
fn philox_streams() {
    let mut random = Philox::new(42);
    assert_eq!([random.next_u32(), random.next_u32(), random.below(1000)], PHILOX);
    assert_eq!(random.normal().to_bits(), NORMAL);
}

#[test]
fn subsets() {
    assert_eq!(random::subset(42, 100, 5), SUBSET);
    assert_eq!(random::subset(42, 8, 6), COMPLEMENT);
}

#[test]
fn roundings() {
    let x = common::normal(100, 1);
    let unit = Unit::vector("v", 100);
    let Payload::Dense(Dense { values: Values::Levels(v) }) =
        Qsgd::new(4).unwrap().compress(Source::still(&x), &unit, &key(), &mut Memo::default())
    else {
        panic!("levels")
    };
    assert_eq!(v.levels[..16], LEVELS);
    let Payload::Dense(Dense { values: Values::Powers(v) }) =
        Natural.compress(Source::still(&x), &unit, &key(), &mut Memo::default())
    else {
        panic!("powers")
    };
    assert_eq!(v.codes[..8], CODES);
}

#[test]
fn first_factors_and_hashes() {
    let bits: Vec<u32> = low_rank::first_q(3, 1, &key()).iter().map(|q| q.to_bits()).collect();
    assert_eq!(bits, FIRST_Q);
    let sketch = CountSketch::columns(4)
        .unwrap()
        .with_rows(2)
        .unwrap()
        .sketch(&mut Source::still(&[1.0, 10.0, 100.0, 1000.0]), &key());
    assert_eq!(sketch.cells, CELLS);
}

const DRAWS: [u64; 3] = [1598095612316542733, 8567269859731822034, 8695987549771912286];
const UNIT: u64 = 10054858637067198896;
const PHILOX: [u32; 3] = [2632642643, 2012563771, 73];
const NORMAL: u32 = 1069235412;
const SUBSET: [u32; 5] = [7, 34, 46, 61, 98];
const COMPLEMENT: [u32; 6] = [0, 1, 2, 5, 6, 7];
const LEVELS: [i8; 16] = [0, 0, 1, 0, -1, 1, 0, 1, -1, 1, 0, 0, 0, 0, -1, -1];
const CODES: [u16; 8] = [252, 251, 252, 255, 255, 252, 252, 256];
const FIRST_Q: [u32; 3] = [1062956443, 1064898843, 1073114691];
const CELLS: [f32; 8] = [100.0, 1.0, 10.0, 1000.0, 1.0, 10.0, 100.0, 1000.0];
