//! What reads, what it is given, and what must hold of what it takes.

use std::io::Cursor;

use backburn_compress::{
    AnyCompressor, Compressor, Key, Layout, Memo, Message, Philox, Source, Unit, decode_message, encode_message,
    message_bytes,
};
use backburn_optim::{AnyAlgorithm, Ask, Cluster, Reply, Snapshot, SnapshotError, Vector};
use backburn_reproduce::replay;
use backburn_train::data::Libsvm;
use backburn_train::data::formats::idx::Idx;
use backburn_train::run::RunConfig;

use crate::letter;

/// Something that reads.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Good inputs.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Words of its format.
    pub words: &'static [&'static str],
    /// Makes checksums fit.
    pub seal: fn(Vec<u8>) -> Vec<u8>,
    /// Reads; whether it was taken. Panics where something does not hold.
    pub read: fn(&[u8]) -> bool,
    /// Bytes of memory for every byte of input, beyond [`ROOM`].
    pub memory: usize,
}

/// Bytes that every input may take.
pub const ROOM: usize = 1 << 20;

/// Coordinates of a message, at most.
const LIMIT: u64 = 4096;

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "message", corpus: messages, words: &[], seal: seal_message, read: message, memory: 64 },
    Target { name: "letter", corpus: letter::corpus, words: &[], seal: letter::seal, read: letter::read, memory: 256 },
    Target { name: "snapshot", corpus: snapshots, words: &[], seal: seal_snapshot, read: snapshot, memory: 256 },
    Target {
        name: "compressor",
        corpus: compressors,
        words: WORDS,
        seal: same,
        read: form::<AnyCompressor>,
        memory: 256,
    },
    Target { name: "method", corpus: methods, words: WORDS, seal: same, read: form::<AnyAlgorithm>, memory: 256 },
    Target { name: "idx", corpus: idx, words: &[], seal: same, read: read_idx, memory: 64 },
    Target {
        name: "libsvm",
        corpus: libsvm,
        words: &["+1", ":", "#", "\n", "\u{feff}"],
        seal: same,
        read: read_libsvm,
        memory: 256,
    },
    Target { name: "run", corpus: runs, words: RUN_WORDS, seal: same, read: run, memory: 1024 },
    Target { name: "replay", corpus: replays, words: REPLAY_WORDS, seal: same, read: read_replay, memory: 1024 },
];

const WORDS: &[&str] = &[
    ":",
    ",",
    "=",
    "of=",
    "k=",
    "values=",
    "f16",
    "bf16",
    "qsgd:",
    "scaled",
    "topk:",
    "scaled:",
    "majority-vote",
    " ",
];
const RUN_WORDS: &[&str] = &["\n", "=", "\"", "[schedule]", "[", "]", "epochs", "steps", "workers", "topk:0.1", "true"];
const REPLAY_WORDS: &[&str] = &["[", "]", "{", "}", ",", "null", "\"x0\":", "\"noise\":", "\"scope\":\"global\"", "[]"];

fn same(input: Vec<u8>) -> Vec<u8> {
    input
}

fn compressors() -> Vec<Vec<u8>> {
    AnyCompressor::table().iter().flat_map(|form| form.examples).map(|text| text.as_bytes().to_vec()).collect()
}

fn methods() -> Vec<Vec<u8>> {
    AnyAlgorithm::table().iter().flat_map(|form| form.examples).map(|text| text.as_bytes().to_vec()).collect()
}

/// What a form says of itself is the form.
fn form<T: std::str::FromStr + std::fmt::Display>(input: &[u8]) -> bool {
    let Ok(form) = String::from_utf8_lossy(input).parse::<T>() else { return false };
    let text = form.to_string();
    let again = text.parse::<T>().unwrap_or_else(|_| panic!("`{text}` is not read again"));
    assert_eq!(again.to_string(), text);
    true
}

