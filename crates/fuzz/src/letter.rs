//! What another rank says in a round, to a rank whose states must not suffer from it.

use backburn_compress::{Layout, Philox, Vector};
use backburn_optim::{Ask, Cluster, Encoded, Reply, Snapshot, Transport, TransportError};

use crate::targets::seal_message;

/// Methods of one and of several message rounds, and compressors of every payload.
const PAIRS: &[[&str; 2]] = &[
    ["ef-sgd", "topk:0.3"],
    ["ef-sgd:outside,momentum=0.9", "sign:scaled"],
    ["ef-sgd", "randk:0.3"],
    ["ef-sgd", "fcc:rounds=2,of=topk:0.2,values=f16"],
    ["ef-sgd", "lowrank:1"],
    ["ef-sgd", "sketch:0.5"],
    ["ef-sgd", "onebit"],
    ["ef-sgd-bidirectional", "topk:0.3,values=bf16"],
    ["compressed-sgd", "qsgd:3"],
    ["compressed-sgd:majority-vote", "sign"],
    ["compressed-sgd", "natural"],
    ["ef21-sgdm:eta=0.5", "threshold:0.5"],
    ["dgc", "topk:0.3"],
    ["powersgd:rank=1", "identity"],
    ["sketched-topk:k=4,cols=16", "identity"],
    ["onebit-adam", "sign:scaled"],
    ["perturbed:r=0.1,interval=1", "topk:0.3"],
    ["neolithic:rounds=2", "topk:0.3"],
];

/// An envelope's own header, and its place for the checksum.
const HEAD: usize = 32;

/// Rank 0 of two. It hears what rank 1 is made to say; rank 1 agrees to everything.
struct Forged {
    /// `None`: what rank 0 says itself.
    said: Option<Vec<u8>>,
    /// Rank 0's last envelope.
    own: Vec<u8>,
}

impl Transport for Forged {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        2
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        let greeting = message.strip_prefix(b"{\"rank\":0");
        let heard = match (greeting, message.starts_with(b"BP")) {
            (Some(rest), _) => [b"{\"rank\":1", rest].concat(),
            (None, true) => {
                self.own = message.to_vec();
                addressed(message, self.said.as_deref().unwrap_or(&message[HEAD..]))
            }
            // It has no cause to tell.
            (None, false) => Vec::new(),
        };
        Ok(from.iter().map(|rank| if *rank == 0 { message.to_vec() } else { heard.clone() }).collect())
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        Ok(yes)
    }
}

/// These letters in rank 1's envelope of the step and the round of rank 0's.
fn addressed(own: &[u8], letters: &[u8]) -> Vec<u8> {
    let mut out = [&own[..HEAD], letters].concat();
    out[4..8].copy_from_slice(&1u32.to_le_bytes());
    out[20..24].copy_from_slice(&1u32.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out[..28]), &out[HEAD..]);
    out[28..HEAD].copy_from_slice(&crc.to_le_bytes());
    out
}

fn start(pair: usize, said: Option<Vec<u8>>) -> Cluster<Encoded<Forged>> {
    let [method, compressor] = PAIRS[pair];
    let named = vec![("a".into(), vec![4, 6]), ("b".into(), vec![7])];
    let layout = Layout::new(named, Default::default(), 0).expect("a layout");
    let (method, compressor) = (method.parse().expect("a method"), compressor.parse().expect("a compressor"));
    let mail = Encoded::new(Forged { said, own: Vec::new() });
    Cluster::over(method, compressor, layout, 3, &[0.5; 31], mail).expect("they agree")
}

fn round(cluster: &mut Cluster<Encoded<Forged>>, x: &mut Vector) -> bool {
    let mut host = |_: usize, ask: &Ask| {
        let mut random = Philox::new(9);
        Ok(match ask {
            Ask::Gradient { .. } => Reply::gradient((0..31).map(|_| random.normal()).collect::<Vec<f32>>()),
            Ask::Loss { .. } => Reply::Loss(1.0),
        })
    };
    match cluster.round(0.1, x, &mut host) {
        Ok(decided) => {
            decided.apply(x);
            true
        }
        Err(_) => false,
    }
}

/// The number of a pair, and the letters of a round.
pub fn corpus() -> Vec<Vec<u8>> {
    let one = |pair: usize| {
        let (mut cluster, mut x) = (start(pair, None), Vector::from(vec![0.5; 31]));
        assert!(round(&mut cluster, &mut x), "{:?}", PAIRS[pair]);
        let letters = cluster.mail().transport().own[HEAD..].to_vec();
        [vec![pair as u8], letters].concat()
    };
    (0..PAIRS.len()).map(one).collect()
}

/// A letter whose message fits its checksum and ends where the letter does.
pub fn seal(bytes: Vec<u8>) -> Vec<u8> {
    let number = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")));
    let Some(silent) = number(6) else { return bytes };
    let at = 10 + 4 * silent as usize % 4096;
    if bytes.len() < at + 8 {
        return bytes;
    }
    let message = seal_message(bytes[at + 8..].to_vec());
    [&bytes[..at], &(message.len() as u64).to_le_bytes(), &message].concat()
}

/// All that a rank holds but for its step.
fn saved(cluster: &mut Cluster<Encoded<Forged>>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    cluster.save_into(&mut snapshot);
    snapshot
}

/// A round with it leaves finite numbers; where it is refused, what is common to all is as before, and what is the
/// rank's own is owed: the next round goes on.
pub fn read(input: &[u8]) -> bool {
    let Some((pair, letters)) = input.split_first() else { return false };
    let pair = usize::from(*pair) % PAIRS.len();
    let (mut cluster, mut x) = (start(pair, Some(letters.to_vec())), Vector::from(vec![0.5; 31]));
    let before = saved(&mut cluster);
    let taken = round(&mut cluster, &mut x);
    let after = saved(&mut cluster);
    let finite = |s: &Snapshot| s.vectors.values().flatten().all(|x| x.is_finite());
    assert!(finite(&after) && x.as_slice().iter().all(|x| x.is_finite()), "{:?}", PAIRS[pair]);
    if !taken {
        assert_eq!(x.as_slice(), [0.5; 31]);
        assert_eq!(cluster.steps(), 0);
        let common = |s: &Snapshot| {
            let shared = s.vectors.iter().filter(|(name, _)| name.starts_with("shared."));
            shared.map(|(name, x)| (name.clone(), x.clone())).collect::<Vec<_>>()
        };
        assert_eq!(common(&before), common(&after), "{:?}", PAIRS[pair]);
    }
    taken
}