fn messages() -> Vec<Vec<u8>> {
    let mut random = Philox::new(1);
    let mut corpus = Vec::new();
    for text in AnyCompressor::table().iter().flat_map(|form| form.examples) {
        let compressor: AnyCompressor = text.parse().expect("an example");
        for shape in [vec![1], vec![65], vec![8, 12]] {
            let layout = Layout::new(vec![("x".into(), shape)], Default::default(), 0).expect("a layout");
            let x: Vec<f32> = (0..layout.len()).map(|_| random.normal()).collect();
            let unit: &Unit = &layout.units()[0];
            let payload = compressor.compress(Source::still(&x), unit, &Key::new(2), &mut Memo::default());
            corpus.push(encode_message(&Message::from(payload)));
        }
    }
    corpus
}

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

fn message(input: &[u8]) -> bool {
    let Ok(message) = decode_message(input, LIMIT) else { return false };
    for payload in &message.payloads {
        assert!(payload.len() as u64 <= LIMIT);
        assert_eq!(payload.decode().len(), payload.len());
    }
    let encoded = encode_message(&message);
    assert_eq!(encoded.len() as u64, message_bytes(&message));
    assert_eq!(encode_message(&decode_message(&encoded, LIMIT).expect("own bytes")), encoded);
    true
}

fn cluster(method: &str) -> Cluster {
    let layout = Layout::new(vec![("a".into(), vec![2, 3]), ("b".into(), vec![2])], Default::default(), 0);
    let (method, compressor) = (method.parse().expect("a method"), "topk:0.5".parse().expect("a compressor"));
    Cluster::new(method, compressor, layout.expect("a layout"), 2, 3, &[0.5; 8]).expect("they go together")
}

const SAVED: &[&str] = &["ef-sgd:momentum=0.9", "ef21-sgdm:eta=0.5", "beer", "powersgd:rank=1"];

fn step(cluster: &mut Cluster) -> bool {
    let g = [1.0, -2.0, 0.5, 0.0, 3.0, 0.25, -0.125, 1.5];
    let mut host = |worker: usize, ask: &Ask| match ask {
        Ask::Gradient { .. } => Ok(Reply::gradient(g.map(|g| g * (1.0 + worker as f32)).to_vec())),
        Ask::Loss { .. } => Ok(Reply::Loss(1.0)),
    };
    cluster.round(0.1, &Vector::from(vec![0.5; 8]), &mut host).is_ok()
}

fn snapshots() -> Vec<Vec<u8>> {
    let saved = SAVED.iter().map(|method| {
        let mut cluster = cluster(method);
        assert!(step(&mut cluster) && step(&mut cluster), "{method}");
        let mut snapshot = Snapshot::default();
        cluster.save_into(&mut snapshot);
        snapshot.to_bytes()
    });
    saved.collect()
}

/// The checksum that the contents give, as the reader's refusal says it.
fn seal_snapshot(mut bytes: Vec<u8>) -> Vec<u8> {
    let Err(SnapshotError::Damaged { why, .. }) = Snapshot::from_bytes(&bytes, "input") else { return bytes };
    let Some((said, computed)) =
        why.strip_prefix("its checksum is `").and_then(|why| why.split_once("`, its contents give `"))
    else {
        return bytes;
    };
    let (said, computed) = (said.as_bytes(), computed.trim_end_matches('`').as_bytes());
    if said.len() == computed.len()
        && let Some(at) = bytes.windows(said.len()).position(|window| window == said)
    {
        bytes[at..at + said.len()].copy_from_slice(computed);
    }
    bytes
}

fn snapshot(input: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::from_bytes(input, "input") else { return false };
    let again = Snapshot::from_bytes(&snapshot.to_bytes(), "input").expect("own bytes");
    assert_eq!(again.to_bytes().len(), snapshot.to_bytes().len());
    for method in SAVED {
        let mut cluster = cluster(method);
        if cluster.load_from(&snapshot).is_ok() {
            step(&mut cluster);
            let mut kept = Snapshot::default();
            cluster.save_into(&mut kept);
            assert!(kept.vectors.values().flatten().all(|x| x.is_finite()), "{method}");
        }
    }
    true
}

fn idx() -> Vec<Vec<u8>> {
    vec![
        Idx::<1> { dims: [5], data: vec![1, 2, 3, 4, 5] }.encode(),
        Idx::<3> { dims: [2, 3, 4], data: (0..24).collect() }.encode(),
        Idx::<3> { dims: [0, 28, 28], data: vec![] }.encode(),
    ]
}

fn read_idx(input: &[u8]) -> bool {
    let images = Idx::<3>::decode(input).inspect(|images| {
        assert_eq!(images.dims.iter().product::<usize>(), images.data.len());
    });
    let labels = Idx::<1>::decode(input).inspect(|labels| assert_eq!(labels.dims[0], labels.data.len()));
    images.is_ok() || labels.is_ok()
}

fn libsvm() -> Vec<Vec<u8>> {
    ["+1 1:0.5 3:-2 10:1e-3 # a row\n-1 2:1\n\n-1\n", "\u{feff}0 4294967295:1\r\n1 1:3"]
        .map(|t| t.as_bytes().to_vec())
        .to_vec()
}

fn read_libsvm(input: &[u8]) -> bool {
    let Ok(rows) = Libsvm::read(Cursor::new(input)) else { return false };
    for i in 0..rows.len() {
        let (indices, values) = rows.row(i);
        assert_eq!(indices.len(), values.len());
        assert!(indices.is_sorted() && indices.iter().all(|j| (*j as usize) < rows.features()));
        assert!(values.iter().all(|x| x.is_finite()) && rows.labels()[i].is_finite());
    }
    true
}

fn runs() -> Vec<Vec<u8>> {
    vec![
        RunConfig::default().to_toml().into_bytes(),
        RunConfig { steps: 100, data_dir: Some("data".into()), ..RunConfig::default() }.to_toml().into_bytes(),
        b"workers = 2\n[schedule]\nlr = 0.1\n".to_vec(),
    ]
}

fn run(input: &[u8]) -> bool {
    let Ok(config) = RunConfig::from_toml(&String::from_utf8_lossy(input)) else { return false };
    if config.check().is_err() {
        return false;
    }
    let text = config.to_toml();
    let again = RunConfig::from_toml(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(again.to_toml(), text);
    true
}

fn replays() -> Vec<Vec<u8>> {
    let case = |method: &str, compressor: &str| {
        format!(
            r#"[{{"id":"a","method":{method},"compressor":{compressor},"lr":[0.1,0.05],"x0":[[1,2],[[0.5],[3]]],"trace":[[[[1,2],[[3],[4]]],[[0,1],[[0],[1]]]],[[[1,0],[[0],[4]]],[[0,1],[[2],[1]]]]]}}]"#
        )
        .into_bytes()
    };
    vec![
        case(r#"{"name":"ef-sgd","momentum":0.9}"#, r#"{"kind":"topk","k":1,"scope":"global"}"#),
        case(r#"{"name":"ef21"}"#, r#"{"kind":"scaled-sign"}"#),
        case(r#"{"name":"sgd"}"#, r#"{"kind":"identity","scope":"parameter"}"#),
    ]
}

fn read_replay(input: &[u8]) -> bool {
    let Ok(cases) = replay::read(&String::from_utf8_lossy(input)) else { return false };
    // Options may ask for as many rounds as they like: those that ask for many are read and not run.
    let most = input.split(|b| !b.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or(0);
    let mut ran = false;
    for case in cases.into_iter().flatten().filter(|_| most < 4) {
        let replayed = replay::run_flat(&case);
        ran |= matches!(replayed.outcome, replay::Outcome::Ran(_));
    }
    ran
}
